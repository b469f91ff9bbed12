//! Memory files, as the contract has them, over the pieces in `store`.

use super::mm::{Access, WriteView};
use super::process;
use super::store::{FileId, Store, Way};
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::sys::{MemoryFile, Seal};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// An open memory file.
#[derive(Debug)]
pub(super) struct SectionFile {
    store: Arc<Store>,
    id: FileId,
}

impl SectionFile {
    pub(super) fn create(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            id: store.create_file(),
        }
    }

    /// The numbers of granules that a part touches.
    fn numbers(&self, offset: u64, size: u64) -> std::ops::Range<u64> {
        let granule = self.store.granule();
        offset / granule..(offset + size).div_ceil(granule)
    }

    /// # Safety
    /// - The part of the granule is idle.
    unsafe fn write_piece(&self, number: u64, start: u64, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the bytes have room in the granule, and that part is idle.
        if unsafe { self.store.write_shown(self.id, number, start, bytes) }? {
            return Ok(());
        }
        match self.store.way_to_write(self.id, number)? {
            // SAFETY: the view is of the whole granule, in which the bytes have room, and that part is idle.
            Way::Open(view) => unsafe { copy(&view, start, bytes) },
            // SAFETY: the view is of the whole granule, in which the bytes have room, and that part is idle.
            Way::Through(section) => unsafe { copy(&section.write_view()?, start, bytes) },
        }
        Ok(())
    }
}

/// # Safety
/// - `start` bytes into the view there is room for the bytes, which no thread uses.
unsafe fn copy(view: &WriteView, start: u64, bytes: &[u8]) {
    // SAFETY: the view is at least that long.
    let to = unsafe { view.start().add(start as usize) };
    // SAFETY: there is room, which no thread uses; the view was told to no other code, so the bytes lie elsewhere.
    unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
}

impl MemoryFile for SectionFile {
    fn seal(&self, _seal: Seal) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", 0, Limit::Unsupported))
    }

    fn provide(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut numbers = self.numbers(offset, size);
        numbers.try_for_each(|number| self.store.provide(self.id, number))
    }

    fn map_view(&self, offset: u64, size: u64, is_hidden: bool) -> Result<NonNull<u8>, Refusal> {
        let at = self
            .store
            .reserve_view(self.id, offset, size, far_away(size))?;
        if !is_hidden && let Err(refusal) = self.store.show(at, size) {
            // SAFETY: it was reserved just now, and its address told to no other code.
            let _ = unsafe { self.store.release(at) };
            return Err(refusal);
        }
        NonNull::new(at.value() as *mut u8).ok_or(Refusal::foreseen("a view", size, Limit::Unknown))
    }

    unsafe fn map_at(
        &self,
        at: Address,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        self.store
            .map(self.id, offset, at, size, Access::from(protection))
    }

    unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let granule = self.store.granule();
        let mut rest = bytes;
        let mut offset = offset;
        while !rest.is_empty() {
            let start = offset % granule;
            let length = rest.len().min((granule - start) as usize);
            let (piece, others) = rest.split_at(length);
            // SAFETY: this is a part of what is idle by the caller's word, and lies in one granule.
            unsafe { self.write_piece(offset / granule, start, piece) }?;
            offset += length as u64;
            rest = others;
        }
        Ok(())
    }

    unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut numbers = self.numbers(offset, size);
        // SAFETY: parts that are discarded are whole granules, and idle by the caller's word.
        numbers.try_for_each(|number| unsafe { self.store.discard(self.id, number) })
    }
}

impl Drop for SectionFile {
    fn drop(&mut self) {
        self.store.close_file(self.id);
    }
}

/// From where on the next `size` bytes of writable views should go: far from where the system puts programs, heaps and libraries. Views
/// must not use up the address space within reach of the code, and it should not be guessed from one where the other is.
fn far_away(size: u64) -> u64 {
    const STRIDE: u64 = 64 << 10;
    /// Heaps begin in the first tebibytes, libraries are in the last.
    const FIRST: u64 = 1 << 44;
    const SPREAD: u64 = 1 << 46;
    static START: OnceLock<u64> = OnceLock::new();
    static USED: AtomicU64 = AtomicU64::new(0);
    // Without randomness views begin at one address, which is no worse than usual.
    let start = START.get_or_init(|| process::random() % SPREAD);
    let used = USED.fetch_add(size.next_multiple_of(STRIDE), Ordering::Relaxed);
    (FIRST + start.wrapping_add(used) % SPREAD) & !(STRIDE - 1)
}
