//! Requests that were freed lately and are kept whole: a compiler often replaces code by code of the same sizes.

use crate::address::Address;
use crate::division::{Division, GRANULE, Spans};
use crate::layout::Layout;
use crate::protection::Protection;

/// As many are kept.
const ROUNDS: usize = 8;
/// Requests with more bytes than this are not kept.
const MOST_BYTES: u64 = 16 << 10;

/// What a freed request has to be like to be used again for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    // Granules of each segment.
    sizes: [u32; 3],
    // What no address of a segment may have set.
    misaligned: [u64; 3],
}

impl Shape {
    /// The shape of a request, unless it is one that is not kept.
    #[inline]
    pub(crate) fn of(layout: &Layout, division: &Division) -> Option<Self> {
        if layout.size() > MOST_BYTES {
            return None;
        }
        let mut shape = Self {
            sizes: [0; 3],
            misaligned: [0; 3],
        };
        for protection in Protection::ALL {
            let segment = layout.segment(protection);
            let size = division.granules(division.slab_of(protection), segment.size);
            shape.sizes[protection.index()] = size as u32;
            shape.misaligned[protection.index()] = segment.align - 1;
        }
        Some(shape)
    }

    #[inline]
    fn fits(&self, spans: &Spans, base: Address) -> bool {
        if *spans.sizes() != self.sizes {
            return false;
        }
        let misaligned = |index: usize| {
            let start = base.value() + u64::from(spans.starts()[index]) * GRANULE;
            start & self.misaligned[index]
        };
        misaligned(0) | misaligned(1) | misaligned(2) == 0
    }
}

/// Freed spans of one block that nobody uses and that are ready to be used again. They still count as carved there.
#[derive(Debug, Default)]
pub(crate) struct Magazine {
    // Invariant: the first `count` are there, the last freed behind.
    rounds: [Spans; ROUNDS],
    count: usize,
}

impl Magazine {
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Bytes of its spans.
    pub(crate) fn bytes(&self) -> u64 {
        self.rounds[..self.count].iter().map(Spans::bytes).sum()
    }

    /// Takes out spans of just this shape, in a block that begins at `base`.
    #[inline]
    pub(crate) fn take(&mut self, shape: &Shape, base: Address) -> Option<Spans> {
        let rounds = self.rounds.get_mut(..self.count)?;
        let index = rounds.iter().rposition(|spans| shape.fits(spans, base))?;
        let spans = rounds[index];
        rounds.copy_within(index + 1.., index);
        self.count -= 1;
        Some(spans)
    }

    /// Puts spans in. Those that have been there longest come out if it is full, and these if they are too large.
    #[inline]
    pub(crate) fn put(&mut self, spans: Spans) -> Option<Spans> {
        if spans.bytes() > MOST_BYTES {
            return Some(spans);
        }
        let oldest = (self.count == ROUNDS).then(|| self.take_oldest());
        self.rounds[self.count] = spans;
        self.count += 1;
        oldest
    }

    fn take_oldest(&mut self) -> Spans {
        let oldest = self.rounds[0];
        self.rounds.copy_within(1.., 0);
        self.count -= 1;
        oldest
    }

    /// Takes out any.
    pub(crate) fn pop(&mut self) -> Option<Spans> {
        (self.count > 0).then(|| self.take_oldest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(start: u32, code: u32, data: u32) -> Spans {
        Spans::new([start, 0, 1000 + start], [code, 0, data])
    }

    fn shape(code: u32, data: u32, align: u64) -> Shape {
        Shape {
            sizes: [code, 0, data],
            misaligned: [align - 1, 0, 0],
        }
    }

    #[test]
    fn gives_out_what_was_freed_last_of_just_that_shape() {
        let mut magazine = Magazine::default();
        for start in [16, 32, 48] {
            assert_eq!(magazine.put(spans(start, 4, 1)), None);
        }
        assert_eq!(magazine.put(spans(64, 5, 1)), None);
        let base = Address::new(1 << 20);
        assert_eq!(magazine.take(&shape(4, 2, 16), base), None);
        assert_eq!(magazine.take(&shape(4, 1, 16), base), Some(spans(48, 4, 1)));
        assert_eq!(
            magazine.take(&shape(4, 1, 512), base),
            Some(spans(32, 4, 1))
        );
        assert_eq!(
            magazine.take(&shape(4, 1, 512), base),
            None,
            "16 granules are 256 bytes"
        );
        assert_eq!(magazine.len(), 2);
        assert_eq!(magazine.pop(), Some(spans(16, 4, 1)));
    }

    #[test]
    fn keeps_few_and_small_ones() {
        let mut magazine = Magazine::default();
        assert_eq!(magazine.put(spans(0, 2000, 0)), Some(spans(0, 2000, 0)));
        for start in 0..ROUNDS as u32 {
            assert_eq!(magazine.put(spans(start, 1, 1)), None);
        }
        assert_eq!(magazine.put(spans(99, 1, 1)), Some(spans(0, 1, 1)));
        assert_eq!(
            (magazine.len(), magazine.bytes()),
            (ROUNDS, 32 * ROUNDS as u64)
        );
    }
}
