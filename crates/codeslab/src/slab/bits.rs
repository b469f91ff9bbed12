//! Sets of small numbers that one thread changes and any thread reads.
//!
//! A large empty set costs address space only. One thread at a time changes a set, which its owner sees to, so a change is a plain load and
//! a plain store of one word. Readers see each word before or after a change, and a reader that sees a change sees all changes before it.

use crate::sync::{AtomicU64, Ordering, WordSource, Words};

/// A set of numbers without order. Either one thread at a time changes it, or any does, with the functions for that.
#[derive(Debug)]
pub(crate) struct Flags {
    words: Words,
}

impl Flags {
    /// An empty set of numbers below `length`, unless there is no memory for it.
    pub(crate) fn new(length: usize, source: &mut WordSource) -> Option<Self> {
        let words = source.take(length.div_ceil(64).max(1))?;
        Some(Self { words })
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        word(&self.words, index / 64) >> (index % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn insert(&self, index: usize) {
        let one = &self.words[index / 64];
        let before = one.load(Ordering::Relaxed);
        one.store(before | 1 << (index % 64), Ordering::Release);
    }

    #[inline]
    pub(crate) fn remove(&self, index: usize) {
        let one = &self.words[index / 64];
        let before = one.load(Ordering::Relaxed);
        one.store(before & !(1 << (index % 64)), Ordering::Release);
    }

    pub(crate) fn insert_by_any(&self, index: usize) {
        self.words[index / 64].fetch_or(1 << (index % 64), Ordering::Release);
    }

    pub(crate) fn remove_by_any(&self, index: usize) {
        self.words[index / 64].fetch_and(!(1 << (index % 64)), Ordering::Release);
    }
}

/// A set of numbers that finds its next and its previous member in a few steps, however far away they are: above the words there
/// are words that say which words below are not zero.
#[derive(Debug)]
pub(crate) struct Bits {
    // Invariant between changes: bit i of level n + 1 is set exactly if word i of level n is not zero; the last level is one word.
    // All levels lie one behind the other. A member is in the lowest level before it is in the others, and leaves the others
    // after it has left the lowest: what was there before a change and is there after it is found all the while.
    words: Words,
    // Where each level begins, and behind the last level the end of all words.
    levels: [u32; LEVELS + 1],
}

/// 64 to this power is more than any block has granules.
const LEVELS: usize = 6;

impl Bits {
    /// An empty set, unless there is no memory for it.
    pub(crate) fn new(length: usize, source: &mut WordSource) -> Option<Self> {
        let mut levels = [0; LEVELS + 1];
        let mut words = length.max(1);
        for level in 0..LEVELS {
            words = words.div_ceil(64);
            levels[level + 1] = levels[level] + words as u32;
        }
        let words = source.take(levels[LEVELS] as usize)?;
        Some(Self { words, levels })
    }

    pub(crate) fn bytes(&self) -> u64 {
        size_of_val(&*self.words) as u64
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        word(&self.words, index / 64) >> (index % 64) & 1 == 1
    }

    pub(crate) fn insert(&self, index: usize) {
        let mut index = index;
        for level in &self.levels[..LEVELS] {
            let one = &self.words[*level as usize + index / 64];
            let before = one.load(Ordering::Relaxed);
            one.store(before | 1 << (index % 64), Ordering::Release);
            if before != 0 {
                return;
            }
            index /= 64;
        }
    }

    /// The same where the words may never have been used: memory that is read before it is written faults twice.
    pub(crate) fn insert_in_fresh(&self, index: usize) {
        let mut index = index;
        for level in &self.levels[..LEVELS] {
            let (one, bit) = (&self.words[*level as usize + index / 64], 1 << (index % 64));
            // What it returns is not looked at: x86-64 has no such instruction that tells, and would read before.
            one.fetch_or(bit, Ordering::Release);
            if one.load(Ordering::Relaxed) != bit {
                return;
            }
            index /= 64;
        }
    }

    pub(crate) fn remove(&self, index: usize) {
        let mut index = index;
        for level in &self.levels[..LEVELS] {
            let one = &self.words[*level as usize + index / 64];
            let after = one.load(Ordering::Relaxed) & !(1 << (index % 64));
            one.store(after, Ordering::Release);
            if after != 0 {
                return;
            }
            index /= 64;
        }
    }

    pub(crate) fn clear(&self) {
        while let Some(first) = self.next(0) {
            self.remove(first);
        }
    }

    fn level(&self, height: usize) -> &[AtomicU64] {
        &self.words[self.levels[height] as usize..self.levels[height + 1] as usize]
    }

    /// The smallest member that is at least `from`.
    #[inline]
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        // Most often it is near.
        let word = self.words.get(from / 64)?.load(Ordering::Acquire) & (u64::MAX << (from % 64));
        if word != 0 && from / 64 < self.levels[1] as usize {
            return Some(from / 64 * 64 + word.trailing_zeros() as usize);
        }
        self.next_behind(from / 64 + 1)
    }

    /// The smallest member whose word is at least `word`: in that word most often, too.
    fn next_behind(&self, word: usize) -> Option<usize> {
        let first = self.level(0).get(word)?.load(Ordering::Relaxed);
        if first != 0 {
            return Some(word * 64 + first.trailing_zeros() as usize);
        }
        self.next_above(word + 1)
    }

    /// The smallest member whose word is at least `word`.
    #[cold]
    fn next_above(&self, word: usize) -> Option<usize> {
        let mut index = word;
        for height in 1..LEVELS {
            let level = self.level(height);
            let word = level.get(index / 64)?.load(Ordering::Acquire) & (u64::MAX << (index % 64));
            if word != 0 {
                let first = index / 64 * 64 + word.trailing_zeros() as usize;
                return self.descend_first(height, first);
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
            let word = word(level, index / 64) & (u64::MAX >> (63 - index % 64));
            if word != 0 {
                let last = index / 64 * 64 + 63 - word.leading_zeros() as usize;
                return self.descend_last(height, last);
            }
            index = (index / 64).checked_sub(1)?;
        }
        None
    }

    // A reader that meets a change may find nothing below. One that asks for a member that stays in the set does not.
    fn descend_first(&self, height: usize, index: usize) -> Option<usize> {
        (0..height).rev().try_fold(index, |index, height| {
            let word = word(self.level(height), index);
            (word != 0).then(|| index * 64 + word.trailing_zeros() as usize)
        })
    }

    fn descend_last(&self, height: usize, index: usize) -> Option<usize> {
        (0..height).rev().try_fold(index, |index, height| {
            let word = word(self.level(height), index);
            (word != 0).then(|| index * 64 + 63 - word.leading_zeros() as usize)
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.next(0), |last| self.next(last + 1))
    }
}

fn word(words: &[AtomicU64], index: usize) -> u64 {
    words[index].load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::{Bits, WordSource};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_an_ordered_set(length in 1_usize..20_000, actions in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400), probes in prop::collection::vec(any::<prop::sample::Index>(), 20)) {
            let bits = Bits::new(length, &mut WordSource::allocator()).unwrap();
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
