//! Which memory of a block is free for long, so that it can go back to the system. Pure: blocks tell it what is freed, and ask it
//! what to purge and what to bring back.
//!
//! Memory goes back in chunks. A chunk that lies in a free run is idle; when there are many idle ones, all of them go. That is
//! the hysteresis: a program that frees and allocates the same megabyte again and again asks the system for nothing.

use crate::slab::bits::Bits;
use crate::slab::span::Span;

/// Bytes that go back together, where the system's granularity is not larger.
const CHUNK: u64 = 64 << 10;
/// As many idle chunks of each slab are kept.
const KEPT: u64 = 16;

/// The chunks of a block.
#[derive(Debug)]
pub(crate) struct Chunks {
    // log2 of the bytes of a chunk, because a division takes as long as all else here.
    log2: u32,
    // Chunks whose memory is gone.
    purged: Bits,
    purged_count: u64,
    // How many chunks of each slab have become idle since the last sweep.
    idle: [u64; 3],
}

impl Chunks {
    /// All of a block's chunks, present; `None` if there is no memory for the bookkeeping.
    pub(crate) fn new(block_bytes: u64, granularity: u64) -> Option<Self> {
        let log2 = CHUNK.max(granularity).ilog2();
        let purged = Bits::new((block_bytes >> log2) as usize + 1)?;
        Some(Self {
            log2,
            purged,
            purged_count: 0,
            idle: [0; 3],
        })
    }

    /// How large a chunk is.
    pub(crate) const fn chunk_bytes(&self) -> u64 {
        1 << self.log2
    }

    const fn index(&self, offset: u64) -> u64 {
        offset >> self.log2
    }

    /// The first chunk that begins at `offset` or behind it.
    const fn index_from(&self, offset: u64) -> u64 {
        self.index(offset + self.chunk_bytes() - 1)
    }

    /// Notes that `freed` has become part of the free `run` of a slab. Says whether enough is idle to be worth a sweep.
    pub(crate) fn note_freed(&mut self, slab: usize, freed: Span, run: Span) -> bool {
        let (first, last) = self.inside(run);
        let idle = last
            .min(self.index_from(freed.end()))
            .saturating_sub(first.max(self.index(freed.offset)));
        self.idle[slab] += idle;
        self.idle[slab] > KEPT
    }

    /// The chunks that lie wholly inside a run: from the first to before the last.
    fn inside(&self, run: Span) -> (u64, u64) {
        (self.index_from(run.offset), self.index(run.end()))
    }

    /// The memory of a free run that is still there, as ranges to give back.
    pub(crate) fn present_in(&self, run: Span) -> Vec<Span> {
        let (first, last) = self.inside(run);
        let mut ranges: Vec<Span> = Vec::new();
        for index in (first..last).filter(|index| !self.purged.contains(*index as usize)) {
            let chunk = self.chunk_at(index);
            match ranges.last_mut() {
                Some(range) if range.end() == chunk.offset => range.size += chunk.size,
                _ => ranges.push(chunk),
            }
        }
        ranges
    }

    const fn chunk_at(&self, index: u64) -> Span {
        Span {
            offset: index << self.log2,
            size: self.chunk_bytes(),
        }
    }

    /// Notes that a slab was swept.
    pub(crate) fn note_swept(&mut self, slab: usize) {
        self.idle[slab] = 0;
    }

    /// Notes that the memory of a range is gone.
    pub(crate) fn note_purged(&mut self, range: Span) {
        for index in self.index(range.offset)..self.index(range.end()) {
            self.purged.insert(index as usize);
            self.purged_count += 1;
        }
    }

    /// A chunk under `span` whose memory is gone.
    #[inline]
    pub(crate) fn purged_under(&self, span: Span) -> Option<Span> {
        if self.purged_count == 0 {
            return None;
        }
        let index = self.purged.next(self.index(span.offset) as usize)?;
        let chunk = self.chunk_at(index as u64);
        (chunk.offset < span.end()).then_some(chunk)
    }

    /// Notes that the memory of a chunk is there again.
    pub(crate) fn note_recommitted(&mut self, chunk: Span) {
        self.purged.remove(self.index(chunk.offset) as usize);
        self.purged_count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Chunks, KEPT};
    use crate::slab::span::Span;

    const fn chunks(first: u64, count: u64) -> Span {
        Span {
            offset: first * CHUNK,
            size: count * CHUNK,
        }
    }

    #[test]
    fn many_idle_chunks_are_worth_a_sweep_and_few_are_not() {
        let mut all = Chunks::new(256 * CHUNK, 4096).unwrap();
        let run = chunks(0, 200);
        for index in 0..KEPT {
            assert!(!all.note_freed(0, chunks(index, 1), run), "{index}");
        }
        assert!(
            !all.note_freed(1, chunks(KEPT, 1), run),
            "another slab counts for itself"
        );
        assert!(all.note_freed(0, chunks(KEPT, 1), run));
        all.note_swept(0);
        assert!(!all.note_freed(0, chunks(20, 1), run));
    }

    #[test]
    fn only_chunks_that_are_wholly_free_are_idle() {
        let mut all = Chunks::new(256 * CHUNK, 4096).unwrap();
        let run = Span {
            offset: 100,
            size: 3 * CHUNK,
        };
        assert_eq!(all.present_in(run), [chunks(1, 2)]);
        all.note_purged(chunks(1, 1));
        assert_eq!(all.present_in(run), [chunks(2, 1)]);
        assert_eq!(
            all.purged_under(Span {
                offset: 0,
                size: CHUNK
            }),
            None
        );
        assert_eq!(
            all.purged_under(Span {
                offset: CHUNK - 16,
                size: 32
            }),
            Some(chunks(1, 1))
        );
        all.note_recommitted(chunks(1, 1));
        assert_eq!(all.purged_under(run), None);
        assert!(!all.note_freed(
            0,
            Span {
                offset: 100,
                size: 16
            },
            Span {
                offset: 100,
                size: 16
            }
        ));
    }
}
