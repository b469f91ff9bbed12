//! What is carved for one request: the one form that it has from the moment in which a block carves it to the moment in which the block
//! takes it back. A value is moved, never copied: its holder owns the bytes, and [`Block::free`](crate::block::Block::free) ends that.
//!
//! It is one word, because there are as many as there are allocations, and because two words, it and a block's header, travel in registers
//! where three would go through memory (measured: 147 instead of 83 ns for a pair). How long its spans are, the slabs know.
#![allow(unsafe_code, reason = "the word is either three numbers or a box")]

use super::span::{Located, Span};
use crate::model::protection::Protection;
use std::num::NonZero;
use std::ptr::NonNull;

/// Bytes of a granule, which every span is a multiple of: small, because most sections of real objects are.
pub(crate) const GRANULE: u64 = 16;

/// Three numbers of granules in one word, one for each protection. Below 2^21 each: enough for blocks of 32 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Granules(u64);

impl Granules {
    const BITS: u32 = 21;
    /// More than any of the numbers.
    pub(crate) const LIMIT: u64 = 1 << Self::BITS;

    /// Of numbers that are below [`Granules::LIMIT`].
    #[inline]
    pub(crate) fn new(numbers: [u64; 3]) -> Self {
        debug_assert!(
            numbers.iter().all(|number| *number < Self::LIMIT),
            "{numbers:?} do not fit"
        );
        let [code, constants, data] = numbers;
        Self(code | constants << Self::BITS | data << (2 * Self::BITS))
    }

    #[inline]
    pub(crate) const fn get(self, protection: Protection) -> u64 {
        self.0 >> (protection.index() as u32 * Self::BITS) & (Self::LIMIT - 1)
    }

    /// Of numbers that say where spans begin: in bytes from the start of the block, if there is such a span.
    #[inline]
    pub(crate) fn offset(self, protection: Protection) -> Option<u64> {
        let start = self.get(protection);
        (start != NOWHERE).then_some(start * GRANULE)
    }

    /// The sum of all three, in bytes.
    #[inline]
    pub(crate) fn bytes(self) -> u64 {
        let numbers = Protection::ALL.map(|protection| self.get(protection));
        numbers.into_iter().sum::<u64>() * GRANULE
    }
}

/// Where the spans of one request begin in their block: one for each protection, or none where the request has no such segment.
#[derive(Debug)]
pub(crate) struct Spans {
    // Either `Granules`, shifted left by one, and a one in the lowest bit; or what a box is, where a span begins beyond them.
    word: NonNull<[u32; 3]>,
}

/// Stands for no span among near ones.
const NOWHERE: u64 = Granules::LIMIT - 1;

// SAFETY: it owns its box, whose content never changes while it is shared.
unsafe impl Send for Spans {}
// SAFETY: a shared reference only reads the word and the box.
unsafe impl Sync for Spans {}

impl Default for Spans {
    /// No spans at all.
    #[inline]
    fn default() -> Self {
        Self::near(Granules::new([NOWHERE; 3]))
    }
}

impl Spans {
    /// Of what was carved for each protection. `None` if there is no memory for it, in a block of more than 32 MiB.
    #[inline]
    pub(crate) fn new(carved: &Located) -> Option<Self> {
        let starts = carved.map(|span| span.map_or(NOWHERE, |span| span.offset / GRANULE));
        let is_near = carved
            .iter()
            .zip(starts)
            .all(|(span, start)| span.is_none() || start < NOWHERE);
        if is_near {
            Some(Self::near(Granules::new(starts)))
        } else {
            Self::far(carved)
        }
    }

    /// Of the granules at which they begin, as [`Spans::starts`] tells them.
    #[inline]
    pub(crate) const fn near(starts: Granules) -> Self {
        let word = NonZero::new((starts.0 << 1 | 1) as usize).expect("the lowest bit is set");
        Self {
            word: NonNull::without_provenance(word),
        }
    }

    #[cold]
    fn far(carved: &Located) -> Option<Self> {
        let start =
            |span: Option<Span>| span.map_or(u32::MAX, |span| (span.offset / GRANULE) as u32);
        let mut room = Vec::new();
        room.try_reserve_exact(1).ok()?;
        room.push(carved.map(start));
        let word = NonNull::from(Box::leak(room.into_boxed_slice())).cast();
        Some(Self { word })
    }

    /// The granules at which spans begin, unless one begins beyond [`Granules`].
    #[inline]
    pub(crate) fn starts(&self) -> Option<Granules> {
        let word = self.word.addr().get() as u64;
        (word & 1 == 1).then_some(Granules(word >> 1))
    }

    /// Where the span of this protection begins, in bytes from the start of the block.
    #[inline]
    pub(crate) fn offset(&self, protection: Protection) -> Option<u64> {
        let Some(starts) = self.starts() else {
            return self.far_offset(protection);
        };
        starts.offset(protection)
    }

    #[cold]
    fn far_offset(&self, protection: Protection) -> Option<u64> {
        // SAFETY: a word that is not `Granules` is what `far` made of a box, which lives as long as `self`.
        let start = unsafe { self.word.as_ref() }[protection.index()];
        (start != u32::MAX).then(|| u64::from(start) * GRANULE)
    }

    /// Leaves out the span of one protection, which then belongs to no request.
    #[cold]
    pub(crate) fn remove(&mut self, protection: Protection) {
        let Some(starts) = self.starts() else {
            // SAFETY: a word that is not `Granules` is what `far` made of a box, which lives as long as `self` and is borrowed.
            let starts = unsafe { self.word.as_mut() };
            starts[protection.index()] = u32::MAX;
            return;
        };
        let mut starts = Protection::ALL.map(|one| starts.get(one));
        starts[protection.index()] = NOWHERE;
        *self = Self::near(Granules::new(starts));
    }
}

impl Drop for Spans {
    #[inline]
    fn drop(&mut self) {
        if self.starts().is_none() {
            let room = std::ptr::slice_from_raw_parts_mut(self.word.as_ptr(), 1);
            // SAFETY: a word that is not `Granules` is what `far` made of a box of one, and it is dropped once.
            drop(unsafe { Box::from_raw(room) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_say_where_they_begin_in_small_and_in_large_blocks() {
        let at = |offset| Some(Span { offset, size: 16 });
        for carved in [
            [at(0), None, None],
            [None, at(16), at((16 << 20) - 16)],
            [at(32), at(1 << 30), None],
            [
                at((32 << 20) - 16),
                at(u64::from(u32::MAX - 1) * GRANULE),
                at(0),
            ],
            [None; 3],
        ] {
            let mut spans = Spans::new(&carved).unwrap();
            let offsets = Protection::ALL.map(|protection| spans.offset(protection));
            assert_eq!(offsets, carved.map(|span| span.map(|span| span.offset)));
            spans.remove(Protection::ReadOnly);
            assert_eq!(spans.offset(Protection::ReadOnly), None);
            assert_eq!(spans.offset(Protection::ReadExecute), offsets[0]);
            assert_eq!(spans.offset(Protection::ReadWrite), offsets[2]);
        }
        assert_eq!(size_of::<Option<Spans>>(), 8);
        assert_eq!(size_of::<Spans>(), 8);
    }

    #[test]
    fn three_numbers_fit_into_one_word() {
        let most = Granules::LIMIT - 1;
        let granules = Granules::new([7, 0, most]);
        assert_eq!(Protection::ALL.map(|one| granules.get(one)), [7, 0, most]);
        assert_eq!(granules.bytes(), (7 + most) * GRANULE);
    }
}
