//! Noticing that this is a forked child without asking the system each time: one page that the kernel clears in a
//! child (`MADV_WIPEONFORK`, Linux 4.14).

use super::{RESERVE, Refusal, map, pointer};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which of a line of forks this process is. Not its process number: a child in a new namespace may have its parent's, and
/// numbers are used again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Generation {
    /// Noted on a page that a fork clears.
    Noted(&'static AtomicU32),
    /// The kernel clears no pages; the process number has to do.
    Unnoted,
}

impl Generation {
    /// Makes the page, which stays as long as the process.
    pub(super) fn new() -> Result<Self, Refusal> {
        const SIZE: u64 = 4096;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let page = pointer(map(None, SIZE, rights, RESERVE, None)?);
        // SAFETY: the page is new and nobody else's.
        let advised =
            unsafe { libc::madvise(page.as_ptr().cast(), SIZE as usize, libc::MADV_WIPEONFORK) };
        if advised != 0 {
            return Ok(Self::Unnoted);
        }
        // SAFETY: the page is never unmapped, aligned, zero, and only used as this.
        let page = unsafe { page.cast::<AtomicU32>().as_ref() };
        Ok(Self::Noted(page))
    }

    /// The word on the page, where there is one.
    pub(super) const fn mark(self) -> Option<&'static AtomicU32> {
        match self {
            Self::Noted(page) => Some(page),
            Self::Unnoted => None,
        }
    }

    /// A number that no ancestor has.
    pub(super) fn number(self) -> u32 {
        /// Inherited by children, so a child counts on from its parent.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let Self::Noted(page) = self else {
            return std::process::id();
        };
        match page.load(Ordering::Relaxed) {
            0 => {
                let mine = LAST.fetch_add(1, Ordering::Relaxed) + 1;
                // Another thread may have been faster; what it noted counts.
                let noted = page.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed);
                noted.map_or_else(|noted| noted, |_| mine)
            }
            noted => noted,
        }
    }
}
