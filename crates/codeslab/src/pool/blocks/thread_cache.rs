//! Requests that were freed lately and are kept whole: a compiler often replaces code by code of the same sizes.
//!
//! A shard keeps a few for the block that it carves from. Handing one out again looks at a few words and changes no slab, which is
//! half of what carving and merging cost (ARCHITECTURE.md has the figures). The spans still count as carved, are retracted, and
//! are marked as freed, so that a lookup does not take them for live.

use crate::block::geometry::Geometry;
use crate::model::address::Address;
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::slab::spans::{GRANULE, Spans};

/// As many are kept.
const MOST: usize = 8;
/// Requests with more bytes than this are not kept.
const MOST_BYTES: u64 = 16 << 10;

/// What a freed request has to be like to be used again for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    // Granules of each segment.
    granules: [u32; 3],
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
        let granules = Protection::ALL.map(|protection| {
            let size = layout.segment(protection).size;
            geometry.granules_of(protection, size) as u32
        });
        Some(Self::new(granules, layout.aligns_log2()))
    }

    #[inline]
    fn new(granules: [u32; 3], aligns: [u8; 3]) -> Self {
        let [code, constants, data] = aligns;
        let most = code.max(constants).max(data);
        Self {
            granules,
            aligns,
            fits_any_granule: u32::from(most) <= GRANULE.ilog2(),
        }
    }

    #[inline]
    fn fits(&self, spans: &Spans, base: Address) -> bool {
        spans.granules() == self.granules && (self.fits_any_granule || self.is_aligned(spans, base))
    }

    #[cold]
    fn is_aligned(&self, spans: &Spans, base: Address) -> bool {
        spans.iter().all(|(protection, span)| {
            let misaligned = (1 << self.aligns[protection.index()]) - 1;
            (base.value() + span.offset) & misaligned == 0
        })
    }
}

/// Freed requests of one block that are ready to be used again.
#[derive(Debug, Default)]
pub(crate) struct ThreadCache {
    // Invariant: the first `count` are there, the last freed behind.
    kept: [Spans; MOST],
    count: usize,
}

impl ThreadCache {
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Bytes of its spans.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept.iter().take(self.count).map(Spans::bytes).sum()
    }

    /// Whether it keeps requests like this.
    #[inline]
    pub(crate) fn keeps(spans: &Spans) -> bool {
        spans.bytes() <= MOST_BYTES
    }

    /// Takes out spans of just this shape, in a block that begins at `base`.
    #[inline]
    pub(crate) fn take(&mut self, shape: &Shape, base: Address) -> Option<Spans> {
        let last = self.count.checked_sub(1)?;
        if shape.fits(self.kept.get(last)?, base) {
            self.count = last;
            return Some(std::mem::take(&mut self.kept[last]));
        }
        self.take_older(shape, base)
    }

    #[cold]
    fn take_older(&mut self, shape: &Shape, base: Address) -> Option<Spans> {
        let kept = self.kept.get(..self.count)?;
        let index = kept.iter().rposition(|spans| shape.fits(spans, base))?;
        Some(self.take_at(index))
    }

    fn take_at(&mut self, index: usize) -> Spans {
        // What is behind moves up, and what is taken to the end.
        self.kept[index..self.count].rotate_left(1);
        self.count -= 1;
        std::mem::take(&mut self.kept[self.count])
    }

    /// Puts spans in, which it keeps. Those that have been there longest come out if it is full.
    #[inline]
    pub(crate) fn put(&mut self, spans: Spans) -> Option<Spans> {
        debug_assert!(Self::keeps(&spans), "only small requests are kept");
        let oldest = (self.count == MOST).then(|| self.take_at(0));
        self.kept[self.count] = spans;
        self.count += 1;
        oldest
    }

    /// Takes out those that have been there longest.
    pub(crate) fn take_oldest(&mut self) -> Option<Spans> {
        (self.count > 0).then(|| self.take_at(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::span::Span;

    /// Code at one granule and data a thousand behind it, of so many granules.
    fn spans(start: u64, code: u64, data: u64) -> Spans {
        let mut spans = Spans::default();
        for (protection, start, granules) in [
            (Protection::ReadExecute, start, code),
            (Protection::ReadWrite, 1000 + start, data),
        ] {
            if granules > 0 {
                let (offset, size) = (start * GRANULE, granules * GRANULE);
                spans.set(protection, Span { offset, size });
            }
        }
        spans
    }

    fn shape(code: u32, data: u32, align: u64) -> Shape {
        Shape::new([code, 0, data], [align.ilog2() as u8, 0, 0])
    }

    #[test]
    fn a_request_gets_what_was_freed_last_of_just_its_shape() {
        let mut cache = ThreadCache::default();
        for start in [16, 32, 48] {
            assert_eq!(cache.put(spans(start, 4, 1)), None);
        }
        assert_eq!(cache.put(spans(64, 5, 1)), None);
        let base = Address::new(1 << 20);
        assert_eq!(cache.take(&shape(4, 2, 16), base), None);
        assert_eq!(cache.take(&shape(4, 1, 16), base), Some(spans(48, 4, 1)));
        assert_eq!(cache.take(&shape(4, 1, 512), base), Some(spans(32, 4, 1)));
        assert_eq!(
            cache.take(&shape(4, 1, 512), base),
            None,
            "16 granules are 256 bytes"
        );
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.take_oldest(), Some(spans(16, 4, 1)));
        assert_eq!(cache.take(&shape(5, 1, 1), base), Some(spans(64, 5, 1)));
        assert_eq!(cache.take(&shape(5, 1, 1), base), None);
    }

    #[test]
    fn the_alignment_of_a_segment_without_bytes_keeps_nothing_from_fitting() {
        let mut cache = ThreadCache::default();
        assert_eq!(cache.put(spans(1, 4, 0)), None);
        let shape = Shape::new([4, 0, 0], [4, 0, 12]);
        assert_eq!(cache.take(&shape, Address::new(0)), Some(spans(1, 4, 0)));
    }

    #[test]
    fn few_and_small_requests_are_kept() {
        let mut cache = ThreadCache::default();
        let most = MOST_BYTES / GRANULE;
        assert!(!ThreadCache::keeps(&spans(0, most, 1)));
        assert!(ThreadCache::keeps(&spans(0, most - 1, 1)));
        for start in 0..MOST as u64 {
            assert_eq!(cache.put(spans(start, 1, 1)), None);
        }
        assert_eq!(cache.put(spans(99, 1, 1)), Some(spans(0, 1, 1)));
        assert_eq!(
            (cache.len(), cache.bytes()),
            (MOST, 2 * GRANULE * MOST as u64)
        );
    }
}
