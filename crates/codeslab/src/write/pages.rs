//! The pages of one block, which owns them. They are committed for a slab; their memory is purged and recommitted while they stay mapped; all
//! of them are decommitted together. How they are mapped is the writer's business.
#![allow(unsafe_code, reason = "raw ranges and pointers stop here")]

use super::backing::Backing;
use super::extent::Extent;
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::slab::span::{Span, SpanSet};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Pages {
    backing: Arc<Backing>,
    // Invariant: what is reserved and not mapped.
    uncommitted: SpanSet,
    // Invariant: what is committed of slabs that the view shows, where the view does not show everything.
    shown: SpanSet,
    // Bytes that have memory: what is mapped and not purged. As many were taken from the budget.
    committed_bytes: u64,
}

impl Pages {
    pub(crate) fn new(backing: Backing) -> Self {
        Self {
            uncommitted: SpanSet::whole(backing.size()),
            backing: Arc::new(backing),
            shown: SpanSet::default(),
            committed_bytes: 0,
        }
    }

    pub(crate) const fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    pub(crate) const fn uncommitted(&self) -> &SpanSet {
        &self.uncommitted
    }

    pub(crate) const fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    #[inline]
    pub(crate) fn has_view(&self) -> bool {
        self.backing.view().is_some()
    }

    /// Commits pages for a slab: whole granules of the system that are uncommitted.
    pub(crate) fn commit(&mut self, pages: Span, slab: Protection) -> Result<(), Refusal> {
        let is_free = self.uncommitted.iter().any(|gap| gap.contains(pages));
        assert!(is_free, "{pages:?} is committed already");
        let is_in_view = self.is_in_view(slab);
        if is_in_view {
            self.open_view()?;
        }
        self.take(pages, slab, |pages| {
            if slab == Protection::ReadWrite {
                // SAFETY: uncommitted pages are the block's and not mapped.
                unsafe { pages.map_private(slab) }
            } else {
                // SAFETY: uncommitted pages are the block's and not mapped.
                unsafe { pages.backing.writer.commit(pages) }
            }
        })?;
        self.uncommitted.remove(pages);
        if is_in_view {
            self.show(pages)?;
        }
        Ok(())
    }

    /// Makes committed pages accessible in the view. If that is refused they stay unused until all are decommitted.
    fn show(&mut self, pages: Span) -> Result<(), Refusal> {
        let extent = self.backing.extent(pages, Protection::ReadExecute);
        // SAFETY: a slab took the pages just now, so their part of the view is hidden, and this, the block's owner, alone closes it.
        unsafe { extent.show() }?;
        // SAFETY: the pages were filled when they were mapped, and the view stays open.
        unsafe { extent.populate_view() };
        if self.backing.hides() {
            self.shown.insert(pages);
        }
        Ok(())
    }

    fn is_in_view(&self, slab: Protection) -> bool {
        slab != Protection::ReadWrite && self.backing.writer.is_in_view(slab)
    }

    /// Mappings of the view at most, if it is open: parts that it shows cut it in pieces.
    pub(crate) fn view_mappings(&self) -> u64 {
        1 + 2 * self.shown.len() as u64
    }

    /// Takes the bytes of pages from the budget for what `act` does, or gives them back if that is refused.
    fn take(
        &mut self,
        pages: Span,
        slab: Protection,
        act: impl FnOnce(Extent<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.backing.budget.committed.take(pages.size)?;
        let done = act(self.backing.extent(pages, slab));
        match done {
            Ok(()) => self.committed_bytes += pages.size,
            Err(_) => self.give_back(pages.size),
        }
        done
    }

    fn give_back(&self, bytes: u64) {
        self.backing.budget.committed.give_back(bytes);
    }

    /// Gives the memory behind pages back to the system; they stay mapped.
    ///
    /// # Safety
    /// The pages are committed for `slab` and not purged, and no thread uses them until they are recommitted.
    pub(crate) unsafe fn purge(&mut self, pages: Span, slab: Protection) -> Result<(), Refusal> {
        let backing = &self.backing;
        if backing.is_in_file(slab) {
            let offset = backing.in_reservation(pages.offset);
            // SAFETY: the block's reservation has a file, and no thread uses that part of it.
            unsafe { backing.site.reservation.discard(offset, pages.size) }?;
        } else {
            let at = backing.at(pages.offset);
            // SAFETY: the pages are private memory that no thread uses until they are recommitted.
            unsafe { backing.platform().purge_private(at, pages.size) }?;
        }
        self.committed_bytes -= pages.size;
        self.give_back(pages.size);
        Ok(())
    }

    /// Makes purged pages as they were when they were committed.
    ///
    /// # Safety
    /// The pages were committed for `slab` and are purged.
    pub(crate) unsafe fn recommit(&mut self, pages: Span, slab: Protection) -> Result<(), Refusal> {
        self.take(pages, slab, |pages| {
            let backing = pages.backing;
            if !backing.is_in_file(slab) {
                let at = backing.at(pages.span.offset);
                // SAFETY: the pages are private memory, purged, and the block's alone.
                unsafe { backing.platform().recommit_private(at, pages.span.size) }?;
                if !pages.is_code() {
                    // It reads as zero.
                    return Ok(());
                }
            }
            // SAFETY: the pages are the block's and committed, and purged ones are used by no thread.
            let filled = unsafe { backing.writer.fill(pages) };
            match filled {
                // As when private code is committed: what is refused here is refused when it is published.
                Err(_) if !backing.is_in_file(slab) => Ok(()),
                filled => filled,
            }
        })
    }

    /// Makes the writable view, if the writer has one and there is none.
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        if self.has_view() || !self.is_in_view(Protection::ReadExecute) {
            return Ok(());
        }
        self.backing.open_view()?;
        let backing = &self.backing;
        let shown = self.shown.iter().try_for_each(|pages| {
            // SAFETY: the view was mapped just now, so it is hidden, and this, the block's owner, alone closes it.
            unsafe { backing.extent(pages, Protection::ReadExecute).show() }
        });
        if shown.is_err() {
            // SAFETY: it was mapped just now, so no thread uses it.
            unsafe { self.backing.close_view() };
        }
        shown
    }

    /// Gives all pages back to the system. The block stays reserved. If the system refuses, everything stays as it is.
    ///
    /// # Safety
    /// No thread uses any of them, nor the view.
    pub(crate) unsafe fn decommit(&mut self) -> Result<(), Refusal> {
        let place = self.backing.site.place;
        let reservation = &self.backing.site.reservation;
        if self.uncommitted.bytes() < place.size {
            // SAFETY: the range is the whole block, so it cuts no mapping, and no thread uses it.
            unsafe { reservation.decommit(place.offset, place.size) }?;
            if reservation.file_at(0).is_some() {
                // Should the system refuse, the pages are written anew before they are published again; they only cost
                // memory until then.
                // SAFETY: nothing maps that part of the file any more but the view, which no thread uses.
                let _ = unsafe { reservation.discard(place.offset, place.size) };
            }
        }
        // SAFETY: the caller says that no thread uses it.
        unsafe { self.backing.close_view() };
        self.give_back(self.committed_bytes);
        self.committed_bytes = 0;
        self.shown = SpanSet::default();
        self.uncommitted = SpanSet::whole(place.size);
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: a block is dropped when nothing is carved from it. What is still mapped goes with the reservation.
        unsafe { self.backing.close_view() };
        self.give_back(self.committed_bytes);
    }
}
