//! The committed pages of one block: how bytes get into them, and what becomes of them.
//!
//! This is where writers differ. Everything above asks for a place to write a span ([`Mapping::lend`]), publishes it and
//! retracts it; everything below maps and protects pages.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::address::{Address, Window};
use crate::code_model::Architecture;
use crate::error::{Limit, Refusal};
use crate::lent::{Bytes, Lent, Publisher, needs_own_pages, write_private};
use crate::protection::Protection;
use crate::reservation::{Backing, Reservation};
use crate::span::Span;
use crate::sys::MemoryFile;
use crate::writer::Writer;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

/// From this size on, freed data goes back to the system instead of being cleared.
const DISCARD_BYTES: u64 = 64 << 10;

/// What backs the reservations that a writer writes to.
pub(crate) const fn backing_for(writer: Writer) -> Backing {
    match writer {
        Writer::DualMapping | Writer::FileWrite => Backing::File,
        Writer::Protect | Writer::SelfMem | Writer::Pkeys => Backing::Private,
    }
}

/// The pages behind a block.
#[derive(Debug)]
pub(crate) struct Mapping {
    reservation: Arc<Reservation>,
    // Invariant: inside the reservation, and no other mapping's.
    offset: u64,
    size: u64,
    writer: Writer,
    // The writable side of the whole block, while it is needed (dual-mapping only).
    view: Option<NonNull<u8>>,
    // Where byte 0 of the block would be written if all of it were private memory. Only offsets that are mapped so count.
    private: Option<NonNull<u8>>,
    committed_bytes: u64,
    // What is written where nothing is.
    traps: &'static [u8],
}

/// As many trapping instructions as are written at once.
fn traps_of(architecture: Architecture) -> &'static [u8] {
    static TRAPS: OnceLock<Box<[u8]>> = OnceLock::new();
    let pattern = architecture.trap_pattern();
    TRAPS.get_or_init(|| {
        pattern
            .repeat((64 << 10) / pattern.len())
            .into_boxed_slice()
    })
}

// SAFETY: the pointers are to memory that the mapping owns; who may use which part of it is up to the spans.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(crate) fn new(
        reservation: Arc<Reservation>,
        offset: u64,
        size: u64,
        writer: Writer,
    ) -> Self {
        debug_assert!(
            offset + size <= reservation.size(),
            "a block lies in its reservation"
        );
        let traps = traps_of(reservation.platform().facts().architecture);
        Self {
            reservation,
            offset,
            size,
            writer,
            view: None,
            private: None,
            committed_bytes: 0,
            traps,
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(self.reservation.address().value() + self.offset)
    }

    pub(crate) fn range(&self) -> Window {
        Window::of_range(self.address(), self.size).expect("a block lies in the address space")
    }

    /// Where in the reservation the block is.
    pub(crate) const fn place(&self) -> Span {
        Span {
            offset: self.offset,
            size: self.size,
        }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) const fn reservation(&self) -> &Arc<Reservation> {
        &self.reservation
    }

    pub(crate) const fn has_view(&self) -> bool {
        self.view.is_some()
    }

    pub(crate) const fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    fn at(&self, offset: u64) -> Address {
        Address::new(self.address().value() + offset)
    }

    /// The file behind the block and where in it the byte at `offset` of the block is.
    fn file_at(&self, offset: u64) -> Option<(MemoryFile, u64)> {
        self.reservation
            .file()
            .map(|file| (file, self.offset + offset))
    }

    /// Commits pages for one protection. They are whole granules of the system and not committed yet.
    pub(crate) fn commit(&mut self, pages: Span, protection: Protection) -> Result<(), Refusal> {
        match self.file_at(pages.offset) {
            Some(place) if protection != Protection::ReadWrite => {
                self.commit_file(pages, place, protection)?;
            }
            _ => self.commit_private(pages, protection)?,
        }
        self.committed_bytes += pages.size;
        Ok(())
    }

    fn commit_file(
        &mut self,
        pages: Span,
        place: (MemoryFile, u64),
        protection: Protection,
    ) -> Result<(), Refusal> {
        self.open_view()?;
        let (file, offset) = place;
        let platform = self.reservation.platform();
        // Written once here, so that code that was never written traps, so that no lack of memory can show as a signal later,
        // and because it is cheaper than letting each page fault: measured 1.8 against 3.1 µs a page.
        let committed = self.write_traps(pages).and_then(|()| {
            // SAFETY: the range is the block's and not mapped yet.
            unsafe {
                platform.map_file(self.at(pages.offset), pages.size, file, offset, protection)
            }
        });
        if committed.is_err() {
            // SAFETY: nothing maps that part of the file for execution, and nothing of it is lent.
            let _ = unsafe { platform.discard_file(file, offset, pages.size) };
            return committed;
        }
        if let Some(view) = self.view {
            // SAFETY: the view covers the whole block.
            platform.populate(unsafe { view.add(pages.offset as usize) }, pages.size);
        }
        Ok(())
    }

    /// Writes trapping instructions past all views.
    fn write_traps(&self, span: Span) -> Result<(), Refusal> {
        let platform = self.reservation.platform();
        for (done, traps) in self.traps(span.size) {
            let offset = span.offset + done;
            match self.file_at(offset) {
                Some((file, offset)) => platform.write_file(file, offset, traps)?,
                // SAFETY: the callers' spans are new or nobody's, and private memory where there is no file.
                None => unsafe { write_private(&**platform, self.writer, self.at(offset), traps) }?,
            }
        }
        Ok(())
    }

    /// Writes trapping instructions in place.
    ///
    /// # Safety
    /// Everything from `base` on is writable where the span is, and nobody uses the span.
    unsafe fn fill_with_traps(&self, base: NonNull<u8>, span: Span) {
        for (done, traps) in self.traps(span.size) {
            let start = base.as_ptr().wrapping_add((span.offset + done) as usize);
            // SAFETY: the caller's obligations; the traps lie elsewhere.
            unsafe { start.copy_from_nonoverlapping(traps.as_ptr(), traps.len()) };
        }
    }

    /// Trapping instructions for `size` bytes, piece by piece, each with its offset.
    fn traps(&self, size: u64) -> impl Iterator<Item = (u64, &'static [u8])> + use<> {
        let traps = self.traps;
        let piece = traps.len();
        let pieces = (0..size).step_by(piece);
        pieces.map(move |done| (done, &traps[..piece.min((size - done) as usize)]))
    }

    fn commit_private(&mut self, pages: Span, protection: Protection) -> Result<(), Refusal> {
        let (platform, at) = (self.reservation.platform(), self.at(pages.offset));
        if (self.writer, protection) == (Writer::Pkeys, Protection::ReadExecute) {
            // SAFETY: the range is the block's and not mapped yet.
            unsafe { platform.map_keyed(at, pages.size) }?;
        } else {
            let at_first = match self.writer {
                Writer::SelfMem => protection,
                // Written in place, and made executable or read-only when it is published.
                _ => Protection::ReadWrite,
            };
            // SAFETY: the range is the block's and not mapped yet.
            let start = unsafe { platform.map_private(at, pages.size, at_first) }?;
            self.private =
                NonNull::new(start.as_ptr().wrapping_sub(pages.offset as usize)).or(self.private);
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
        match (protection, self.writer, self.private) {
            (Protection::ReadExecute, Writer::Protect, Some(base)) => {
                // SAFETY: pages of this writer are writable while nobody uses them.
                unsafe { self.fill_with_traps(base, pages) };
            }
            (Protection::ReadExecute, Writer::SelfMem | Writer::Pkeys, _) => {
                // A system that refuses this refuses to publish as well, and that is where it is told.
                let _ = self.write_traps(pages);
            }
            _ => {}
        }
    }

    /// Makes the writable view, if the writer has one.
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        if self.writer == Writer::DualMapping
            && self.view.is_none()
            && let Some((file, offset)) = self.file_at(0)
        {
            self.view = Some(
                self.reservation
                    .platform()
                    .map_view(self.size, file, offset)?,
            );
        }
        Ok(())
    }

    /// Drops the writable view. Nothing of the block is lent.
    pub(crate) fn close_view(&mut self) {
        if let Some(view) = self.view.take() {
            // SAFETY: the view is whole, and nothing of it is lent.
            unsafe { self.reservation.platform().unmap_view(view, self.size) };
        }
    }

    /// The bytes of a span that was carved for one request, to be written before it is published. Data reads as zero.
    ///
    /// # Safety
    /// `size` is at most the span's. The span is committed for `protection`, and was carved for the caller, who has not
    /// borrowed it already. The view is open if the writer has one, and stays so until the bytes are given back.
    pub(crate) unsafe fn lend(
        &self,
        span: Span,
        size: u64,
        protection: Protection,
    ) -> Result<Bytes, Refusal> {
        let base = match (self.writer, protection) {
            (_, Protection::ReadWrite) => self.private,
            (writer, slab) if needs_own_pages(writer, slab) => self.private,
            (Writer::DualMapping, _) => self.view,
            _ => None,
        };
        let Some(base) = base else {
            return self.stage(size);
        };
        let start = base.as_ptr().wrapping_add(span.offset as usize);
        let start = NonNull::new(start).expect("committed memory is not at zero");
        // SAFETY: the span is committed and writable there, and the caller has it to itself.
        Ok(Bytes::InPlace(unsafe { Lent::new(start, size as usize) }))
    }

    /// Bytes that are written elsewhere first. They begin as traps.
    fn stage(&self, size: u64) -> Result<Bytes, Refusal> {
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(size as usize);
        reserved.map_err(|_| Refusal::foreseen("malloc", size, Limit::Memory))?;
        self.traps(size)
            .for_each(|(_, traps)| bytes.extend_from_slice(traps));
        Ok(Bytes::Staged(bytes.into_boxed_slice()))
    }

    /// What it takes to publish a span, without the block and its lock.
    pub(crate) fn publisher(&self, span: Span) -> Publisher {
        Publisher {
            at: self.at(span.offset),
            size: span.size,
            writer: self.writer,
            file: self.file_at(span.offset),
        }
    }

    /// Makes a span that was published or abandoned safe to lie around: code traps, data is zero again.
    ///
    /// # Safety
    /// Nobody uses the span any more. It is committed for `protection`.
    pub(crate) unsafe fn retract(&self, span: Span, protection: Protection) -> Result<(), Refusal> {
        match (protection, self.writer) {
            (Protection::ReadWrite, _) => {
                // SAFETY: the caller's obligations.
                unsafe { self.clear(span) };
                Ok(())
            }
            // SAFETY: the caller's obligations.
            (slab, writer) if needs_own_pages(writer, slab) => unsafe {
                self.retract_pages(span, protection)
            },
            (Protection::ReadOnly, _) => Ok(()),
            (Protection::ReadExecute, _) => match self.view {
                Some(view) => {
                    // SAFETY: the view covers the block, and the caller says that nobody uses the span.
                    unsafe { self.fill_with_traps(view, span) };
                    Ok(())
                }
                None => self.write_traps(span),
            },
        }
    }

    /// # Safety
    /// The span has pages of its own, which nobody uses.
    unsafe fn retract_pages(&self, span: Span, protection: Protection) -> Result<(), Refusal> {
        let platform = self.reservation.platform();
        // SAFETY: the caller's obligations. Writable pages are not executable.
        unsafe { platform.protect(self.at(span.offset), span.size, Protection::ReadWrite) }?;
        if let (Protection::ReadExecute, Some(base)) = (protection, self.private) {
            // SAFETY: the pages are writable now.
            unsafe { self.fill_with_traps(base, span) };
        }
        Ok(())
    }

    /// # Safety
    /// Nobody uses the span, which is committed data.
    unsafe fn clear(&self, span: Span) {
        if span.size < DISCARD_BYTES {
            // SAFETY: the caller's obligations.
            return unsafe { self.zero(span.offset, span.end()) };
        }
        let platform = self.reservation.platform();
        let page = platform.facts().page_size;
        let first = span.offset.next_multiple_of(page.bytes());
        let last = page.round_down(span.end());
        // Locked memory cannot be discarded, for example.
        // SAFETY: the whole pages inside the span are nobody else's.
        let is_discarded =
            unsafe { platform.discard_private(self.at(first), last - first) }.is_ok();
        // What is left: both ends, or all of it.
        let (end_of_first, start_of_last) = if is_discarded {
            (first, last)
        } else {
            (span.end(), span.end())
        };
        // SAFETY: the caller's obligations.
        unsafe { self.zero(span.offset, end_of_first) };
        // SAFETY: likewise.
        unsafe { self.zero(start_of_last, span.end()) };
    }

    /// # Safety
    /// The bytes are committed data that nobody uses.
    unsafe fn zero(&self, from: u64, to: u64) {
        if let Some(base) = self.private {
            // SAFETY: private memory is writable from `base` on wherever data is committed.
            unsafe {
                base.as_ptr()
                    .wrapping_add(from as usize)
                    .write_bytes(0, (to - from) as usize);
            };
        }
    }

    /// Gives the memory behind pages back; they stay mapped. [`Mapping::restore`] comes before they are used again.
    ///
    /// # Safety
    /// The pages are committed for `protection`, and nobody uses them.
    pub(crate) unsafe fn discard(
        &mut self,
        pages: Span,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let platform = self.reservation.platform();
        match self.file_at(pages.offset) {
            // SAFETY: the caller's obligations; the view is a mapping that nobody uses there either.
            Some((file, offset)) if protection != Protection::ReadWrite => unsafe {
                platform.discard_file(file, offset, pages.size)
            },
            // SAFETY: the caller's obligations.
            _ => unsafe { platform.discard_private(self.at(pages.offset), pages.size) },
        }?;
        self.committed_bytes -= pages.size;
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
        let is_in_file = self.reservation.file().is_some() && protection != Protection::ReadWrite;
        if is_in_file {
            self.write_traps(pages)?;
        } else {
            // SAFETY: the pages are private memory that reads as zero and that nobody uses.
            unsafe { self.fill_private(pages, protection) };
        }
        self.committed_bytes += pages.size;
        Ok(())
    }

    /// Gives all pages back. The block stays reserved. If the system refuses, everything stays as it is.
    ///
    /// # Safety
    /// Nobody uses any of them.
    pub(crate) unsafe fn decommit(&mut self) -> Result<(), Refusal> {
        if self.committed_bytes == 0 {
            self.close_view();
            return Ok(());
        }
        let platform = self.reservation.platform();
        // SAFETY: the range is the whole block, so it cuts nothing, and the caller says that nobody uses it.
        unsafe { platform.decommit(self.address(), self.size) }?;
        self.close_view();
        self.committed_bytes = 0;
        self.private = None;
        if let Some((file, offset)) = self.file_at(0) {
            // SAFETY: nothing maps that part of the file any more. Should the system refuse, the pages are written anew
            // before they are published again; they only cost memory until then.
            let _ = unsafe {
                self.reservation
                    .platform()
                    .discard_file(file, offset, self.size)
            };
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // What is still mapped goes with the reservation.
        self.close_view();
    }
}
