//! Carving spans out of pages of one protection, and taking them back. Pure: no pointers, no addresses, no system.
//!
//! `Runs` says where runs begin and whether they are free; a freed span finds its neighbours there and merges with them at once.
//! `Bins` says where to look for a free run.

pub(crate) mod bins;
pub(crate) mod bits;
pub(crate) mod purge;
pub(crate) mod runs;
pub(crate) mod span;
pub(crate) mod spans;
#[cfg(test)]
mod tests;

use crate::slab::bins::{Bins, Entry};
use crate::slab::runs::Runs;
use crate::slab::span::{Span, SpanSet};
use crate::sync::WordSource;
use std::sync::Arc;

/// The pages of a block that have one protection, and what is carved out of them.
#[derive(Debug)]
pub(crate) struct Slab {
    runs: Arc<Runs>,
    bins: Bins,
    free_runs: usize,
    extents: SpanSet,
    used_bytes: u64,
    // Where no span may begin.
    avoided: Option<u32>,
}

impl Slab {
    /// A slab without pages. `granule` is a power of two of at least 16 bytes that divides the page size. No span will begin at the offset
    /// `avoided`. `None` if there is no memory for the metadata.
    pub(crate) fn new(
        block_bytes: u64,
        granule: u64,
        avoided: Option<u64>,
        source: &mut WordSource,
    ) -> Option<Self> {
        let granule_log2 = granule.ilog2();
        let granules = block_bytes >> granule_log2;
        let granules = u32::try_from(granules).expect("a block is smaller than 2^32 granules");
        Some(Self {
            runs: Arc::new(Runs::new(granules, granule_log2, source)?),
            bins: Bins::new(granules),
            free_runs: 0,
            extents: SpanSet::default(),
            used_bytes: 0,
            avoided: avoided.map(|offset| (offset >> granule_log2) as u32),
        })
    }

    pub(crate) const fn runs(&self) -> &Arc<Runs> {
        &self.runs
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.bins.clear();
        self.free_runs = 0;
        self.extents = SpanSet::default();
        self.used_bytes = 0;
    }

    pub(crate) fn round_up(&self, size: u64) -> u64 {
        let mask = (1 << self.runs.granule_log2) - 1;
        (size + mask) & !mask
    }

    pub(crate) const fn extents(&self) -> &SpanSet {
        &self.extents
    }

    pub(crate) const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// At most: a word of a set is touched when it is needed.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        let granules = self.extents.bytes() >> self.runs.granule_log2;
        (granules * Runs::BITS_PER_GRANULE / 8) + self.bins.heap_bytes() as u64
    }

    /// Adds pages, all of them free: the free run that they are a part of then.
    pub(crate) fn extend(&mut self, pages: Span) -> Span {
        self.extents.insert(pages);
        let (start, end) = (self.granule(pages.offset), self.granule(pages.end()));
        self.runs.add(start, end);
        self.release(start, end - start)
    }

    /// Carves `size` bytes aligned to `align` (in bytes from the start of the block), and tells which free run they were a part of.
    pub(crate) fn carve(&mut self, size: u64, align: u64) -> Option<(Span, Span)> {
        let size = self.round_up(size);
        let length = u32::try_from(size >> self.runs.granule_log2).ok()?;
        let align = u32::try_from((align >> self.runs.granule_log2).max(1)).ok()?;
        let (start, run) = self.take(length, align)?;
        let place = first_place(start, align, self.avoided)?;
        self.free_runs -= 1;
        let rest = run - (place - start) - length;
        // The rest is free before the span is used, so that no thread that reads meanwhile takes all of it for one span.
        if rest > 0 {
            self.note_free(place + length, rest);
        }
        if place > start {
            self.runs.begin(place);
            self.note_free(start, place - start);
        } else {
            self.runs.set_used(start);
        }
        self.used_bytes += size;
        Some((self.run(place, length), self.run(start, run)))
    }

    /// A free run in which `length` granules fit at a multiple of `align`.
    fn take(&mut self, length: u32, align: u32) -> Option<(u32, u32)> {
        let (runs, avoided) = (&self.runs, self.avoided);
        let length_of = |start: u32| runs.free_length(start);
        let fits = |start: u32, run: u32| {
            let lost = first_place(start, align, avoided).map(|place| place - start);
            lost.is_some_and(|lost| lost <= run && run - lost >= length)
        };
        // Before an aligned place, and before the next if nothing may begin at that one.
        let places = 1 + u32::from(avoided.is_some());
        self.bins.take(length, places * align - 1, length_of, fits)
    }

    /// Takes back what [`Slab::carve`] gave. It becomes a free run with its neighbours, or a part of one: that run.
    pub(crate) fn free(&mut self, span: Span) -> Span {
        debug_assert!(self.holds(span), "{span:?} was not carved from this slab");
        self.used_bytes -= span.size;
        let start = self.granule(span.offset);
        self.runs.set_free(start);
        self.runs.unmark_freed(span.offset);
        self.release(start, self.granule(span.size))
    }

    /// The same for the end of a span, from `size` bytes on: whole granules, not all of them.
    pub(crate) fn free_tail(&mut self, span: Span, size: u64) -> Span {
        debug_assert!(self.holds(span) && 0 < size && size < span.size);
        let tail = self.granule(span.offset + size);
        self.used_bytes -= span.size - size;
        self.runs.set_free(tail);
        self.runs.begin(tail);
        self.release(tail, self.granule(span.size - size))
    }

    /// Whether a span may begin at `offset`.
    pub(crate) fn may_begin(&self, offset: u64) -> bool {
        self.avoided != Some(self.granule(offset))
    }

    /// Makes two carved spans of one: the second begins at `offset` inside it, a multiple of the granule at which a span may begin.
    pub(crate) fn divide(&mut self, offset: u64) {
        debug_assert!(self.runs.used_at(offset).is_some());
        debug_assert!(self.may_begin(offset), "nothing may begin at {offset:#x}");
        self.runs.begin(self.granule(offset));
    }

    /// Whether `span` is carved at the moment, exactly as it is.
    pub(crate) fn holds(&self, span: Span) -> bool {
        self.runs.is_carved(self.granule(span.offset) as usize)
            && self.runs.run_at(span.offset) == span
    }

    /// Merges the free run that begins at `start` with its free neighbours, and lists what it is then.
    fn release(&mut self, start: u32, length: u32) -> Span {
        let (mut start, mut length) = (start, length);
        let next = start + length;
        if let Some(behind) = self.runs.free_length(next) {
            self.runs.join(next);
            self.free_runs -= 1;
            length += behind;
        }
        if let Some(before) = self.runs.free_before(start) {
            self.runs.join(start);
            self.free_runs -= 1;
            length += start - before;
            start = before;
        }
        self.list(start, length);
        self.run(start, length)
    }

    fn run(&self, start: u32, length: u32) -> Span {
        Span {
            offset: u64::from(start) << self.runs.granule_log2,
            size: u64::from(length) << self.runs.granule_log2,
        }
    }

    /// Begins a free run that touches no other.
    fn note_free(&mut self, start: u32, length: u32) {
        self.runs.set_free(start);
        self.runs.begin(start);
        self.list(start, length);
    }

    fn list(&mut self, start: u32, length: u32) {
        self.free_runs += 1;
        self.bins.insert(start, length);
        if self.bins.entries() > 64 + 2 * self.free_runs {
            self.sweep_bins();
        }
    }

    fn sweep_bins(&mut self) {
        self.bins.clear();
        for start in self.runs.free_starts() {
            if let Some(length) = self.runs.free_length(start) {
                self.bins.insert(start, length);
            }
        }
    }

    /// How many bytes are free directly below `offset`.
    pub(crate) fn free_below(&self, offset: u64) -> u64 {
        let granule = self.granule(offset);
        let before = self.runs.free_before(granule);
        before.map_or(0, |before| {
            u64::from(granule - before) << self.runs.granule_log2
        })
    }

    /// How many bytes are free from `offset` on.
    pub(crate) fn free_from(&self, offset: u64) -> u64 {
        let length = self.runs.free_length(self.granule(offset));
        length.map_or(0, |length| u64::from(length) << self.runs.granule_log2)
    }

    /// Every free run of at least `bytes`, by ascending offset, and some shorter ones.
    pub(crate) fn long_free_runs(&self, bytes: u64) -> Vec<Span> {
        let listed = self.bins.long_ones(self.granule(bytes));
        let is_true = |one: &Entry| self.runs.free_length(one.start) == Some(one.length);
        let mut entries: Vec<Entry> = listed.filter(is_true).collect();
        // A run that was something else for a while is listed twice.
        entries.sort_unstable();
        entries.dedup();
        let runs = entries.iter().map(|one| self.run(one.start, one.length));
        runs.collect()
    }

    /// Everything that is carved from one extent at the moment, by ascending offset.
    pub(crate) fn spans_in(&self, extent: Span) -> impl Iterator<Item = Span> + '_ {
        let runs = std::iter::successors(Some(self.runs.run_at(extent.offset)), move |run| {
            (run.end() < extent.end()).then(|| self.runs.run_at(run.end()))
        });
        runs.filter(|run| self.runs.is_used(self.granule(run.offset) as usize))
    }

    fn granule(&self, bytes: u64) -> u32 {
        (bytes >> self.runs.granule_log2) as u32
    }
}

/// The first multiple of `align`, a power of two, from `start` on at which a span may begin.
fn first_place(start: u32, align: u32, avoided: Option<u32>) -> Option<u32> {
    // Not `checked_next_multiple_of`: that divides.
    let place = start.checked_add(align - 1)? & !(align - 1);
    if Some(place) == avoided {
        place.checked_add(align)
    } else {
        Some(place)
    }
}
