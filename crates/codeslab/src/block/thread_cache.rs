//! Requests that were freed lately and are kept whole: a compiler often replaces code by code of the same sizes.
//!
//! What goes in and what comes out are two words each, so that a request that is freed and made again stays in registers
//! all the way.

use crate::block::geometry::{GRANULE, Geometry};
use crate::block::place::{Packed, Round};
use crate::model::address::Address;
use crate::model::layout::Layout;
use crate::model::protection::Protection;

/// As many are kept.
const ROUNDS: usize = 8;
/// Requests with more bytes than this are not kept.
const MOST_BYTES: u64 = 16 << 10;

/// What a freed request has to be like to be used again for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    // Granules of each segment.
    sizes: Packed,
    // log2 of the alignment of each segment.
    aligns: [u8; 3],
    // Whether every segment may begin at any granule, as most do.
    fits_any_granule: bool,
}

impl Shape {
    /// The shape of a request, unless it is one that is not kept.
    #[inline]
    pub(crate) fn of(layout: &Layout, geometry: &Geometry) -> Option<Self> {
        if layout.size() > MOST_BYTES {
            return None;
        }
        let granules =
            |protection| geometry.granules_of(protection, layout.segment(protection).size);
        let sizes = Packed::new(Protection::ALL.map(granules));
        Some(Self::new(sizes, layout.aligns_log2()))
    }

    #[inline]
    fn new(sizes: Packed, aligns: [u8; 3]) -> Self {
        let [code, constants, data] = aligns;
        let most = code.max(constants).max(data);
        Self {
            sizes,
            aligns,
            fits_any_granule: u32::from(most) <= GRANULE.ilog2(),
        }
    }

    #[inline]
    fn fits(&self, round: Round, base: Address) -> bool {
        round.sizes() == self.sizes && (self.fits_any_granule || self.is_aligned(round, base))
    }

    #[cold]
    fn is_aligned(&self, round: Round, base: Address) -> bool {
        Protection::ALL.into_iter().all(|protection| {
            let misaligned = (1 << self.aligns[protection.index()]) - 1;
            let span = round.get(protection);
            span.is_none_or(|span| (base.value() + span.offset) & misaligned == 0)
        })
    }
}

/// Freed spans of one block that nobody uses and that are ready to be used again. They still count as carved there.
#[derive(Debug, Default)]
pub(crate) struct ThreadCache {
    // Invariant: the first `count` are there, the last freed behind.
    rounds: [Round; ROUNDS],
    count: usize,
}

impl ThreadCache {
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Bytes of its spans.
    pub(crate) fn bytes(&self) -> u64 {
        let rounds = self.rounds.iter().take(self.count);
        rounds.map(|round| round.bytes()).sum()
    }

    /// Whether it keeps requests like this.
    #[inline]
    pub(crate) fn keeps(round: Round) -> bool {
        round.bytes() <= MOST_BYTES
    }

    /// Takes out spans of just this shape, in a block that begins at `base`.
    #[inline]
    pub(crate) fn take(&mut self, shape: &Shape, base: Address) -> Option<Round> {
        let rounds = self.rounds.get_mut(..self.count)?;
        let (last, others) = rounds.split_last()?;
        if shape.fits(*last, base) {
            self.count = others.len();
            return Some(*last);
        }
        self.take_older(shape, base)
    }

    #[cold]
    fn take_older(&mut self, shape: &Shape, base: Address) -> Option<Round> {
        let rounds = self.rounds.get_mut(..self.count)?;
        let index = rounds.iter().rposition(|round| shape.fits(*round, base))?;
        let round = rounds[index];
        rounds.copy_within(index + 1.., index);
        self.count -= 1;
        Some(round)
    }

    /// Puts spans in, which it keeps. Those that have been there longest come out if it is full.
    #[inline]
    pub(crate) fn put(&mut self, round: Round) -> Option<Round> {
        debug_assert!(Self::keeps(round));
        if let Some(free) = self.rounds.get_mut(self.count) {
            *free = round;
            self.count += 1;
            return None;
        }
        let oldest = self.take_oldest();
        self.rounds[self.count] = round;
        self.count += 1;
        Some(oldest)
    }

    fn take_oldest(&mut self) -> Round {
        let oldest = self.rounds[0];
        self.rounds.copy_within(1.., 0);
        self.count -= 1;
        oldest
    }

    /// Takes out any.
    pub(crate) fn pop(&mut self) -> Option<Round> {
        (self.count > 0).then(|| self.take_oldest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::geometry::Spans;

    fn round(start: u32, code: u32, data: u32) -> Round {
        Round::of(&Spans::new([start, 0, 1000 + start], [code, 0, data])).unwrap()
    }

    fn shape(code: u64, data: u64, align: u64) -> Shape {
        Shape::new(Packed::new([code, 0, data]), [align.ilog2() as u8, 0, 0])
    }

    #[test]
    fn gives_out_what_was_freed_last_of_just_that_shape() {
        let mut thread_cache = ThreadCache::default();
        for start in [16, 32, 48] {
            assert_eq!(thread_cache.put(round(start, 4, 1)), None);
        }
        assert_eq!(thread_cache.put(round(64, 5, 1)), None);
        let base = Address::new(1 << 20);
        assert_eq!(thread_cache.take(&shape(4, 2, 16), base), None);
        assert_eq!(
            thread_cache.take(&shape(4, 1, 16), base),
            Some(round(48, 4, 1))
        );
        assert_eq!(
            thread_cache.take(&shape(4, 1, 512), base),
            Some(round(32, 4, 1))
        );
        assert_eq!(
            thread_cache.take(&shape(4, 1, 512), base),
            None,
            "16 granules are 256 bytes"
        );
        assert_eq!(thread_cache.len(), 2);
        assert_eq!(thread_cache.pop(), Some(round(16, 4, 1)));
        assert_eq!(
            thread_cache.take(&shape(5, 1, 1), base),
            Some(round(64, 5, 1))
        );
        assert_eq!(thread_cache.take(&shape(5, 1, 1), base), None);
    }

    #[test]
    fn a_segment_that_is_not_there_is_aligned_to_anything() {
        let mut thread_cache = ThreadCache::default();
        assert_eq!(thread_cache.put(round(1, 4, 0)), None);
        let shape = Shape::new(Packed::new([4, 0, 0]), [4, 0, 12]);
        assert_eq!(
            thread_cache.take(&shape, Address::new(0)),
            Some(round(1, 4, 0))
        );
    }

    #[test]
    fn keeps_few_and_small_ones() {
        let mut thread_cache = ThreadCache::default();
        assert!(!ThreadCache::keeps(round(0, 1024, 1)) && ThreadCache::keeps(round(0, 1023, 1)));
        for start in 0..ROUNDS as u32 {
            assert_eq!(thread_cache.put(round(start, 1, 1)), None);
        }
        assert_eq!(thread_cache.put(round(99, 1, 1)), Some(round(0, 1, 1)));
        assert_eq!(
            (thread_cache.len(), thread_cache.bytes()),
            (ROUNDS, 32 * ROUNDS as u64)
        );
    }
}
