//! Address space that this process owns, and the memory file behind it.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::model::address::{Address, Window};
use crate::model::error::{Limit, Refusal};
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::space::memory_file::{FilePart, SharedFile};
use crate::sys::{MemoryFile, Platform, Seal};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How address space is backed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MemoryKind {
    /// By part of a memory file; sparse, so it costs what is written. Maybe sealed: then it is a file of its own.
    File(Option<Sealing>),
    /// By private memory.
    Private,
}

/// Owned address space without access.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) platform: Arc<dyn Platform>,
    // Invariant: reserved from `platform` as one, and released as one.
    pub(super) range: Window,
    part: Option<FilePart>,
    sealing: Option<Sealing>,
    // The writable view of all of it, where there can be no other.
    view: Option<NonNull<u8>>,
    // Whether anything of it is sealed in its place.
    is_pinned: AtomicBool,
}

// SAFETY: the view is to memory that the reservation owns; who may use which part of it is up to the blocks.
unsafe impl Send for Reservation {}
// SAFETY: shared use writes only where the callers have the bytes to themselves.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves exactly these bytes. If they are backed by a file, then by `file` as long as that has enough left.
    pub(crate) fn at(
        platform: &Arc<dyn Platform>,
        range: Window,
        backing: MemoryKind,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        platform.reserve_at(range.first(), range.size())?;
        Self::of_reserved(platform, range, backing, file)
    }

    /// Reserves `size` bytes wherever the system likes, at a multiple of `align`.
    pub(crate) fn anywhere(
        platform: &Arc<dyn Platform>,
        size: u64,
        align: u64,
        backing: MemoryKind,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        let at = platform.reserve(size, align)?;
        let range = Window::of_range(at, size).expect("a reservation lies in the address space");
        Self::of_reserved(platform, range, backing, file)
    }

    /// Owns what was reserved just now: an error gives it back.
    fn of_reserved(
        platform: &Arc<dyn Platform>,
        range: Window,
        backing: MemoryKind,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        let size = range.size();
        let mut reservation = Self {
            platform: Arc::clone(platform),
            range,
            part: None,
            sealing: None,
            view: None,
            is_pinned: AtomicBool::new(false),
        };
        match backing {
            MemoryKind::Private => {}
            MemoryKind::File(None) => {
                reservation.part = Some(FilePart::new(platform, size, file)?);
            }
            MemoryKind::File(Some(sealing)) => {
                reservation.part = Some(FilePart::alone(platform, size)?);
                reservation.seal(sealing)?;
            }
        }
        Ok(reservation)
    }

    /// Closes the file to everybody else. All of this can still be given back: nothing is sealed in its place.
    fn seal(&mut self, sealing: Sealing) -> Result<(), Refusal> {
        self.sealing = Some(sealing);
        if !sealing.writes {
            return self.place_in_file(0).0.seal(Seal::Size);
        }
        // Before the file is closed, because afterwards there can be no other; whole, because blocks come later.
        self.view = Some(self.place_in_file(0).0.map_view(0, self.size(), false)?);
        self.place_in_file(0).0.seal(Seal::Writes)
    }

    pub(crate) const fn address(&self) -> Address {
        self.range.first()
    }

    pub(crate) fn size(&self) -> u64 {
        self.range.size()
    }

    /// The file behind it, and where in that the byte at `offset` is.
    pub(crate) fn file_at(&self, offset: u64) -> Option<(&dyn MemoryFile, u64)> {
        self.part.as_ref().map(|part| part.at(offset))
    }

    /// The file behind it, for others to have parts of, if they may.
    pub(crate) fn shared_file(&self) -> Option<&Arc<SharedFile>> {
        let part = self.part.as_ref().filter(|_| self.sealing.is_none());
        part.map(|part| &part.file)
    }

    fn place_in_file(&self, offset: u64) -> (&dyn MemoryFile, u64) {
        self.file_at(offset).expect("there is a file")
    }

    /// Where the byte at `offset` is written, if the reservation is written as a whole.
    pub(crate) fn view_at(&self, offset: u64) -> Option<NonNull<u8>> {
        NonNull::new(self.view?.as_ptr().wrapping_add(offset as usize))
    }

    /// Writes to the file, past the views of blocks.
    ///
    /// # Safety
    /// There is a file, and the caller has these bytes to itself.
    pub(crate) unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let (file, place) = self.place_in_file(offset);
        let Some(view) = self.view_at(offset) else {
            // SAFETY: these bytes are idle by the caller's word, so their part of the file is.
            return unsafe { file.write(place, bytes) };
        };
        let size = bytes.len() as u64;
        file.provide(place, size)?;
        // SAFETY: the part lies in the view of the whole reservation, and has its memory.
        unsafe { self.platform.populate(view, size) };
        // SAFETY: the view is of the whole file, what is written has its memory, and the caller has it to itself.
        unsafe { view.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(())
    }

    /// Maps part of the file, sealed if mappings are to be sealed.
    ///
    /// # Safety
    /// There is a file. The range is the caller's and not mapped.
    pub(crate) unsafe fn map(
        &self,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let ((file, place), at) = (self.place_in_file(offset), self.at_offset(offset));
        // SAFETY: the range lies in this reservation and is not mapped, and the caller has it for itself.
        unsafe { file.map_at(at, place, size, protection) }?;
        if !self.sealing.is_some_and(|sealing| sealing.mappings) {
            return Ok(());
        }
        // SAFETY: the range was mapped just now. From here on it is not unmapped any more.
        let pinned = unsafe { self.pin(at, size) };
        if pinned.is_err() {
            // SAFETY: the mapping was made just now, so no thread uses it. Should this be refused, there is code that traps.
            let _ = unsafe { self.platform.decommit(at, size) };
        }
        pinned
    }

    /// Seals a mapping in its place, and with the first one the view: it could be copied otherwise.
    ///
    /// # Safety
    /// The range was mapped as it is.
    unsafe fn pin(&self, at: Address, size: u64) -> Result<(), Refusal> {
        if let Some(view) = self.view
            && !self.is_pinned.load(Ordering::Relaxed)
        {
            // SAFETY: that is the view, whole; another thread may have done it already.
            unsafe { self.platform.seal_view(view, self.size()) }?;
            self.is_pinned.store(true, Ordering::Relaxed);
        }
        // SAFETY: the range was mapped as it is, and reservations with sealed mappings are never unmapped.
        unsafe { self.platform.seal_mapping(at, size) }?;
        self.is_pinned.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the memory behind part of the file back, unless it is sealed.
    ///
    /// # Safety
    /// There is a file, and no thread uses that part.
    pub(crate) unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        if self.view.is_some() {
            return Err(Refusal::foreseen("discard", size, Limit::Policy));
        }
        let (file, place) = self.place_in_file(offset);
        // SAFETY: no thread uses that part, by the caller's word, so it is idle.
        unsafe { file.discard(place, size) }
    }

    /// Unmaps a block. Refused as soon as anything of the reservation is sealed in its place.
    ///
    /// # Safety
    /// The range is a whole block, and no thread uses it any more.
    pub(crate) unsafe fn decommit(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        if self.is_pinned.load(Ordering::Relaxed) {
            return Err(Refusal::foreseen("decommit", size, Limit::Policy));
        }
        // SAFETY: the range is a whole block of this reservation, so it cuts no mapping, and no thread uses it.
        unsafe { self.platform.decommit(self.at_offset(offset), size) }
    }

    fn at_offset(&self, offset: u64) -> Address {
        Address::new(self.address().value() + offset)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(view) = self.view
            && !*self.is_pinned.get_mut()
        {
            // SAFETY: the view is whole. Blocks hold this reservation, so there are none.
            unsafe { self.platform.unmap_view(view, self.size()) };
        }
        // SAFETY: the range was reserved as one. Blocks in it hold this reservation, so there are none.
        // A refusal leaves it reserved, which only costs address space.
        let _ = unsafe { self.platform.release(self.address(), self.size()) };
    }
}
