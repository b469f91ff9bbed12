//! What is behind a block and does not change as long as the block lives: where it is, which memory it consists of, who writes to it.
//!
//! Blocks own one, and so does every allocation's block header: threads publish and retract spans through it without the
//! block and its lock. It is where raw ranges and pointers stop: above it there are spans, offsets in a block.
#![allow(unsafe_code, reason = "raw ranges and pointers stop here")]

use super::{CodeWriter, WriteTarget, by};
use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::span::Span;
use crate::space::budget::Budget;
use crate::space::clusters::Site;
use crate::sys::Platform;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

/// From this size on, freed data goes back to the system instead of being cleared.
const DISCARD_BYTES: u64 = 64 << 10;

/// Bytes of the fill pattern that are written at once. More would be memory that holds nothing else, and save few calls.
const FILL_BYTES: usize = 32 << 10;

/// What a block consists of.
#[derive(Debug)]
pub(crate) struct Backing {
    site: Site,
    writer: &'static dyn CodeWriter,
    budget: Arc<Budget>,
    // Where byte 0 of the block would be written if all of it were private memory, or null before any of it is. It stays the same:
    // see `Platform::map_private`.
    private: AtomicPtr<u8>,
    // The writable view of the whole block, or null. The block's owner opens and closes it, and never while bytes of an
    // allocation in flight are in use.
    view: AtomicPtr<u8>,
    // Instructions that trap, written where no code is.
    fill: &'static [u8],
}

fn fill_pattern(architecture: Architecture) -> &'static [u8] {
    static FILL: OnceLock<Box<[u8]>> = OnceLock::new();
    let pattern = architecture.fill_pattern();
    FILL.get_or_init(|| {
        let repeated = pattern.repeat(FILL_BYTES / pattern.len());
        repeated.into_boxed_slice()
    })
}

impl Backing {
    pub(crate) fn new(site: Site, writer: Writer, budget: Arc<Budget>) -> Self {
        let architecture = site.reservation.platform().facts().architecture;
        Self {
            site,
            writer: by(writer),
            budget,
            private: AtomicPtr::default(),
            view: AtomicPtr::default(),
            fill: fill_pattern(architecture),
        }
    }

    pub(crate) const fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) const fn size(&self) -> u64 {
        self.site.place.size
    }

    pub(crate) fn range(&self) -> Window {
        Window::of_range(self.at(0), self.size()).expect("a block lies in the address space")
    }

    /// The address of the byte at `offset` of the block.
    pub(crate) fn at(&self, offset: u64) -> Address {
        Address::new(self.site.reservation.address().value() + self.in_reservation(offset))
    }

    const fn in_reservation(&self, offset: u64) -> u64 {
        self.site.place.offset + offset
    }

    pub(crate) fn writer(&self) -> &'static dyn CodeWriter {
        self.writer
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &**self.site.reservation.platform()
    }

    /// Whether a slab's pages are those of a memory file: data's never are.
    pub(super) fn is_in_file(&self, slab: Protection) -> bool {
        slab != Protection::ReadWrite && self.site.reservation.file_at(0).is_some()
    }

    /// Where byte 0 of the block would be written if all of it were private memory. Only offsets that are mapped so count.
    pub(super) fn private(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.private.load(Ordering::Relaxed))
    }

    /// The writable view of the whole block, if there is one. It stays as long as anything of the block is in flight.
    #[inline]
    pub(crate) fn view(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.view.load(Ordering::Relaxed))
    }

    /// Where the bytes of a slab are written.
    #[inline]
    pub(crate) fn target(&self, slab: Protection) -> WriteTarget {
        match slab {
            Protection::ReadWrite => WriteTarget::InPlace,
            _ => self.writer.target(slab),
        }
    }

    /// Where byte 0 of the block is written for a target; `None` for one that is elsewhere.
    #[inline]
    pub(crate) fn base(&self, target: WriteTarget) -> Option<NonNull<u8>> {
        match target {
            WriteTarget::View => self.view(),
            WriteTarget::InPlace => self.private(),
            WriteTarget::Staged => None,
        }
    }

    /// Makes the writable view of the block, if there is none.
    pub(super) fn open_view(&self) -> Result<(), Refusal> {
        let reservation = &self.site.reservation;
        if self.view().is_none()
            && let Some((file, offset)) = reservation.file_at(self.in_reservation(0))
        {
            let sealed = reservation.view_at(self.in_reservation(0));
            let map = || file.map_view(offset, self.size());
            let view = sealed.map_or_else(map, Ok)?;
            self.view.store(view.as_ptr(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Drops the writable view.
    ///
    /// # Safety
    /// No thread uses it: nothing of the block is in flight, and its owner, the caller, frees nothing through it.
    pub(super) unsafe fn close_view(&self) {
        let view = NonNull::new(self.view.swap(std::ptr::null_mut(), Ordering::Relaxed));
        // What is part of the reservation's view goes with it.
        if let Some(view) = view
            && self.site.reservation.view_at(0).is_none()
        {
            // SAFETY: the view is as `open_view` made it, of the whole block, and the caller says that no thread uses it.
            unsafe { self.platform().unmap_view(view, self.size()) };
        }
    }

    /// Prepares pages of the view for being written.
    ///
    /// # Safety
    /// The pages lie in the block and were written to its memory file, and the view stays open until the call returns.
    pub(super) unsafe fn populate_view(&self, pages: Span) {
        if let Some(view) = self.view() {
            // SAFETY: the view is of the whole block, in which the pages lie.
            let start = unsafe { view.add(pages.offset as usize) };
            // SAFETY: the pages lie in the view, which stays open, and the file has memory for what was written to it.
            unsafe { self.platform().populate(start, pages.size) };
        }
    }

    /// Maps pages of the memory file for a slab, filled.
    ///
    /// # Safety
    /// The pages are whole granules of the system in the block, and not mapped.
    pub(super) unsafe fn map_file(&self, pages: Span, slab: Protection) -> Result<(), Refusal> {
        let offset = self.in_reservation(pages.offset);
        let reservation = &self.site.reservation;
        // Written once here, so that code that was never written traps, so that no lack of memory can show as a signal later,
        // and because it is cheaper than letting each page fault: measured 1.8 against 3.1 µs a page.
        // SAFETY: the pages are not mapped, so no thread uses their part of the file.
        let filled = unsafe { self.fill_file(pages) };
        // SAFETY: the range is the block's, its reservation has a file, and the caller says that it is not mapped.
        let map = |()| unsafe { reservation.map(offset, pages.size, slab) };
        let mapped = filled.and_then(map);
        if mapped.is_err() {
            // SAFETY: no view of that part of the file is in use, and no mapping of it was made.
            let _ = unsafe { reservation.discard(offset, pages.size) };
        }
        mapped
    }

    /// Maps private pages.
    ///
    /// # Safety
    /// The pages are whole granules of the system in the block, and not mapped.
    pub(super) unsafe fn map_private(
        &self,
        pages: Span,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let (platform, at) = (self.platform(), self.at(pages.offset));
        // SAFETY: a block's range is reserved and the block's alone, and the caller says that it is not mapped.
        let start = unsafe { platform.map_private(at, pages.size, protection) }?;
        let base = start.as_ptr().wrapping_sub(pages.offset as usize);
        self.private.store(base, Ordering::Relaxed);
        Ok(())
    }

    /// Changes what private pages may be used for.
    ///
    /// # Safety
    /// The span is committed private pages of the block, and the caller has them to itself.
    pub(super) unsafe fn protect(&self, span: Span, protection: Protection) -> Result<(), Refusal> {
        let (platform, at) = (self.platform(), self.at(span.offset));
        // SAFETY: the range is private memory, and the caller, who has it to itself, does not rely on what it could be used for.
        unsafe { platform.protect(at, span.size, protection) }
    }

    /// Writes to the memory file, past all views.
    ///
    /// # Safety
    /// There is a file, and the caller has `bytes.len()` bytes of the block from `offset` on to itself.
    pub(super) unsafe fn write_file(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let offset = self.in_reservation(offset);
        // SAFETY: there is a file, and the bytes are the caller's.
        unsafe { self.site.reservation.write(offset, bytes) }
    }

    /// Writes the fill pattern to the memory file, past all views.
    ///
    /// # Safety
    /// There is a file, and the caller has the span to itself.
    pub(super) unsafe fn fill_file(&self, span: Span) -> Result<(), Refusal> {
        self.pieces(span).try_for_each(|(offset, piece)| {
            // SAFETY: there is a file, and the piece lies in the span, which the caller has to itself.
            unsafe { self.write_file(offset, piece) }
        })
    }

    /// The fill pattern for a span, piece by piece, each with its address.
    pub(super) fn fill_pieces(&self, span: Span) -> impl Iterator<Item = (Address, &'static [u8])> {
        let pieces = self.pieces(span);
        pieces.map(|(offset, piece)| (self.at(offset), piece))
    }

    /// The fill pattern for a span, piece by piece, each with its offset in the block.
    fn pieces(&self, span: Span) -> impl Iterator<Item = (u64, &'static [u8])> + use<> {
        let fill = self.fill;
        let offsets = (span.offset..span.end()).step_by(fill.len());
        offsets.map(move |offset| {
            let size = fill.len().min((span.end() - offset) as usize);
            (offset, &fill[..size])
        })
    }

    /// Writes the fill pattern in place.
    ///
    /// # Safety
    /// Byte 0 of the block is written at `base`, the span is writable there, and the caller has it to itself.
    #[inline]
    pub(crate) unsafe fn fill_at(&self, base: NonNull<u8>, span: Span) {
        if span.size <= FILL_BYTES as u64 {
            // SAFETY: the caller says that the span is writable from `base` on and its own.
            return unsafe { copy_to(base, span.offset, &self.fill[..span.size as usize]) };
        }
        for (offset, piece) in self.pieces(span) {
            // SAFETY: the piece lies in the span, of which the caller says so.
            unsafe { copy_to(base, offset, piece) };
        }
    }

    /// Bytes that are written elsewhere first. They begin as the fill pattern.
    pub(crate) fn stage(&self, size: u64) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(size as usize);
        reserved.map_err(|_| Refusal::foreseen("malloc", size, Limit::Memory))?;
        let pieces = self.pieces(Span { offset: 0, size });
        pieces.for_each(|(_, piece)| bytes.extend_from_slice(piece));
        Ok(bytes)
    }

    /// Makes a span that was published or abandoned safe to lie around: code traps, data is zero again.
    ///
    /// # Safety
    /// The span is committed for `slab`, and the caller has it to itself. `view` is the writable view of the block, if it stays open
    /// until the call returns.
    #[inline]
    pub(crate) unsafe fn retract(
        &self,
        span: Span,
        slab: Protection,
        view: Option<NonNull<u8>>,
    ) -> Result<(), Refusal> {
        match (slab, view) {
            // SAFETY: the span is committed data, and the caller has it to itself.
            (Protection::ReadWrite, _) => unsafe { self.clear(span) },
            // SAFETY: the span is committed for its slab, the caller has it to itself, and the view stays open.
            (_, Some(view)) => unsafe { self.retract_in_view(span, slab, view) },
            // SAFETY: the span is committed code or constants, and the caller has it to itself.
            (_, None) => unsafe { self.writer.retract(self, span, slab) }?,
        }
        Ok(())
    }

    /// The same where there is a view of code: nothing that the system could refuse.
    ///
    /// # Safety
    /// The span is committed for `slab`, and the caller has it to itself. `view` is the writable view of the block and stays open
    /// until the call returns.
    #[inline]
    pub(crate) unsafe fn retract_in_view(&self, span: Span, slab: Protection, view: NonNull<u8>) {
        match slab {
            // SAFETY: the span is committed data, and the caller has it to itself.
            Protection::ReadWrite => unsafe { self.clear(span) },
            Protection::ReadOnly => {}
            // SAFETY: the view is of the whole block, so it covers the span, which the caller has to itself.
            Protection::ReadExecute => unsafe { self.fill_at(view, span) },
        }
    }

    /// # Safety
    /// The span is committed data, and the caller has it to itself.
    unsafe fn clear(&self, span: Span) {
        if span.size < DISCARD_BYTES {
            // SAFETY: all of the span is committed data that the caller has to itself.
            return unsafe { self.zero(span.offset, span.end()) };
        }
        let platform = self.platform();
        let page = platform.facts().page_size;
        let first = span.offset.next_multiple_of(page.bytes());
        let last = page.round_down(span.end());
        // Locked memory cannot be discarded, for example.
        // SAFETY: the whole pages inside the span are private memory that the caller has to itself.
        let is_discarded =
            unsafe { platform.discard_private(self.at(first), last - first) }.is_ok();
        // What is left: both ends, or all of it.
        let (end_of_first, start_of_last) = if is_discarded {
            (first, last)
        } else {
            (span.end(), span.end())
        };
        // SAFETY: these bytes lie in the span.
        unsafe { self.zero(span.offset, end_of_first) };
        // SAFETY: these bytes lie in the span.
        unsafe { self.zero(start_of_last, span.end()) };
    }

    /// # Safety
    /// The bytes from one offset to the other are committed data, and the caller has them to itself.
    unsafe fn zero(&self, from: u64, to: u64) {
        if let Some(base) = self.private() {
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
