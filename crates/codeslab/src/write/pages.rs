//! The committed pages of one block: how bytes get into them, and what becomes of them.
//!
//! This is where writers differ. Everything above asks for a place to write a span ([`Pages::lend`]), publishes it and
//! retracts it; everything below maps and protects pages.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::span::Span;
use crate::write::backing::Backing;
use std::ptr::NonNull;
use std::sync::Arc;

/// The pages behind a block.
#[derive(Debug)]
pub(crate) struct Pages {
    backing: Arc<Backing>,
    committed_bytes: u64,
    // Whether anything is mapped: what was discarded is, and does not count as committed.
    is_mapped: bool,
}

// SAFETY: the pointers are to memory that the mapping owns; who may use which part of it is up to the spans.
unsafe impl Send for Pages {}

impl Pages {
    pub(crate) const fn new(backing: Arc<Backing>) -> Self {
        Self {
            backing,
            committed_bytes: 0,
            is_mapped: false,
        }
    }

    pub(crate) const fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    #[inline]
    pub(crate) fn has_view(&self) -> bool {
        self.view().is_some()
    }

    /// The writable side of the whole block, while it is needed (dual-mapping only).
    #[inline]
    pub(crate) fn view(&self) -> Option<NonNull<u8>> {
        self.backing.view()
    }

    pub(crate) const fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    /// Commits pages for one protection. They are whole granules of the system and not committed yet.
    pub(crate) fn commit(&mut self, pages: Span, protection: Protection) -> Result<(), Refusal> {
        self.backing.budget().commit(pages.size)?;
        let committed = if self.is_in_file(protection) {
            self.commit_file(pages, protection)
        } else {
            self.commit_private(pages, protection)
        };
        self.is_mapped |= committed.is_ok();
        self.count_committed(pages.size, committed)
    }

    /// Counts what was taken from the budget, or gives it back.
    fn count_committed(
        &mut self,
        bytes: u64,
        committed: Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match committed {
            Ok(()) => self.committed_bytes += bytes,
            Err(_) => self.backing.budget().uncommit(bytes),
        }
        committed
    }

    /// Whether a slab's pages are those of a file: data never is.
    fn is_in_file(&self, protection: Protection) -> bool {
        self.backing.is_in_file() && protection != Protection::ReadWrite
    }

    fn commit_file(&mut self, pages: Span, protection: Protection) -> Result<(), Refusal> {
        self.open_view()?;
        let offset = self.backing.in_reservation(pages.offset);
        let reservation = self.backing.reservation();
        // Written once here, so that code that was never written traps, so that no lack of memory can show as a signal later,
        // and because it is cheaper than letting each page fault: measured 1.8 against 3.1 µs a page.
        let committed = self.backing.write_traps(pages).and_then(|()| {
            // SAFETY: the range is the block's and not mapped yet.
            unsafe { reservation.map(offset, pages.size, protection) }
        });
        if committed.is_err() {
            // SAFETY: nothing maps that part of the file for execution, and nothing of it is lent.
            let _ = unsafe { reservation.discard(offset, pages.size) };
            return committed;
        }
        if let Some(view) = self.view() {
            let platform = self.backing.platform();
            // SAFETY: the view covers the whole block.
            let start = unsafe { view.add(pages.offset as usize) };
            // SAFETY: the view stays open while the block is borrowed, and the pages have just been written, so they have their memory.
            unsafe { platform.populate(start, pages.size) };
        }
        Ok(())
    }

    fn commit_private(&mut self, pages: Span, protection: Protection) -> Result<(), Refusal> {
        let (platform, at) = (self.backing.platform(), self.backing.at(pages.offset));
        if (self.backing.writer(), protection) == (Writer::Pkeys, Protection::ReadExecute) {
            // SAFETY: the range is the block's and not mapped yet.
            unsafe { platform.map_keyed(at, pages.size) }?;
        } else {
            let at_first = match self.backing.writer() {
                Writer::SelfMem => protection,
                // Written in place, and made executable or read-only when it is published.
                _ => Protection::ReadWrite,
            };
            // SAFETY: the range is the block's and not mapped yet.
            let start = unsafe { platform.map_private(at, pages.size, at_first) }?;
            self.backing.note_private(pages.offset, start);
        }
        // SAFETY: the pages are new.
        unsafe { self.fill_private(pages, protection) };
        Ok(())
    }

    /// Makes code in private memory that was never written trap.
    ///
    /// # Safety
    /// The pages are private memory, and nobody uses them.
    unsafe fn fill_private(&self, pages: Span, protection: Protection) {
        match (protection, self.backing.writer(), self.backing.private()) {
            (Protection::ReadExecute, Writer::Protect, Some(base)) => {
                // SAFETY: pages of this writer are writable while nobody uses them.
                unsafe { self.backing.fill_with_traps(base, pages) };
            }
            (Protection::ReadExecute, Writer::SelfMem | Writer::Pkeys, _) => {
                // A system that refuses this refuses to publish as well, and that is where it is told.
                let _ = self.backing.write_traps(pages);
            }
            _ => {}
        }
    }

    /// Makes the writable view, if the writer has one.
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        if self.backing.writer() == Writer::DualMapping
            && !self.has_view()
            && let Some((file, offset)) = self.backing.file_at(0)
        {
            let ready = self
                .backing
                .reservation()
                .view_at(self.backing.place().offset);
            let map = || file.map_view(offset, self.backing.size());
            let view = ready.map_or_else(map, Ok)?;
            self.backing.note_view(Some(view));
        }
        Ok(())
    }

    /// Drops the writable view. Nothing of the block is lent.
    pub(crate) fn close_view(&mut self) {
        let view = self.view();
        self.backing.note_view(None);
        // What is part of the reservation's view goes with it.
        if let Some(view) = view
            && self.backing.reservation().view_at(0).is_none()
        {
            // SAFETY: the view is whole, and nothing of it is lent.
            unsafe {
                self.backing
                    .platform()
                    .unmap_view(view, self.backing.size());
            };
        }
    }

    /// Gives the memory behind pages back; they stay mapped. [`Pages::restore`] comes before they are used again.
    ///
    /// # Safety
    /// The pages are committed for `protection`, and nobody uses them.
    pub(crate) unsafe fn discard(
        &mut self,
        pages: Span,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let backing = &self.backing;
        if self.is_in_file(protection) {
            let offset = backing.in_reservation(pages.offset);
            // SAFETY: the caller's obligations; the view is a mapping that nobody uses there either.
            unsafe { backing.reservation().discard(offset, pages.size) }?;
        } else {
            let at = backing.at(pages.offset);
            // SAFETY: the caller's obligations.
            unsafe { backing.platform().discard_private(at, pages.size) }?;
        }
        self.committed_bytes -= pages.size;
        self.backing.budget().uncommit(pages.size);
        Ok(())
    }

    /// Makes pages as they were when they were committed.
    ///
    /// # Safety
    /// They were discarded, and nobody uses them.
    pub(crate) unsafe fn restore(
        &mut self,
        pages: Span,
        protection: Protection,
    ) -> Result<(), Refusal> {
        self.backing.budget().commit(pages.size)?;
        let restored = if self.is_in_file(protection) {
            self.backing.write_traps(pages)
        } else {
            // SAFETY: the pages are private memory that reads as zero and that nobody uses.
            unsafe { self.fill_private(pages, protection) };
            Ok(())
        };
        self.count_committed(pages.size, restored)
    }

    /// Gives all pages back. The block stays reserved. If the system refuses, everything stays as it is.
    ///
    /// # Safety
    /// Nobody uses any of them.
    pub(crate) unsafe fn decommit(&mut self) -> Result<(), Refusal> {
        if !self.is_mapped {
            self.close_view();
            return Ok(());
        }
        let (reservation, place) = (self.backing.reservation(), self.backing.place());
        // SAFETY: the range is the whole block, so it cuts nothing, and the caller says that nobody uses it.
        unsafe { reservation.decommit(place.offset, place.size) }?;
        if reservation.file_at(0).is_some() {
            // SAFETY: nothing maps that part of the file any more but the view, which nobody uses. Should the system refuse,
            // the pages are written anew before they are published again; they only cost memory until then.
            let _ = unsafe { reservation.discard(place.offset, place.size) };
        }
        self.close_view();
        self.backing.budget().uncommit(self.committed_bytes);
        self.committed_bytes = 0;
        self.is_mapped = false;
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // What is still mapped goes with the reservation.
        self.close_view();
        self.backing.budget().uncommit(self.committed_bytes);
    }
}
