//! Where in its block an allocation is, in eight bytes, because there are as many as there are allocations. How long its spans are,
//! the slabs know.
#![allow(unsafe_code, reason = "a word is either three numbers or a box")]

use crate::block::geometry::{GRANULE, Spans};
use crate::model::protection::Protection;
use crate::slab::span::Span;

/// Bits for the beginning of one span, in granules: enough for blocks of 16 MiB.
const BITS: u32 = 21;
/// Stands for no span.
const NOWHERE: u32 = (1 << BITS) - 1;

/// Three numbers of 21 bits, one for each protection, in one word: they stay in a register where three words would go
/// through memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Packed(u64);

impl Packed {
    /// Of numbers that are small enough.
    #[inline]
    pub(crate) fn new(numbers: [u64; 3]) -> Self {
        debug_assert!(numbers.iter().all(|number| *number >> BITS == 0));
        Self(numbers[0] | numbers[1] << BITS | numbers[2] << (2 * BITS))
    }

    #[inline]
    const fn get(self, protection: Protection) -> u32 {
        (self.0 >> (protection.index() as u32 * BITS)) as u32 & NOWHERE
    }
}

/// Small spans of one request in two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Round {
    // `NOWHERE` where there is no span.
    starts: Packed,
    // Granules; 0 where there is no span.
    sizes: Packed,
}

impl Round {
    /// `None` if they are too far from the start of their block, or too large.
    pub(crate) fn of(spans: &Spans) -> Option<Self> {
        let (starts, are_near) = pack_starts(spans);
        let are_small = spans.sizes().iter().all(|size| size >> BITS == 0);
        (are_near && are_small).then(|| Self {
            starts,
            sizes: Packed::new(spans.sizes().map(u64::from)),
        })
    }

    /// What begins at `starts`; `size_of` says how many granules the span at an offset has. `None` if one is too large.
    #[inline]
    pub(crate) fn at(starts: Packed, size_of: impl Fn(Protection, u64) -> u64) -> Option<Self> {
        let sizes = Protection::ALL.map(|protection| {
            let offset = offset_at(starts, protection);
            offset.map_or(0, |offset| size_of(protection, offset))
        });
        let are_small = (sizes[0] | sizes[1] | sizes[2]) >> BITS == 0;
        are_small.then(|| Self {
            starts,
            sizes: Packed::new(sizes),
        })
    }

    #[inline]
    pub(crate) const fn starts(self) -> Packed {
        self.starts
    }

    #[inline]
    pub(crate) const fn sizes(self) -> Packed {
        self.sizes
    }

    #[inline]
    pub(crate) fn get(self, protection: Protection) -> Option<Span> {
        offset_at(self.starts, protection).map(|offset| Span {
            offset,
            size: u64::from(self.sizes.get(protection)) * GRANULE,
        })
    }

    /// Bytes of all spans.
    #[inline]
    pub(crate) fn bytes(self) -> u64 {
        let granules = |protection| u64::from(self.sizes.get(protection));
        Protection::ALL.into_iter().map(granules).sum::<u64>() * GRANULE
    }

    /// The same, not packed.
    pub(crate) fn spans(self) -> Spans {
        let starts = Protection::ALL.map(|protection| self.starts.get(protection));
        Spans::new(
            starts,
            Protection::ALL.map(|protection| self.sizes.get(protection)),
        )
    }
}

/// Where spans begin, and whether that could be packed.
#[inline]
fn pack_starts(spans: &Spans) -> (Packed, bool) {
    let mut numbers = [u64::from(NOWHERE); 3];
    let mut are_near = true;
    for (index, number) in numbers.iter_mut().enumerate() {
        if spans.sizes()[index] > 0 {
            are_near &= spans.starts()[index] < NOWHERE;
            *number = u64::from(spans.starts()[index] & NOWHERE);
        }
    }
    (Packed::new(numbers), are_near)
}

#[inline]
fn offset_at(starts: Packed, protection: Protection) -> Option<u64> {
    let start = starts.get(protection);
    (start != NOWHERE).then(|| u64::from(start) * GRANULE)
}

/// Where the spans of an allocation begin, one for each protection.
#[derive(Debug)]
pub(crate) struct Place {
    // Either three packed numbers, shifted left by one, and a one in the lowest bit; or what a box is.
    word: *mut [u32; 3],
}

// SAFETY: it owns its box, whose content never changes.
unsafe impl Send for Place {}
// SAFETY: likewise.
unsafe impl Sync for Place {}

impl Place {
    /// `None` if there is no memory for it, in a block of more than 16 MiB.
    pub(crate) fn new(spans: &Spans) -> Option<Self> {
        let (starts, are_near) = pack_starts(spans);
        if are_near {
            Some(Self::of_packed(starts))
        } else {
            Self::boxed(spans)
        }
    }

    /// Of the beginnings of spans, as [`Round::starts`] has them.
    #[inline]
    pub(crate) const fn of_packed(starts: Packed) -> Self {
        Self {
            word: std::ptr::without_provenance_mut((starts.0 << 1 | 1) as usize),
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

    /// Where spans begin, unless one is far from the start of its block.
    #[inline]
    pub(crate) fn packed(&self) -> Option<Packed> {
        let word = self.word.addr() as u64;
        (word & 1 == 1).then_some(Packed(word >> 1))
    }

    /// Where the span of this protection begins, in bytes from the start of the block.
    #[inline]
    pub(crate) fn offset(&self, protection: Protection) -> Option<u64> {
        let Some(starts) = self.packed() else {
            // SAFETY: the word is what `boxed` made of a box, which lives as long as `self`.
            let start = unsafe { (*self.word)[protection.index()] };
            return (start != u32::MAX).then(|| u64::from(start) * GRANULE);
        };
        offset_at(starts, protection)
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

    #[test]
    fn says_where_spans_begin_in_small_and_in_large_blocks() {
        let at = |offset| Some(Span { offset, size: 16 });
        for (carving, is_packed) in [
            ([at(0), None, None], true),
            ([None, at(16), at((16 << 20) - 16)], true),
            ([at(32), at(1 << 30), None], false),
            (
                [
                    at((32 << 20) - 16),
                    at(u64::from(u32::MAX - 1) * GRANULE),
                    at(0),
                ],
                false,
            ),
        ] {
            let spans = Spans::of(&carving);
            let place = Place::new(&spans).unwrap();
            let offsets = Protection::ALL.map(|protection| place.offset(protection));
            assert_eq!(offsets, carving.map(|span| span.map(|span| span.offset)));
            assert_eq!(place.packed().is_some(), is_packed);
            assert_eq!(Round::of(&spans).map(Round::starts), place.packed());
        }
        assert_eq!(size_of::<Place>(), 8);
    }

    #[test]
    fn a_round_is_the_same_spans_in_two_words() {
        let most = (1 << BITS) - 1;
        let spans = Spans::new([7, 0, NOWHERE - 1], [most, 0, 2]);
        let round = Round::of(&spans).unwrap();
        for protection in Protection::ALL {
            assert_eq!(round.get(protection), spans.get(protection));
        }
        assert_eq!(round.bytes(), spans.bytes());
        assert!(round.spans().iter().eq(spans.iter()));
        let sizes = |protection: Protection, _| u64::from(spans.sizes()[protection.index()]);
        assert_eq!(Round::at(round.starts(), sizes), Some(round));
        assert_eq!(Round::of(&Spans::new([0; 3], [most + 1, 0, 0])), None);
        let too_large = |_, _| u64::from(most) + 1;
        assert_eq!(Round::at(round.starts(), too_large), None);
    }
}
