//! A set of small numbers that finds its next and its previous member in a few steps, however far away they are.
//!
//! Words of 64 bits, and above them words that say which words below are not zero. It is zeroed memory at first, so a
//! large empty set costs address space only.

/// A set of numbers from 0 to its length, excluded.
#[derive(Debug)]
pub(crate) struct Bits {
    // Invariant: bit i of level n + 1 is set exactly if word i of level n is not zero; the last level is one word. All
    // levels lie one behind the other.
    words: Box<[u64]>,
    // Where each level begins, and behind the last level the end of all words.
    levels: [u32; LEVELS + 1],
}

/// Zeroed words. Many of them are address space until they are touched, unlike those of `Vec::resize`; unlike those of `vec!`
/// a lack of memory does not end the process.
#[allow(
    unsafe_code,
    reason = "the standard library has no stable way to do both"
)]
#[expect(
    clippy::cast_ptr_alignment,
    reason = "memory with the layout of words is aligned for words"
)]
fn zeroed(length: usize) -> Option<Box<[u64]>> {
    let layout = std::alloc::Layout::array::<u64>(length).ok()?;
    debug_assert!(layout.size() > 0, "every set has a word");
    // SAFETY: the layout is not empty.
    let start = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<u64>();
    let words = std::ptr::slice_from_raw_parts_mut(start, length);
    // SAFETY: the memory comes from the global allocator with the layout of these words, and zero is a word.
    (!start.is_null()).then(|| unsafe { Box::from_raw(words) })
}

/// 64 to this power is more than any block has granules.
const LEVELS: usize = 6;

impl Bits {
    /// An empty set, unless there is no memory for it.
    pub(crate) fn new(length: usize) -> Option<Self> {
        let mut levels = [0; LEVELS + 1];
        let mut words = length.max(1);
        for level in 0..LEVELS {
            words = words.div_ceil(64);
            levels[level + 1] = levels[level] + words as u32;
        }
        let words = zeroed(levels[LEVELS] as usize)?;
        Some(Self { words, levels })
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    pub(crate) fn insert(&mut self, index: usize) {
        let mut index = index;
        for level in &self.levels[..LEVELS] {
            let word = &mut self.words[*level as usize + index / 64];
            let was_empty = *word == 0;
            *word |= 1 << (index % 64);
            if !was_empty {
                return;
            }
            index /= 64;
        }
    }

    pub(crate) fn remove(&mut self, index: usize) {
        let mut index = index;
        for level in &self.levels[..LEVELS] {
            let word = &mut self.words[*level as usize + index / 64];
            *word &= !(1 << (index % 64));
            if *word != 0 {
                return;
            }
            index /= 64;
        }
    }

    /// The words of one level.
    fn level(&self, height: usize) -> &[u64] {
        &self.words[self.levels[height] as usize..self.levels[height + 1] as usize]
    }

    /// The smallest member that is at least `from`.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut index = from;
        for height in 0..LEVELS {
            let level = self.level(height);
            let word = level.get(index / 64)? & (u64::MAX << (index % 64));
            if word != 0 {
                return Some(
                    self.descend_first(height, index / 64 * 64 + word.trailing_zeros() as usize),
                );
            }
            index = index / 64 + 1;
        }
        None
    }

    /// The largest member that is at most `from`.
    pub(crate) fn previous(&self, from: usize) -> Option<usize> {
        let mut index = from;
        for height in 0..LEVELS {
            let level = self.level(height);
            let word = level[index / 64] & (u64::MAX >> (63 - index % 64));
            if word != 0 {
                return Some(
                    self.descend_last(height, index / 64 * 64 + 63 - word.leading_zeros() as usize),
                );
            }
            index = (index / 64).checked_sub(1)?;
        }
        None
    }

    fn descend_first(&self, height: usize, index: usize) -> usize {
        (0..height).rev().fold(index, |index, height| {
            index * 64 + self.level(height)[index].trailing_zeros() as usize
        })
    }

    fn descend_last(&self, height: usize, index: usize) -> usize {
        (0..height).rev().fold(index, |index, height| {
            index * 64 + 63 - self.level(height)[index].leading_zeros() as usize
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.next(0), |last| self.next(last + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_an_ordered_set(length in 1_usize..20_000, actions in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400), probes in prop::collection::vec(any::<prop::sample::Index>(), 20)) {
            let mut bits = Bits::new(length).unwrap();
            let mut oracle = BTreeSet::new();
            for (insert, index) in actions {
                let index = index.index(length);
                if insert { bits.insert(index); oracle.insert(index); } else { bits.remove(index); oracle.remove(&index); }
            }
            prop_assert!(bits.iter().eq(oracle.iter().copied()));
            for probe in probes {
                let probe = probe.index(length);
                prop_assert_eq!(bits.contains(probe), oracle.contains(&probe));
                prop_assert_eq!(bits.next(probe), oracle.range(probe..).next().copied());
                prop_assert_eq!(bits.previous(probe), oracle.range(..=probe).next_back().copied());
            }
        }
    }
}
