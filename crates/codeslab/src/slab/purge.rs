//! Which memory of a block is free for long, so that it can go back to the system, in chunks. A chunk that lies in a free run is idle while it
//! has its memory; when a slab has many idle ones, all of them go. That is the hysteresis: a program that frees and allocates the same
//! megabyte again and again asks the system for nothing.

use crate::slab::bits::Bits;
use crate::slab::span::Span;
use crate::sync::WordSource;

/// Bytes that go back together, where the system's granularity is not larger.
const CHUNK: u64 = 64 << 10;
/// As many idle chunks of a slab are no reason to purge it.
const KEPT: i64 = 16;

/// The chunks of a block.
#[derive(Debug)]
pub(crate) struct Chunks {
    // log2 of the bytes of a chunk, because a division takes as long as all else here.
    log2: u32,
    // Chunks whose memory is gone.
    purged: Bits,
    purged_count: u64,
    // How many chunks of each slab are idle. Less than none while a request is carved from chunks that are still purged.
    idle: [i64; 3],
}

impl Chunks {
    /// All of a block's chunks, present; `None` if there is no memory for this.
    pub(crate) fn new(block_bytes: u64, granularity: u64) -> Option<Self> {
        let log2 = CHUNK.max(granularity).ilog2();
        let chunks = (block_bytes >> log2) as usize + 1;
        let purged = Bits::new(chunks, &mut WordSource::allocator())?;
        Some(Self {
            log2,
            purged,
            purged_count: 0,
            idle: [0; 3],
        })
    }

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

    /// Notes that `freed` has become part of the free `run` of a slab. Says whether enough is idle to purge the slab.
    #[inline]
    pub(crate) fn note_freed(&mut self, slab: usize, freed: Span, run: Span) -> bool {
        self.idle[slab] += self.in_both(freed, run);
        self.idle[slab] > KEPT
    }

    /// Notes that `carved` was part of the free `run` of a slab.
    #[inline]
    pub(crate) fn note_carved(&mut self, slab: usize, carved: Span, run: Span) {
        self.idle[slab] -= self.in_both(carved, run);
    }

    /// How many chunks lie wholly inside a run, and partly inside a part of it.
    fn in_both(&self, part: Span, run: Span) -> i64 {
        let (first, last) = self.inside(run);
        let first = first.max(self.index(part.offset));
        let last = last.min(self.index_from(part.end()));
        last.saturating_sub(first).cast_signed()
    }

    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.purged.bytes()
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

    /// Notes that the idle chunks of a slab were purged. Some may be idle still, because the system refused.
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

    /// Whether the memory of any is gone.
    pub(crate) const fn are_purged(&self) -> bool {
        self.purged_count > 0
    }

    /// A chunk under `span` whose memory is gone.
    pub(crate) fn purged_under(&self, span: Span) -> Option<Span> {
        let index = self.purged.next(self.index(span.offset) as usize)?;
        let chunk = self.chunk_at(index as u64);
        (chunk.offset < span.end()).then_some(chunk)
    }

    /// Notes that the memory of a chunk of a slab is there again.
    pub(crate) fn note_recommitted(&mut self, slab: usize, chunk: Span) {
        self.idle[slab] += 1;
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
        let kept = KEPT.unsigned_abs();
        for index in 0..kept {
            assert!(!all.note_freed(0, chunks(index, 1), run), "{index}");
        }
        assert!(
            !all.note_freed(1, chunks(kept, 1), run),
            "another slab counts for itself"
        );
        assert!(all.note_freed(0, chunks(kept, 1), run));
        all.note_swept(0);
        assert!(!all.note_freed(0, chunks(20, 1), run));
    }

    #[test]
    fn what_is_freed_and_allocated_in_turns_is_never_worth_a_sweep() {
        let mut all = Chunks::new(256 * CHUNK, 4096).unwrap();
        let (run, part) = (chunks(0, 40), chunks(3, KEPT.unsigned_abs()));
        for _ in 0..100 {
            assert!(!all.note_freed(0, part, run));
            all.note_carved(0, part, run);
        }
        assert!(!all.note_freed(0, part, run));
        assert!(all.note_freed(0, chunks(20, 1), run));
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
        all.note_recommitted(0, chunks(1, 1));
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
