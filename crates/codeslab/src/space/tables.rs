//! Memory for the tables of a block, from the system.
#![allow(unsafe_code, reason = "it owns what the system mapped")]

use crate::model::error::Refusal;
use crate::sync::Words;
use crate::sys::Platform;
use std::ptr::NonNull;
use std::sync::Arc;

/// Zeroed words outside of all reservations, at least `size` bytes.
pub(crate) fn map(platform: &Arc<dyn Platform>, size: u64) -> Result<Words, Refusal> {
    let size = size.next_multiple_of(platform.facts().granularity);
    let memory = Apart {
        start: platform.map_apart(size)?,
        platform: Arc::clone(platform),
        size,
    };
    // SAFETY: so much was mapped there just now, from the start of a page on, and is unmapped when `memory` is dropped.
    Ok(unsafe { Words::new(memory.start, size as usize, Arc::new(memory)) })
}

/// What is mapped. Dropping it gives it back.
#[derive(Debug)]
struct Apart {
    platform: Arc<dyn Platform>,
    // Invariant: mapped apart by `platform`, and so long. Only words that keep this value use it.
    start: NonNull<u8>,
    size: u64,
}

// SAFETY: it is memory of its own, which any thread may use and give back.
unsafe impl Send for Apart {}
// SAFETY: a shared reference only tells where it is.
unsafe impl Sync for Apart {}

impl Drop for Apart {
    fn drop(&mut self) {
        // SAFETY: the invariant; what uses it keeps the value.
        unsafe { self.platform.unmap_apart(self.start, self.size) };
    }
}
