//! What the granules of a slab are, in two bits each: where runs begin and whether they are free; and two marks of spans that are freed
//! while they still count as carved. How long a span is follows from where the next run begins.
//!
//! The slab's owner changes it; any thread may read at any time, without a lock. A span that is in use before, while and after
//! a thread reads is found as it is, whatever becomes of its neighbours: its first granule begins a run, no other granule of
//! it does, and the granule behind it does, all the while.

use crate::slab::bits::{Bits, Flags};
use crate::slab::span::Span;
use crate::sync::WordSource;

/// The runs of one slab.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) granule_log2: u32,
    // Invariant: the granules at which a run, free or used, begins, and the one behind the end of each extent.
    starts: Bits,
    // Invariant: a subset of `starts`: the granules at which a free run begins. No two free runs touch.
    free: Bits,
    // Disjoint from `free`, a subset of `starts`: where spans begin that are freed and not part of a free run yet.
    freed: Flags,
    // A subset of `starts`: where spans begin that other threads freed and the owner has not taken yet.
    freed_remotely: Flags,
}

impl Runs {
    /// One in each set.
    pub(crate) const BITS_PER_GRANULE: u64 = 4;

    /// Of a slab without pages. `None` if there is no memory for it.
    pub(crate) fn new(granules: u32, granule_log2: u32, source: &mut WordSource) -> Option<Self> {
        let length = granules as usize + 1;
        Some(Self {
            granule_log2,
            starts: Bits::new(length, source)?,
            free: Bits::new(length, source)?,
            freed: Flags::new(length, source)?,
            freed_remotely: Flags::new(length, source)?,
        })
    }

    /// The carved span, or the free run, that begins at `offset`.
    #[inline]
    pub(crate) fn run_at(&self, offset: u64) -> Span {
        let start = (offset >> self.granule_log2) as usize;
        let end = self.starts.next(start + 1);
        let end = end.expect("a start lies behind the end of each extent");
        self.span(start, end)
    }

    const fn span(&self, start: usize, end: usize) -> Span {
        Span {
            offset: (start as u64) << self.granule_log2,
            size: ((end - start) as u64) << self.granule_log2,
        }
    }

    /// The span in use that `offset` lies in. While that very span is carved or freed, either answer may come.
    pub(crate) fn used_at(&self, offset: u64) -> Option<Span> {
        let granule = (offset >> self.granule_log2) as usize;
        let start = self.starts.previous(granule)?;
        // A free run that is carved is divided before its beginning is used, and one that is merged has no beginning any more before
        // that is not free: a reader who sees a change of what begins at `start` sees then whether `granule` still belongs to it.
        if !self.is_used(start) || self.starts.previous(granule) != Some(start) {
            return None;
        }
        let end = self.starts.next(granule + 1)?;
        Some(self.span(start, end))
    }

    /// Whether a run begins at a granule that is not free.
    pub(crate) fn is_carved(&self, start: usize) -> bool {
        !self.free.contains(start) && self.starts.contains(start)
    }

    /// Whether a run begins at a granule that is in use.
    pub(crate) fn is_used(&self, start: usize) -> bool {
        // In the order in which a span that comes back passes from one to the next, so that no reader misses it twice: the owner
        // marks it before it takes the other thread's mark away, and makes it free before it takes its own mark away.
        !self.freed_remotely.contains(start) && !self.freed.contains(start) && self.is_carved(start)
    }

    /// Marks the carved span at `offset` as freed, although it is not part of a free run yet.
    #[inline]
    pub(crate) fn mark_freed(&self, offset: u64) {
        self.freed.insert((offset >> self.granule_log2) as usize);
    }

    /// Takes that mark away: the span is in use again, or part of a free run.
    #[inline]
    pub(crate) fn unmark_freed(&self, offset: u64) {
        self.freed.remove((offset >> self.granule_log2) as usize);
    }

    /// The same by a thread that does not own the slab.
    pub(crate) fn mark_freed_remotely(&self, offset: u64) {
        let start = (offset >> self.granule_log2) as usize;
        self.freed_remotely.insert_by_any(start);
    }

    /// Takes that mark away, after the owner has marked the span or made it free.
    pub(crate) fn unmark_freed_remotely(&self, offset: u64) {
        let start = (offset >> self.granule_log2) as usize;
        self.freed_remotely.remove_by_any(start);
    }

    /// How many granules the free run has that begins at a granule.
    pub(crate) fn free_length(&self, start: u32) -> Option<u32> {
        let start = start as usize;
        let is_free = self.free.contains(start);
        let end = is_free.then(|| self.starts.next(start + 1)).flatten();
        end.map(|end| (end - start) as u32)
    }

    /// Where the free run begins that ends before a granule.
    pub(crate) fn free_before(&self, granule: u32) -> Option<u32> {
        let before = self.starts.previous(granule.checked_sub(1)? as usize)?;
        self.free.contains(before).then_some(before as u32)
    }

    pub(crate) fn free_starts(&self) -> impl Iterator<Item = u32> + '_ {
        self.free.iter().map(|start| start as u32)
    }

    /// Makes a granule the beginning of a run: a used one, where it was not the beginning of a free one.
    pub(crate) fn begin(&self, granule: u32) {
        self.starts.insert(granule as usize);
    }

    /// Makes granules a free run, and the one behind them the beginning of another: those of pages that are new to the slab.
    pub(crate) fn add(&self, start: u32, end: u32) {
        self.starts.insert_in_fresh(end as usize);
        self.free.insert_in_fresh(start as usize);
        self.starts.insert_in_fresh(start as usize);
    }

    pub(crate) fn set_free(&self, start: u32) {
        self.free.insert(start as usize);
    }

    pub(crate) fn set_used(&self, start: u32) {
        self.free.remove(start as usize);
    }

    /// Makes a free run a part of the one before it. It is free until it is gone.
    pub(crate) fn join(&self, start: u32) {
        self.starts.remove(start as usize);
        self.free.remove(start as usize);
    }

    pub(crate) fn clear(&self) {
        self.free.clear();
        self.starts.clear();
    }
}
