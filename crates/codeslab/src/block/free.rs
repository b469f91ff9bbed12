//! How spans come back to their block, and memory to the system.
//!
//! A span that is no longer used is *retracted*: its code traps, its data is zero. Until its slab has it back it may be *marked* as freed, for
//! lookups. *Freeing* gives it to the slab. When much of a slab is free, its memory is *purged*; when nothing is carved, the block is
//! *decommitted*.

#![expect(clippy::inline_always, reason = "small requests are freed this way")]

use super::{Block, STEP};
use crate::model::error::{Limit, Refusal};
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::slab::Slab;
use crate::slab::purge::Chunks;
use crate::slab::runs::Runs;
use crate::slab::span::{Located, Span};
use crate::slab::spans::{GRANULE, Granules, Spans};
use std::ptr::NonNull;

impl Block {
    /// How many bytes the spans have that begin at `starts`.
    #[inline(always)]
    pub(crate) fn sizes_at(&self, starts: Granules) -> [u64; 3] {
        let mut sizes = [0; 3];
        for protection in Protection::ALL {
            if let Some(offset) = starts.offset(protection) {
                sizes[protection.index()] = self.page_map.runs(protection).run_at(offset).size;
            }
        }
        sizes
    }

    /// Retracts spans. One that the system does not let us retract is left out: it stays carved and is never given out again. Says whether
    /// there was such a one.
    ///
    /// # Safety
    /// The spans are carved from this block and belong to the caller.
    pub(crate) unsafe fn retract(&self, carved: &mut Located) -> bool {
        let (backing, slab_of) = (self.pages.backing(), |one| self.geometry.slab_of(one));
        // SAFETY: the spans are carved, so they are committed for their slabs; they belong to the caller, so no other thread uses
        // them; and the view stays open, because the block's owner is in here.
        unsafe { backing.retract(carved, slab_of, backing.view()) }
    }

    /// Retracts spans where there is a view, which the system cannot refuse.
    ///
    /// # Safety
    /// The spans that begin at `starts` are carved from this block, have so many bytes, and belong to the caller. `view` is the
    /// writable view of this block.
    #[inline(always)]
    pub(crate) unsafe fn retract_in_view(
        &self,
        starts: Granules,
        sizes: [u64; 3],
        view: NonNull<u8>,
    ) {
        let backing = self.pages.backing();
        for (protection, size) in Protection::ALL.into_iter().zip(sizes) {
            if let Some(offset) = starts.offset(protection) {
                let slab = self.geometry.slab_of(protection);
                let extent = backing.extent(Span { offset, size }, slab);
                // SAFETY: the span is carved, so it is committed for its slab; it belongs to the caller, so no thread uses it; and the
                // view stays open, because the block's owner is in here.
                unsafe { extent.retract_in_view(view) };
            }
        }
    }

    /// # Safety
    /// They are carved from this block, retracted, and belong to the caller, who gives them away.
    pub(crate) unsafe fn free(&mut self, carved: &Located) {
        self.uncarve(carved);
        self.requests -= 1;
    }

    /// Gives the spans of the last request back by decommitting the block, which saves retracting them. If the system refuses,
    /// they are retracted and freed.
    ///
    /// # Safety
    /// They are carved from this block and belong to the caller, who gives them away.
    pub(crate) unsafe fn free_last(&mut self, spans: &Spans) {
        self.requests -= 1;
        if self.reset().is_ok() {
            return self.page_map.for_each(spans, Runs::unmark_freed);
        }
        self.requests += 1;
        let mut carved = self.page_map.locate(spans);
        // SAFETY: the spans are carved from this block, and the caller's.
        unsafe { self.retract(&mut carved) };
        // SAFETY: what is left of them is retracted now.
        unsafe { self.free(&carved) };
    }

    /// Gives spans to their slabs: what was carved and never written, or is retracted.
    pub(super) fn uncarve(&mut self, carved: &Located) {
        for protection in Protection::ALL {
            if let Some(span) = carved[protection.index()] {
                let slab = self.geometry.slab_of(protection);
                let run = self.slabs[slab.index()].free(span);
                self.note_free(slab, span, run);
            }
        }
    }

    /// Gives back the end of one of the spans, all but the first `size` bytes. What the system does not let us retract stays.
    ///
    /// # Safety
    /// The spans are carved from this block, and no thread uses the end.
    pub(crate) unsafe fn shrink(&mut self, spans: &Spans, protection: Protection, size: u64) {
        // A span keeps a granule, so that it is somewhere.
        let kept = self.geometry.granules_of(protection, size.max(1)) * GRANULE;
        let slab = self.geometry.slab_of(protection);
        let Some(span) = self.page_map.span(spans, protection) else {
            return;
        };
        let Some(tail) = Span::between(span.offset + kept, span.end()) else {
            return;
        };
        let backing = self.pages.backing();
        // SAFETY: the tail is carved from this block, so it is committed for its slab; no thread uses it; and the view stays open,
        // because its owner is in here.
        if unsafe { backing.extent(tail, slab).retract(backing.view()) }.is_ok() {
            let run = self.slabs[slab.index()].free_tail(span, kept);
            self.note_free(slab, tail, run);
        }
    }

    /// Notes that something is free in a slab, as a part of a `run`, and purges the slab if much of it is.
    fn note_free(&mut self, slab: Protection, freed: Span, run: Span) {
        self.too_large[slab.index()] = u64::MAX;
        if self.chunks.note_freed(slab.index(), freed, run) {
            self.purge(slab);
        }
    }

    /// Gives back the memory of all chunks in free runs of a slab.
    pub(crate) fn purge(&mut self, slab: Protection) {
        let runs = self.slabs[slab.index()].long_free_runs(self.chunks.chunk_bytes());
        let runs = runs.into_iter();
        let idle: Vec<Span> = runs.flat_map(|run| self.chunks.present_in(run)).collect();
        for range in idle {
            // SAFETY: the range lies in a free run of the slab, so it is committed for it and no thread uses it; it is present, so it
            // is not purged. What the system does not take back stays.
            if unsafe { self.pages.purge(range, slab) }.is_ok() {
                self.chunks.note_purged(range);
            }
        }
        self.chunks.note_swept(slab.index());
    }

    /// Whether much was freed in the slabs that a request needs: an eighth of each is more than what is left over at their ends.
    pub(crate) fn has_holes(&self, layout: &Layout) -> bool {
        layout.segments().all(|(protection, _)| {
            let slab = self.slab(self.geometry.slab_of(protection));
            let committed = slab.extents().bytes();
            committed - slab.used_bytes() > (committed / 8).max(2 * STEP)
        })
    }

    /// Gives all pages back. Nothing is carved, and nothing will be before [`Block::reset`].
    pub(crate) fn decommit(&mut self) -> Result<(), Refusal> {
        assert!(
            self.requests == 0,
            "a block with {} requests is decommitted",
            self.requests
        );
        // SAFETY: nothing is carved, so no thread uses any page, nor the view.
        unsafe { self.pages.decommit() }
    }

    /// Gives all pages back if nothing is carved. The block is as good as new afterwards, or as it was if that is refused.
    fn reset(&mut self) -> Result<(), Refusal> {
        let chunks = Chunks::new(self.size(), self.geometry.granularity);
        let chunks = chunks.ok_or(Refusal::foreseen("malloc", self.size(), Limit::Memory))?;
        self.decommit()?;
        self.slabs.iter_mut().for_each(Slab::clear);
        self.page_map.clear();
        self.chunks = chunks;
        self.too_large = [u64::MAX; 3];
        self.grow_in_steps(self.code_share);
        self.count_mappings();
        Ok(())
    }
}
