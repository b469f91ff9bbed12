//! What does not change about a block as long as it lives: where it is, what is behind it, who writes to it. Whoever holds it can
//! publish and retract spans of the block without owning the block, and so without its lock.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Limit, Refusal};
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::span::Span;
use crate::space::budget::Budget;
use crate::space::reservation::{MemoryKind, Reservation};
use crate::sys::{MemoryFile, Platform};
use crate::write::staging::{Bases, Publisher, needs_own_pages, write_private};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

/// From this size on, freed data goes back to the system instead of being cleared.
const DISCARD_BYTES: u64 = 64 << 10;

/// What backs the reservations that a writer writes to.
pub(crate) const fn backing_for(writer: Writer, sealing: Option<Sealing>) -> MemoryKind {
    match writer {
        Writer::DualMapping | Writer::FileWrite => MemoryKind::File(sealing),
        Writer::Protect | Writer::SelfMem | Writer::Pkeys => MemoryKind::Private,
    }
}

/// Whether what a writer writes to can be sealed: private memory cannot.
pub(crate) const fn can_be_sealed(writer: Writer) -> bool {
    matches!(backing_for(writer, None), MemoryKind::File(_))
}

/// What a block stands on.
#[derive(Debug)]
pub(crate) struct Backing {
    reservation: Arc<Reservation>,
    // Invariant: inside the reservation, and no other block's.
    offset: u64,
    size: u64,
    writer: Writer,
    budget: Arc<Budget>,
    // Where byte 0 of the block would be written if all of it were private memory, or null before any of it is. It stays the same:
    // see `Platform::map_private`.
    private: AtomicPtr<u8>,
    // The writable view of the whole block, or null: the mapping opens and closes it, and never while something is being written.
    view: AtomicPtr<u8>,
    // What is written where nothing is.
    traps: &'static [u8],
}

/// As many trapping instructions as are written at once. More would be memory that holds nothing else, and save few calls.
fn traps_of(architecture: Architecture) -> &'static [u8] {
    static TRAPS: OnceLock<Box<[u8]>> = OnceLock::new();
    let pattern = architecture.trap_pattern();
    TRAPS.get_or_init(|| {
        pattern
            .repeat((32 << 10) / pattern.len())
            .into_boxed_slice()
    })
}

impl Backing {
    pub(crate) fn new(
        reservation: Arc<Reservation>,
        offset: u64,
        size: u64,
        writer: Writer,
        budget: Arc<Budget>,
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
            budget,
            private: AtomicPtr::default(),
            view: AtomicPtr::default(),
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

    pub(crate) const fn writer(&self) -> Writer {
        self.writer
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) const fn reservation(&self) -> &Arc<Reservation> {
        &self.reservation
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &**self.reservation.platform()
    }

    /// Where byte 0 of the block would be written if all of it were private memory. Only offsets that are mapped so count.
    pub(crate) fn private(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.private.load(Ordering::Relaxed))
    }

    /// Notes where the private memory at `offset` is written.
    pub(crate) fn note_private(&self, offset: u64, start: NonNull<u8>) {
        let base = start.as_ptr().wrapping_sub(offset as usize);
        self.private.store(base, Ordering::Relaxed);
    }

    /// The writable view of the whole block, if there is one. It stays for whoever is writing.
    #[inline]
    pub(crate) fn view(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.view.load(Ordering::Relaxed))
    }

    /// Notes that there is a view, or none any more.
    pub(crate) fn note_view(&self, view: Option<NonNull<u8>>) {
        let view = view.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        self.view.store(view, Ordering::Relaxed);
    }

    /// Where spans are written.
    pub(crate) fn bases(&self) -> Bases {
        Bases {
            view: self.view(),
            private: self.private(),
        }
    }

    pub(crate) fn at(&self, offset: u64) -> Address {
        Address::new(self.address().value() + offset)
    }

    /// Where in the reservation the byte at `offset` of the block is.
    pub(crate) const fn in_reservation(&self, offset: u64) -> u64 {
        self.offset + offset
    }

    /// Whether there is a file behind the code and the constants of the block.
    pub(crate) fn is_in_file(&self) -> bool {
        self.file_at(0).is_some()
    }

    /// The file behind the block and where in it the byte at `offset` of the block is.
    pub(crate) fn file_at(&self, offset: u64) -> Option<(&dyn MemoryFile, u64)> {
        self.reservation.file_at(self.offset + offset)
    }

    /// Writes trapping instructions past all views.
    pub(crate) fn write_traps(&self, span: Span) -> Result<(), Refusal> {
        let platform = self.platform();
        for (done, traps) in self.traps(span.size) {
            let offset = span.offset + done;
            if self.is_in_file() {
                let offset = self.in_reservation(offset);
                // SAFETY: the callers' spans are new or nobody's.
                unsafe { self.reservation.write(offset, traps) }?;
            } else {
                // SAFETY: likewise, in private memory.
                unsafe { write_private(platform, self.writer, self.at(offset), traps) }?;
            }
        }
        Ok(())
    }

    /// Writes trapping instructions in place.
    ///
    /// # Safety
    /// Everything from `base` on is writable where the span is, and nobody uses the span.
    #[inline]
    pub(crate) unsafe fn fill_with_traps(&self, base: NonNull<u8>, span: Span) {
        for (done, traps) in self.traps(span.size) {
            // SAFETY: the caller's obligations.
            unsafe { copy_to(base, span.offset + done, traps) };
        }
    }

    /// Trapping instructions for `size` bytes, piece by piece, each with its offset.
    pub(crate) fn traps(&self, size: u64) -> impl Iterator<Item = (u64, &'static [u8])> + use<> {
        let traps = self.traps;
        let piece = traps.len();
        let pieces = (0..size).step_by(piece);
        pieces.map(move |done| (done, &traps[..piece.min((size - done) as usize)]))
    }

    /// Bytes that are written elsewhere first. They begin as traps.
    pub(crate) fn stage(&self, size: u64) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(size as usize);
        reserved.map_err(|_| Refusal::foreseen("malloc", size, Limit::Memory))?;
        self.traps(size)
            .for_each(|(_, traps)| bytes.extend_from_slice(traps));
        Ok(bytes)
    }

    /// What it takes to publish a span, without the block and its lock.
    pub(crate) fn publisher(&self, span: Span) -> Publisher<'_> {
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
    /// Nobody uses the span any more. It is committed for `protection`. `view` is the writable view of the whole block, if there is
    /// one and it stays so long.
    #[inline]
    pub(crate) unsafe fn retract(
        &self,
        span: Span,
        protection: Protection,
        view: Option<NonNull<u8>>,
    ) -> Result<(), Refusal> {
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
            (slab, _) => match view {
                Some(view) => {
                    // SAFETY: the caller's obligations.
                    unsafe { self.retract_in(view, span, slab) };
                    Ok(())
                }
                None if slab == Protection::ReadOnly => Ok(()),
                None => self.write_traps(span),
            },
        }
    }

    /// The same where there is a view: nothing that the system could refuse.
    ///
    /// # Safety
    /// Those of [`Backing::retract`].
    #[inline]
    pub(crate) unsafe fn retract_in(&self, view: NonNull<u8>, span: Span, slab: Protection) {
        match slab {
            // SAFETY: the caller's obligations.
            Protection::ReadWrite => unsafe { self.clear(span) },
            Protection::ReadOnly => {}
            Protection::ReadExecute if span.size <= self.traps.len() as u64 => {
                // SAFETY: the view covers the block, and the caller says that nobody uses the span.
                unsafe { copy_to(view, span.offset, &self.traps[..span.size as usize]) };
            }
            // SAFETY: likewise.
            Protection::ReadExecute => unsafe { self.fill_with_traps(view, span) },
        }
    }

    /// # Safety
    /// The span has pages of its own, which nobody uses.
    unsafe fn retract_pages(&self, span: Span, protection: Protection) -> Result<(), Refusal> {
        let platform = self.platform();
        // SAFETY: the caller's obligations. Writable pages are not executable.
        unsafe { platform.protect(self.at(span.offset), span.size, Protection::ReadWrite) }?;
        if let (Protection::ReadExecute, Some(base)) = (protection, self.private()) {
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
        let platform = self.platform();
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
        if let Some(base) = self.private() {
            // SAFETY: private memory is writable from `base` on wherever data is committed.
            unsafe {
                base.as_ptr()
                    .wrapping_add(from as usize)
                    .write_bytes(0, (to - from) as usize);
            };
        }
    }
}

/// # Safety
/// `offset` bytes behind `base` there is room for `bytes`, which lie elsewhere, and nobody uses it.
#[inline]
unsafe fn copy_to(base: NonNull<u8>, offset: u64, bytes: &[u8]) {
    let start = base.as_ptr().wrapping_add(offset as usize);
    // SAFETY: the caller's obligations.
    unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}
