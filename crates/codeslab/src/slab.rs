//! Carving spans out of pages of one protection, and taking them back. Pure: no pointers, no addresses, no system.
//!
//! Two bits a granule say where runs begin and whether they are free; nothing is stored for a live span. A freed span
//! finds its neighbours through those bits and merges with them at once. `Bins` says where to look for a free run.

use crate::bins::Bins;
use crate::bits::Bits;
use crate::span::{Span, SpanSet};

/// The pages of a block that have one protection, and what is carved out of them.
#[derive(Debug)]
pub(crate) struct Slab {
    granule_log2: u32,
    // Invariant: the granules at which a run, free or used, begins, and the one behind the end of each extent.
    starts: Bits,
    // Invariant: a subset of `starts`: the granules at which a free run begins. No two free runs touch.
    free: Bits,
    bins: Bins,
    free_runs: usize,
    extents: SpanSet,
    used_bytes: u64,
    // Where no span may begin.
    avoided: Option<u32>,
    // The span that was freed last, not merged yet: code is often replaced by code of the same size. The bits still have it as
    // used.
    recent: Option<Span>,
}

impl Slab {
    /// A slab without pages, in a block of `block_bytes`. `granule` is a power of two of at least 16 bytes that divides
    /// the page size. No span will begin at the offset `avoided`.
    /// `None` if there is no memory for the bookkeeping.
    pub(crate) fn new(block_bytes: u64, granule: u64, avoided: Option<u64>) -> Option<Self> {
        let granule_log2 = granule.ilog2();
        let granules = block_bytes >> granule_log2;
        let granules = u32::try_from(granules).expect("a block is smaller than 2^32 granules");
        Some(Self {
            granule_log2,
            starts: Bits::new(granules as usize + 1)?,
            free: Bits::new(granules as usize + 1)?,
            bins: Bins::new(granules),
            free_runs: 0,
            extents: SpanSet::default(),
            used_bytes: 0,
            avoided: avoided.map(|offset| (offset >> granule_log2) as u32),
            recent: None,
        })
    }

    /// `size` rounded up to whole granules.
    pub(crate) fn round_up(&self, size: u64) -> u64 {
        size.next_multiple_of(1 << self.granule_log2)
    }

    pub(crate) const fn extents(&self) -> &SpanSet {
        &self.extents
    }

    pub(crate) const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Bytes of bookkeeping: two bits a granule of its pages, and the bins.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        (self.extents.bytes() >> self.granule_log2 >> 2) + self.bins.heap_bytes() as u64
    }

    /// Adds pages, all of them free.
    pub(crate) fn extend(&mut self, pages: Span) {
        self.extents.insert(pages);
        let (start, end) = (self.granule(pages.offset), self.granule(pages.end()));
        self.starts.insert(end as usize);
        self.starts.insert(start as usize);
        self.release(start, end - start);
    }

    /// Carves `size` bytes aligned to `align` (a power of two, in bytes from the start of the block).
    pub(crate) fn carve(&mut self, size: u64, align: u64) -> Option<Span> {
        let size = self.round_up(size);
        let span = match self.recent {
            Some(recent) if recent.size == size && recent.offset.is_multiple_of(align) => {
                self.recent = None;
                recent
            }
            _ => self.carve_from_runs(size, align).or_else(|| {
                self.merge_recent();
                self.carve_from_runs(size, align)
            })?,
        };
        self.used_bytes += span.size;
        Some(span)
    }

    fn carve_from_runs(&mut self, size: u64, align: u64) -> Option<Span> {
        let length = u32::try_from(size >> self.granule_log2).ok()?;
        let align = u32::try_from((align >> self.granule_log2).max(1)).ok()?;
        let (start, run) = self.take(length, align)?;
        self.free.remove(start as usize);
        self.free_runs -= 1;
        let place = first_place(start, align, self.avoided)?;
        if place > start {
            self.starts.insert(place as usize);
            self.note_free(start, place - start);
        }
        let rest = run - (place - start) - length;
        if rest > 0 {
            self.note_free(place + length, rest);
        }
        Some(Span {
            offset: u64::from(place) << self.granule_log2,
            size,
        })
    }

    /// A free run in which `length` granules fit at a multiple of `align`.
    fn take(&mut self, length: u32, align: u32) -> Option<(u32, u32)> {
        let Self {
            bins,
            starts,
            free,
            avoided,
            ..
        } = self;
        let length_of = |start: u32| free_length(starts, free, start);
        let fits = |start: u32, run: u32| {
            let lost = first_place(start, align, *avoided).map(|place| place - start);
            lost.is_some_and(|lost| lost <= run && run - lost >= length)
        };
        // Before an aligned place, and before the next if nothing may begin at that one.
        let slack = if avoided.is_some() {
            2 * align - 1
        } else {
            align - 1
        };
        bins.take(length, slack, length_of, fits)
    }

    /// Takes back what [`Slab::carve`] gave. The span that was freed before becomes a free run with its neighbours then, or a
    /// part of one, and is handed out.
    pub(crate) fn free(&mut self, span: Span) -> Option<Span> {
        debug_assert!(self.holds(span), "{span:?} was not carved from this slab");
        self.used_bytes -= span.size;
        let merged = self.recent;
        self.merge_recent();
        self.recent = Some(span);
        merged
    }

    /// Merges the span that was freed last with its free neighbours, too.
    pub(crate) fn merge_recent(&mut self) {
        if let Some(span) = self.recent.take() {
            self.release(self.granule(span.offset), self.granule(span.size));
        }
    }

    /// Whether `span` is carved at the moment, exactly as it is.
    pub(crate) fn holds(&self, span: Span) -> bool {
        let start = self.granule(span.offset) as usize;
        self.starts.contains(start)
            && !self.free.contains(start)
            && self.span_at(span.offset) == span
            && self.recent != Some(span)
    }

    /// Makes the run that begins at `start` free and merges it with its free neighbours.
    fn release(&mut self, start: u32, length: u32) {
        let (mut start, mut length) = (start, length);
        let next = start + length;
        if let Some(behind) = self.free_length(next) {
            self.starts.remove(next as usize);
            self.free.remove(next as usize);
            self.free_runs -= 1;
            length += behind;
        }
        if let Some(before) = start
            .checked_sub(1)
            .and_then(|below| self.starts.previous(below as usize))
            && self.free.contains(before)
        {
            self.starts.remove(start as usize);
            self.free.remove(before);
            self.free_runs -= 1;
            length += start - before as u32;
            start = before as u32;
        }
        self.note_free(start, length);
    }

    fn note_free(&mut self, start: u32, length: u32) {
        self.starts.insert(start as usize);
        self.free.insert(start as usize);
        self.free_runs += 1;
        self.bins.insert(start, length);
        if self.bins.entries() > 64 + 2 * self.free_runs {
            self.sweep_bins();
        }
    }

    fn sweep_bins(&mut self) {
        self.bins.clear();
        for start in self.free.iter() {
            if let Some(length) = free_length(&self.starts, &self.free, start as u32) {
                self.bins.insert(start as u32, length);
            }
        }
    }

    fn free_length(&self, start: u32) -> Option<u32> {
        free_length(&self.starts, &self.free, start)
    }

    /// How many bytes are free directly below `offset`.
    pub(crate) fn free_below(&self, offset: u64) -> u64 {
        let granule = self.granule(offset) as usize;
        let before = granule
            .checked_sub(1)
            .and_then(|below| self.starts.previous(below));
        match before {
            Some(before) if self.free.contains(before) => {
                ((granule - before) as u64) << self.granule_log2
            }
            _ => 0,
        }
    }

    /// How many bytes are free from `offset` on.
    pub(crate) fn free_from(&self, offset: u64) -> u64 {
        self.free_length(self.granule(offset))
            .map_or(0, |length| u64::from(length) << self.granule_log2)
    }

    /// The free run that `offset` lies in.
    pub(crate) fn free_run_around(&self, offset: u64) -> Option<Span> {
        let start = self.starts.previous(self.granule(offset) as usize)?;
        let is_free = self.free.contains(start);
        is_free.then(|| self.span_at((start as u64) << self.granule_log2))
    }

    /// Every free run, by ascending offset.
    pub(crate) fn free_runs(&self) -> impl Iterator<Item = Span> + '_ {
        let starts = self.free.iter();
        starts.map(|start| self.span_at((start as u64) << self.granule_log2))
    }

    /// Everything that is carved from one extent at the moment, by ascending offset.
    pub(crate) fn spans_in(&self, extent: Span) -> impl Iterator<Item = Span> + '_ {
        let runs = std::iter::successors(Some(self.span_at(extent.offset)), move |run| {
            (run.end() < extent.end()).then(|| self.span_at(run.end()))
        });
        let is_free = |run: &Span| self.free.contains(self.granule(run.offset) as usize);
        runs.filter(move |run| !is_free(run) && self.recent != Some(*run))
    }

    /// The carved span, or the free run, that begins at `offset`.
    pub(crate) fn span_at(&self, offset: u64) -> Span {
        let start = self.granule(offset) as usize;
        let end = self
            .starts
            .next(start + 1)
            .expect("a start lies behind the end of each extent");
        Span {
            offset,
            size: ((end - start) as u64) << self.granule_log2,
        }
    }

    fn granule(&self, bytes: u64) -> u32 {
        (bytes >> self.granule_log2) as u32
    }
}

fn free_length(starts: &Bits, free: &Bits, start: u32) -> Option<u32> {
    let start = start as usize;
    free.contains(start)
        .then(|| starts.next(start + 1).map(|end| (end - start) as u32))
        .flatten()
}

/// The first multiple of `align` from `start` on at which a span may begin.
fn first_place(start: u32, align: u32, avoided: Option<u32>) -> Option<u32> {
    let place = start.checked_next_multiple_of(align)?;
    if Some(place) == avoided {
        place.checked_add(align)
    } else {
        Some(place)
    }
}
