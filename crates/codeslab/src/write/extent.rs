//! Part of a block: what is done with its bytes, by whichever writer. Writers make their way to write out of these; blocks, and allocations
//! without the block's lock, retract what they own.

use super::backing::{Backing, FILL_BYTES, pieces};
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::slab::span::Span;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// From this size on, freed data goes back to the system instead of being cleared.
const DISCARD_BYTES: u64 = 64 << 10;

/// Pages or a span of a block, and the slab that they are of.
///
/// What the unsafe functions have in common: the extent is committed for its slab, and the caller has it to itself, so no thread reads, writes
/// or executes it until the call returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'b> {
    pub(crate) backing: &'b Backing,
    pub(crate) span: Span,
    pub(crate) slab: Protection,
}

impl Extent<'_> {
    pub(super) fn at(&self) -> Address {
        self.backing.at(self.span.offset)
    }

    pub(super) fn is_code(&self) -> bool {
        self.slab == Protection::ReadExecute
    }

    /// Maps pages of the memory file, filled.
    ///
    /// # Safety
    /// There is a file, and the extent is whole granules of the system, and not mapped.
    pub(super) unsafe fn map_file(self) -> Result<(), Refusal> {
        let offset = self.backing.in_reservation(self.span.offset);
        let size = self.span.size;
        let reservation = &self.backing.site.reservation;
        // Written once here, so that code that was never written traps, so that no lack of memory can show as a signal later,
        // and because it is cheaper than letting each page fault: measured 1.8 against 3.1 µs a page.
        // SAFETY: there is a file, and the pages are not mapped, so no thread uses their part of it.
        let filled = unsafe { self.backing.writer.fill(self) };
        // SAFETY: the range is the block's, its reservation has a file, and the caller says that it is not mapped.
        let map = |()| unsafe { reservation.map(offset, size, self.slab) };
        let mapped = filled.and_then(map);
        if mapped.is_err() {
            // SAFETY: no view of that part of the file is in use, and no mapping of it was made.
            let _ = unsafe { reservation.discard(offset, size) };
        }
        mapped
    }

    /// Where it is in the view, if there is one.
    fn in_view(&self) -> Option<NonNull<u8>> {
        let view = self.backing.view()?.as_ptr();
        NonNull::new(view.wrapping_add(self.span.offset as usize))
    }

    /// Makes its part of the view accessible, where the view does not show everything.
    ///
    /// # Safety
    /// The extent is whole granules of the system, its part of the view, if there is one, is hidden, and the view stays open until
    /// the call returns.
    pub(super) unsafe fn show(self) -> Result<(), Refusal> {
        match self.in_view().filter(|_| self.backing.hides()) {
            // SAFETY: the part lies in the view, which was mapped hidden and stays open, and the block's owner alone is in here.
            Some(start) => unsafe { self.backing.platform().show(start, self.span.size) },
            None => Ok(()),
        }
    }

    /// # Safety
    /// There is a view, which shows the extent and stays open; the caller has the extent to itself, and it is as long as `bytes`.
    #[inline]
    pub(super) unsafe fn write_view(self, bytes: &[u8]) -> Result<(), Refusal> {
        let view = self.backing.view();
        let view = view.ok_or_else(|| Refusal::foreseen("a view", 0, Limit::Unknown))?;
        // SAFETY: the view is of the whole block and shows the extent, which has room for the bytes and is the caller's.
        unsafe { copy_to(view, self.span.offset, bytes) };
        Ok(())
    }

    /// # Safety
    /// The extent is whole granules of the system, and not mapped.
    pub(super) unsafe fn map_private(self, protection: Protection) -> Result<(), Refusal> {
        let platform = self.backing.platform();
        // SAFETY: a block's range is reserved and the block's alone, and the caller says that it is not mapped.
        let start = unsafe { platform.map_private(self.at(), self.span.size, protection) }?;
        let base = start.as_ptr().wrapping_sub(self.span.offset as usize);
        self.backing.private.store(base, Ordering::Relaxed);
        Ok(())
    }

    /// # Safety
    /// What they have in common; and it is private pages.
    pub(super) unsafe fn protect(self, protection: Protection) -> Result<(), Refusal> {
        let platform = self.backing.platform();
        // SAFETY: the range is private memory, and the caller, who has it to itself, does not rely on what it could be used for.
        unsafe { platform.protect(self.at(), self.span.size, protection) }
    }

    /// # Safety
    /// There is a file, the caller has the extent to itself, and it is as long as `bytes`.
    pub(super) unsafe fn write_file(self, bytes: &[u8]) -> Result<(), Refusal> {
        let offset = self.backing.in_reservation(self.span.offset);
        // SAFETY: there is a file, and the bytes are the caller's.
        unsafe { self.backing.site.reservation.write(offset, bytes) }
    }

    /// # Safety
    /// The extent is writable, with byte 0 of the block at `base`, and the caller has it to itself.
    #[inline]
    pub(super) unsafe fn fill_at(self, base: NonNull<u8>) {
        let (fill, span) = (self.backing.fill, self.span);
        if span.size <= FILL_BYTES as u64 {
            // SAFETY: the caller says that the span is writable from `base` on and its own.
            return unsafe { copy_to(base, span.offset, &fill[..span.size as usize]) };
        }
        for (offset, piece) in pieces(fill, span) {
            // SAFETY: the piece lies in the span, of which the caller says so.
            unsafe { copy_to(base, offset, piece) };
        }
    }

    /// # Safety
    /// It was written to the block's memory file, and the view, if there is one, stays open until the call returns.
    pub(super) unsafe fn populate_view(self) {
        if let Some(start) = self.in_view() {
            // SAFETY: the pages lie in the view, which stays open, and the file has memory for what was written to it.
            unsafe { self.backing.platform().populate(start, self.span.size) };
        }
    }

    /// Makes what was published or abandoned safe to lie around: code traps, data is zero again.
    ///
    /// # Safety
    /// What they have in common. `view` is the writable view of the block, if it stays open until the call returns.
    #[inline]
    pub(crate) unsafe fn retract(self, view: Option<NonNull<u8>>) -> Result<(), Refusal> {
        match (self.slab, view) {
            // SAFETY: the extent is committed data, and the caller has it to itself.
            (Protection::ReadWrite, _) => unsafe { self.clear() },
            // SAFETY: the extent is committed for its slab, the caller has it to itself, and the view stays open.
            (_, Some(view)) => unsafe { self.retract_in_view(view) },
            // SAFETY: the extent is committed code or constants, and the caller has it to itself.
            (_, None) => unsafe { self.backing.writer.retract(self) }?,
        }
        Ok(())
    }

    /// The same in a block with a writable view: nothing that the system could refuse.
    ///
    /// # Safety
    /// What they have in common. `view` is the writable view of the block and stays open until the call returns.
    #[inline]
    pub(crate) unsafe fn retract_in_view(self, view: NonNull<u8>) {
        match self.slab {
            // SAFETY: the extent is committed data, and the caller has it to itself.
            Protection::ReadWrite => unsafe { self.clear() },
            Protection::ReadOnly => {}
            // SAFETY: the view is of the whole block, so it covers the extent, which the caller has to itself.
            Protection::ReadExecute => unsafe { self.fill_at(view) },
        }
    }

    /// # Safety
    /// What they have in common; and it is data.
    unsafe fn clear(self) {
        let (start, end) = (self.span.offset, self.span.end());
        if self.span.size < DISCARD_BYTES {
            // SAFETY: all of the extent is committed data that the caller has to itself.
            return unsafe { self.zero(start, end) };
        }
        let platform = self.backing.platform();
        let page = platform.facts().page_size;
        let (first, last) = (start.next_multiple_of(page.bytes()), page.round_down(end));
        let (at, size) = (self.backing.at(first), last - first);
        // SAFETY: the whole pages inside the extent are private memory that the caller has to itself.
        if unsafe { platform.discard_private(at, size) }.is_err() {
            // Locked memory cannot be discarded, for example.
            // SAFETY: that is the extent.
            return unsafe { self.zero(start, end) };
        }
        for (from, to) in [(start, first), (last, end)] {
            // SAFETY: these bytes lie in the extent.
            unsafe { self.zero(from, to) };
        }
    }

    /// # Safety
    /// The bytes from one offset to the other are committed data, and the caller has them to itself.
    unsafe fn zero(self, from: u64, to: u64) {
        if let Some(base) = self.backing.private() {
            let start = base.as_ptr().wrapping_add(from as usize);
            // SAFETY: committed data is private memory, which is writable from `base` on.
            unsafe { start.write_bytes(0, (to - from) as usize) };
        }
    }
}

/// # Safety
/// `offset` bytes behind `base` there is room for `bytes`, which lie elsewhere, and the caller has it to itself.
#[inline]
unsafe fn copy_to(base: NonNull<u8>, offset: u64, bytes: &[u8]) {
    let start = base.as_ptr().wrapping_add(offset as usize);
    // SAFETY: the caller says that there is room, that the bytes lie elsewhere, and that no thread uses the room.
    unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}
