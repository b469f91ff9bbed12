//! Where in its block an allocation is, in eight bytes, because there are as many as there are allocations. How long its spans are,
//! the slabs know.
#![allow(unsafe_code, reason = "a word is either three numbers or a box")]

use crate::division::{GRANULE, Spans};
use crate::protection::Protection;

/// Bits for the beginning of one span, in granules: enough for blocks of 16 MiB.
const BITS: u32 = 21;
/// Stands for no span.
const NOWHERE: u32 = (1 << BITS) - 1;

/// Where the spans of an allocation begin, one for each protection.
#[derive(Debug)]
pub(crate) struct Place {
    // Either three numbers of `BITS` bits, shifted left by one, and a one in the lowest bit; or what a box is.
    word: *mut [u32; 3],
}

// SAFETY: it owns its box, whose content never changes.
unsafe impl Send for Place {}
// SAFETY: likewise.
unsafe impl Sync for Place {}

impl Place {
    /// `None` if there is no memory for it, in a block of more than 16 MiB.
    #[inline]
    pub(crate) fn new(spans: &Spans) -> Option<Self> {
        let mut packed = 0;
        let mut are_near = true;
        for (start, size) in spans.starts().iter().zip(spans.sizes()).rev() {
            let start = if *size == 0 { NOWHERE } else { *start };
            are_near &= start < NOWHERE || *size == 0;
            packed = packed << BITS | u64::from(start & NOWHERE);
        }
        if are_near {
            let word = std::ptr::without_provenance_mut((packed << 1 | 1) as usize);
            Some(Self { word })
        } else {
            Self::boxed(spans)
        }
    }

    #[cold]
    fn boxed(spans: &Spans) -> Option<Self> {
        let mut starts = [u32::MAX; 3];
        for (protection, _) in spans.iter() {
            starts[protection.index()] = spans.starts()[protection.index()];
        }
        let mut room = Vec::new();
        room.try_reserve_exact(1).ok()?;
        room.push(starts);
        let word = Box::into_raw(room.into_boxed_slice()).cast();
        Some(Self { word })
    }

    #[inline]
    fn packed(&self) -> Option<u64> {
        let word = self.word.addr() as u64;
        (word & 1 == 1).then_some(word >> 1)
    }

    /// Where the span of this protection begins, in bytes from the start of the block.
    #[inline]
    pub(crate) fn offset(&self, protection: Protection) -> Option<u64> {
        let index = protection.index();
        let (start, nowhere) = match self.packed() {
            Some(packed) => ((packed >> (index as u32 * BITS)) as u32 & NOWHERE, NOWHERE),
            // SAFETY: the word is what `boxed` made of a box, which lives as long as `self`.
            None => (unsafe { (*self.word)[index] }, u32::MAX),
        };
        (start != nowhere).then(|| u64::from(start) * GRANULE)
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        if self.packed().is_none() {
            let room = std::ptr::slice_from_raw_parts_mut(self.word, 1);
            // SAFETY: the word is what `boxed` made of a box of one, and nobody uses it any more.
            drop(unsafe { Box::from_raw(room) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    #[test]
    fn says_where_spans_begin_in_small_and_in_large_blocks() {
        let at = |offset| Some(Span { offset, size: 16 });
        for carving in [
            [at(0), None, None],
            [None, at(16), at((16 << 20) - 16)],
            [at(32), at(1 << 30), None],
            [
                at((32 << 20) - 16),
                at(u64::from(u32::MAX - 1) * GRANULE),
                at(0),
            ],
        ] {
            let place = Place::new(&Spans::of(&carving)).unwrap();
            let offsets = Protection::ALL.map(|protection| place.offset(protection));
            assert_eq!(offsets, carving.map(|span| span.map(|span| span.offset)));
        }
        assert_eq!(size_of::<Place>(), 8);
    }
}
