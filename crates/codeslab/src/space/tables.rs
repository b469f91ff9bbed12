//! Memory for the tables of a block, from the system.
#![allow(unsafe_code, reason = "it owns what the system mapped")]

use crate::model::error::Refusal;
use crate::sync::ZeroedMemory;
use crate::sys::Platform;
use std::ptr::NonNull;
use std::sync::Arc;

/// Zeroed memory, readable and writable, outside of all reservations. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct TableMemory {
    platform: Arc<dyn Platform>,
    // Invariant: mapped apart by `platform`, and so long. Only users of `start` use it.
    start: NonNull<u8>,
    size: u64,
}

impl TableMemory {
    /// At least `size` bytes.
    pub(crate) fn map(platform: &Arc<dyn Platform>, size: u64) -> Result<Self, Refusal> {
        let size = size.next_multiple_of(platform.facts().granularity);
        Ok(Self {
            start: platform.map_apart(size)?,
            platform: Arc::clone(platform),
            size,
        })
    }
}

// SAFETY: it is memory of its own, which any thread may use and give back.
unsafe impl Send for TableMemory {}
// SAFETY: a shared reference only tells where it is.
unsafe impl Sync for TableMemory {}

// SAFETY: the invariant: so much is mapped there as long as the value lives, from the start of a page on, and it was zero then.
unsafe impl ZeroedMemory for TableMemory {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn size_bytes(&self) -> usize {
        self.size as usize
    }
}

impl Drop for TableMemory {
    fn drop(&mut self) {
        // SAFETY: the invariant; who uses parts of it keeps the value.
        unsafe { self.platform.unmap_apart(self.start, self.size) };
    }
}
