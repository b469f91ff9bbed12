//! Free runs by size: where to look for one that is large enough.
//!
//! Entries are hints. A free run that is merged with its neighbour leaves its old entry behind, so merging is free of charge; when an entry
//! is taken out, the slab is asked whether it is still true, and when most are stale all are made anew. An entry says how long its run was,
//! so that only one that fits is asked about: what a slab knows of its runs is scattered over memory.

/// log2 of the number of classes between a power of two and the next.
const STEPS_LOG2: u32 = 2;
/// How many entries of a class are looked at where only some of them fit.
const LOOKS: usize = 16;
/// Below this, every length has a class of its own.
const EXACT: u32 = 64;

/// A free run, as it was when it was listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// Lists of free runs, one list a size class. Lengths and starts are counted in granules.
#[derive(Debug)]
pub(crate) struct Bins {
    // None until there is an entry: many blocks hold one request, and that has no data or no constants.
    lists: Vec<Vec<Entry>>,
    longest: u32,
    // Invariant: bit c is set exactly if list c has entries.
    filled: [u64; 3],
    entries: usize,
}

/// The class of a free run: the last whose members are all at most as long.
fn class_of(length: u32) -> usize {
    if length < EXACT {
        return length as usize;
    }
    let log2 = length.ilog2();
    let step = (length >> (log2 - STEPS_LOG2)) & ((1 << STEPS_LOG2) - 1);
    (EXACT + ((log2 - EXACT.ilog2()) << STEPS_LOG2) + step) as usize
}

/// The first class whose members are all at least `length` long.
fn class_that_holds(length: u32) -> usize {
    let class = class_of(length);
    if length < EXACT || length.trailing_zeros() >= length.ilog2() - STEPS_LOG2 {
        class
    } else {
        class + 1
    }
}

impl Bins {
    pub(crate) fn new(longest: u32) -> Self {
        Self {
            lists: Vec::new(),
            longest,
            filled: [0; 3],
            entries: 0,
        }
    }

    pub(crate) fn insert(&mut self, start: u32, length: u32) {
        if self.lists.is_empty() {
            self.lists.resize(class_of(self.longest) + 1, Vec::new());
        }
        let class = class_of(length);
        self.lists[class].push(Entry { start, length });
        self.filled[class / 64] |= 1 << (class % 64);
        self.entries += 1;
    }

    /// Entries of runs of at least `length` granules, and some of shorter ones.
    pub(crate) fn long_ones(&self, length: u32) -> impl Iterator<Item = Entry> + '_ {
        self.lists.iter().skip(class_of(length)).flatten().copied()
    }

    pub(crate) const fn entries(&self) -> usize {
        self.entries
    }

    pub(crate) fn clear(&mut self) {
        self.lists.iter_mut().for_each(Vec::clear);
        self.filled = [0; 3];
        self.entries = 0;
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let entries: usize = self.lists.iter().map(Vec::capacity).sum();
        self.lists.capacity() * size_of::<Vec<Entry>>() + entries * size_of::<Entry>()
    }

    /// Takes out a run of at least `length` granules for which `fits` holds, given its start and its length: both. It holds for
    /// every run that is `slack` granules longer. `length_of` tells how long the free run at a start is now, or that there is
    /// none; entries that turn out to be stale are dropped. Whatever changes a run lists it anew.
    pub(crate) fn take(
        &mut self,
        length: u32,
        slack: u32,
        length_of: impl Fn(u32) -> Option<u32>,
        fits: impl Fn(u32, u32) -> bool,
    ) -> Option<(u32, u32)> {
        // First where runs of just this length are, which are among shorter ones; then in classes of which some may fit; then
        // where all do. Where it takes luck, a few looks have to do: they find a run that was just grown to measure.
        let certain = class_that_holds(length.saturating_add(slack));
        let mut class = class_of(length);
        while let Some(found) = self.next_filled(class) {
            let looks = if found < certain { LOOKS } else { usize::MAX };
            if let Some(run) = self.take_from(found, looks, &length_of, &fits) {
                return Some(run);
            }
            class = found + 1;
        }
        None
    }

    fn next_filled(&self, from: usize) -> Option<usize> {
        (from / 64..self.filled.len()).find_map(|word| {
            let mask = if word == from / 64 {
                u64::MAX << (from % 64)
            } else {
                u64::MAX
            };
            let bits = self.filled[word] & mask;
            (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)
        })
    }

    /// Looks at the last `looks` entries of one class, newest first.
    fn take_from(
        &mut self,
        class: usize,
        looks: usize,
        length_of: &impl Fn(u32) -> Option<u32>,
        fits: &impl Fn(u32, u32) -> bool,
    ) -> Option<(u32, u32)> {
        let list = &mut self.lists[class];
        let mut index = list.len();
        let lowest = index.saturating_sub(looks);
        let mut taken = None;
        while index > lowest && taken.is_none() {
            index -= 1;
            let Entry { start, length } = list[index];
            if fits(start, length) {
                list.swap_remove(index);
                self.entries -= 1;
                taken = (length_of(start) == Some(length)).then_some((start, length));
            }
        }
        if list.is_empty() {
            self.filled[class / 64] &= !(1 << (class % 64));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{class_of, class_that_holds};

    #[test]
    fn classes_ascend_and_a_holding_class_holds() {
        let dense = if cfg!(miri) { 300 } else { 5_000 };
        let lengths = (1..dense)
            .chain((12..31).flat_map(|log2| [(1_u32 << log2) - 1, 1 << log2, (1 << log2) + 1]));
        for length in lengths {
            assert!(class_of(length) <= class_of(length + 1));
            assert!(class_of(length) < 192, "the bitmap has 192 bits");
            let holding = class_that_holds(length);
            assert!(holding == class_of(length) || holding == class_of(length) + 1);
            if holding == class_of(length) {
                assert!(
                    length == 1 || class_of(length - 1) < holding,
                    "{length} is not the shortest of its class"
                );
            }
        }
    }
}
