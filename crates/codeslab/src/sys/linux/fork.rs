//! Noticing that this is a forked child without asking the system each time: one page that the kernel clears in a
//! child (`MADV_WIPEONFORK`, Linux 4.14).

use super::{RESERVE, Refusal, last_refusal, map, pointer};
use std::sync::atomic::{AtomicU32, Ordering};

/// The process's number on a page that a fork clears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    page: &'static AtomicU32,
}

impl Identity {
    /// Makes the page, which stays as long as the process.
    pub(super) fn new() -> Result<Self, Refusal> {
        const SIZE: u64 = 4096;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let page = pointer(map(None, SIZE, rights, RESERVE, None)?);
        // SAFETY: the page is new and nobody else's.
        let failed =
            unsafe { libc::madvise(page.as_ptr().cast(), SIZE as usize, libc::MADV_WIPEONFORK) }
                != 0;
        if failed {
            return Err(last_refusal("madvise", SIZE));
        }
        // SAFETY: the page is never unmapped, aligned, zero, and only used as this.
        let page = unsafe { page.cast::<AtomicU32>().as_ref() };
        Ok(Self { page })
    }

    pub(super) fn process_id(self) -> u32 {
        let known = self.page.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let id = std::process::id();
        self.page.store(id, Ordering::Relaxed);
        id
    }
}
