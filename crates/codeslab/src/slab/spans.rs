//! What is carved for one request: the one form that a request has from the moment in which a block carves it to the moment in
//! which the block takes it back.
//!
//! A value is moved, never copied: who holds it owns the bytes, and handing it to [`Block::free`](crate::block::Block::free) ends
//! that. The slabs make them, allocations, the thread cache and the quarantine keep them, and threads send them to each other.

use super::span::Span;
use crate::model::protection::Protection;

/// Bytes of a granule, which every span is a multiple of: small, because most sections of real objects are.
pub(crate) const GRANULE: u64 = 16;

/// One span for each protection, or none where the request has no such segment.
///
/// Each is one word: where it begins above, how long it is below, in granules. A word is stored and loaded whole; fields of half
/// a word that are read together would wait for each other's way through memory.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Spans([u64; 3]);

impl Spans {
    /// The span of one protection.
    #[inline]
    pub(crate) const fn get(&self, protection: Protection) -> Option<Span> {
        let word = self.0[protection.index()];
        if word == 0 {
            return None;
        }
        Some(Span {
            offset: (word >> 32) * GRANULE,
            size: (word & 0xffff_ffff) * GRANULE,
        })
    }

    /// Adds the span of one protection. It is a multiple of granules, in the first 64 GiB of its block.
    #[inline]
    pub(crate) fn set(&mut self, protection: Protection, span: Span) {
        let (start, length) = (span.offset / GRANULE, span.size / GRANULE);
        debug_assert!(
            (start | length) >> 32 == 0 && length > 0,
            "{span:?} is too far away"
        );
        self.0[protection.index()] = start << 32 | length;
    }

    /// Leaves out the span of one protection.
    pub(crate) const fn remove(&mut self, protection: Protection) {
        self.0[protection.index()] = 0;
    }

    /// Every span with its protection.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Protection, Span)> + '_ {
        let span = |protection| Some((protection, self.get(protection)?));
        Protection::ALL.into_iter().filter_map(span)
    }

    /// The granules of each span: what makes two requests of one shape.
    #[inline]
    pub(crate) const fn granules(&self) -> [u32; 3] {
        let [code, constants, data] = self.0;
        [code as u32, constants as u32, data as u32]
    }

    /// Bytes of all spans.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        let granules = self.granules().into_iter().map(u64::from);
        granules.sum::<u64>() * GRANULE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_out_as_they_went_in_wherever_in_a_block_they_are() {
        let far = u64::from(u32::MAX) * GRANULE;
        for offset in [0, GRANULE, 16 << 20, 4 << 30, far] {
            for size in [GRANULE, 4 << 30, far] {
                let span = Span { offset, size };
                let mut spans = Spans::default();
                spans.set(Protection::ReadOnly, span);
                assert_eq!(spans.get(Protection::ReadOnly), Some(span));
                assert!(spans.iter().eq([(Protection::ReadOnly, span)]));
                assert_eq!(spans.bytes(), size);
                assert_eq!(spans.granules(), [0, (size / GRANULE) as u32, 0]);
                spans.remove(Protection::ReadOnly);
                assert_eq!(spans, Spans::default());
            }
        }
        assert_eq!(size_of::<Spans>(), 24);
    }
}
