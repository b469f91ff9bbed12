//! Requests that were freed lately and are kept whole: a compiler often replaces code by code of the same sizes.
//!
//! A shard keeps a few for the block that it carves from. Handing one out again looks at a few words and changes no slab (ARCHITECTURE.md
//! has the figures). The spans still count as carved, are retracted, and are marked as freed. The cache owns them. Only near spans are kept:
//! they and their sizes are two plain words.

use crate::block::geometry::Geometry;
use crate::model::address::Address;
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::slab::span::{Located, Span};
use crate::slab::spans::{GRANULE, Granules};

/// As many are kept.
const MOST: usize = 8;
/// Requests with more bytes than this are not kept.
const MOST_BYTES: u64 = 16 << 10;

/// What a freed request has to be like to be used again for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    // Granules of each segment.
    granules: Granules,
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
            geometry.granules_of(protection, size)
        });
        Some(Self::new(Granules::new(granules), layout.aligns_log2()))
    }

    #[inline]
    fn new(granules: Granules, aligns: [u8; 3]) -> Self {
        let [code, constants, data] = aligns;
        let most = code.max(constants).max(data);
        Self {
            granules,
            aligns,
            fits_any_granule: u32::from(most) <= GRANULE.ilog2(),
        }
    }

    #[inline]
    fn fits(&self, kept: &Kept, base: Address) -> bool {
        kept.granules == self.granules
            && (self.fits_any_granule || self.is_aligned(kept.starts, base))
    }

    #[cold]
    fn is_aligned(&self, starts: Granules, base: Address) -> bool {
        Protection::ALL.into_iter().all(|protection| {
            let misaligned = (1 << self.aligns[protection.index()]) - 1;
            let offset = starts.offset(protection);
            offset.is_none_or(|offset| (base.value() + offset) & misaligned == 0)
        })
    }
}

/// A freed request, in two words: where its spans begin, and how many granules they have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) starts: Granules,
    pub(crate) granules: Granules,
}

impl Kept {
    /// Of spans that begin at `starts` and have so many bytes, unless they are larger than what is kept.
    #[inline]
    pub(crate) fn new(starts: Granules, sizes: [u64; 3]) -> Option<Self> {
        let [code, constants, data] = sizes;
        (code + constants + data <= MOST_BYTES).then(|| Self {
            starts,
            granules: Granules::new(sizes.map(|size| size / GRANULE)),
        })
    }

    pub(crate) fn located(self) -> Located {
        Protection::ALL.map(|protection| {
            let offset = self.starts.offset(protection)?;
            let size = self.granules.get(protection) * GRANULE;
            Some(Span { offset, size })
        })
    }
}

/// Freed requests of one block that are ready to be used again.
#[derive(Debug, Default)]
pub(crate) struct ThreadCache {
    // Invariant: the first `count` are there, the last freed behind.
    kept: [Kept; MOST],
    count: usize,
}

impl ThreadCache {
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> u64 {
        let kept = self.kept.iter().take(self.count);
        kept.map(|one| one.granules.bytes()).sum()
    }

    /// Takes out spans of just this shape, in a block that begins at `base`.
    #[inline]
    pub(crate) fn take(&mut self, shape: &Shape, base: Address) -> Option<Kept> {
        let last = self.count.checked_sub(1)?;
        let kept = self.kept.get(last)?;
        if shape.fits(kept, base) {
            self.count = last;
            return Some(*kept);
        }
        self.take_older(shape, base)
    }

    #[cold]
    fn take_older(&mut self, shape: &Shape, base: Address) -> Option<Kept> {
        let kept = self.kept.get(..self.count)?;
        let index = kept.iter().rposition(|kept| shape.fits(kept, base))?;
        Some(self.take_at(index))
    }

    fn take_at(&mut self, index: usize) -> Kept {
        let kept = self.kept[index];
        self.kept.copy_within(index + 1..self.count, index);
        self.count -= 1;
        kept
    }

    /// Puts spans in, which it keeps. Those that have been there longest come out if it is full.
    #[inline]
    pub(crate) fn put(&mut self, kept: Kept) -> Option<Kept> {
        let oldest = (self.count == MOST).then(|| self.take_at(0));
        self.kept[self.count] = kept;
        self.count += 1;
        oldest
    }

    /// Takes out those that have been there longest.
    pub(crate) fn take_oldest(&mut self) -> Option<Kept> {
        (self.count > 0).then(|| self.take_at(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::span::Span;
    use crate::slab::spans::Spans;

    /// Code at one granule and data a thousand behind it, where there are so many granules of them.
    fn kept(start: u64, granules: [u64; 3]) -> Option<Kept> {
        let offsets = [start, 0, 1000 + start].map(|start| start * GRANULE);
        let span = |index: usize| {
            let (offset, size) = (offsets[index], granules[index] * GRANULE);
            (size > 0).then_some(Span { offset, size })
        };
        let carved = std::array::from_fn(span);
        let starts = Spans::new(&carved).unwrap().starts().unwrap();
        let kept = Kept::new(starts, granules.map(|number| number * GRANULE))?;
        assert_eq!(kept.located(), carved);
        Some(kept)
    }

    fn put(cache: &mut ThreadCache, start: u64, granules: [u64; 3]) -> Option<u64> {
        start_of(cache.put(kept(start, granules).unwrap()))
    }

    /// The granule at which the code of a request begins.
    fn start_of(kept: Option<Kept>) -> Option<u64> {
        let offset = kept?.starts.offset(Protection::ReadExecute);
        offset.map(|offset| offset / GRANULE)
    }

    fn shape(granules: [u64; 3], align: u64) -> Shape {
        Shape::new(Granules::new(granules), [align.ilog2() as u8, 0, 0])
    }

    #[test]
    fn a_request_gets_what_was_freed_last_of_just_its_shape() {
        let mut cache = ThreadCache::default();
        for start in [16, 32, 48] {
            assert_eq!(put(&mut cache, start, [4, 0, 1]), None);
        }
        assert_eq!(put(&mut cache, 64, [5, 0, 1]), None);
        let base = Address::new(1 << 20);
        let mut take = |shape| start_of(cache.take(&shape, base));
        assert_eq!(take(shape([4, 0, 2], 16)), None);
        assert_eq!(take(shape([4, 0, 1], 16)), Some(48));
        assert_eq!(take(shape([4, 0, 1], 512)), Some(32));
        assert_eq!(
            take(shape([4, 0, 1], 512)),
            None,
            "16 granules are 256 bytes"
        );
        assert_eq!(cache.len(), 2);
        assert_eq!(start_of(cache.take_oldest()), Some(16));
        let mut take = |shape| start_of(cache.take(&shape, base));
        assert_eq!(take(shape([5, 0, 1], 1)), Some(64));
        assert_eq!(take(shape([5, 0, 1], 1)), None);
    }

    #[test]
    fn the_alignment_of_a_segment_without_bytes_keeps_nothing_from_fitting() {
        let mut cache = ThreadCache::default();
        assert_eq!(put(&mut cache, 1, [4, 0, 0]), None);
        let shape = Shape::new(Granules::new([4, 0, 0]), [4, 0, 12]);
        assert_eq!(start_of(cache.take(&shape, Address::new(0))), Some(1));
    }

    #[test]
    fn few_and_small_requests_are_kept() {
        let mut cache = ThreadCache::default();
        let most = MOST_BYTES / GRANULE;
        assert!(kept(1, [most, 0, 1]).is_none());
        assert!(kept(1, [most - 1, 0, 1]).is_some());
        for start in 0..MOST as u64 {
            assert_eq!(put(&mut cache, start, [1, 0, 1]), None);
        }
        assert_eq!(put(&mut cache, 99, [1, 0, 1]), Some(0));
        assert_eq!(
            (cache.len(), cache.bytes()),
            (MOST, 2 * GRANULE * MOST as u64)
        );
    }
}
