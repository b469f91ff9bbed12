//! Noticing that this is a forked child without asking the system each time: one page that the kernel clears in a
//! child (`MADV_WIPEONFORK`, Linux 4.14).
//!
//! A child must not write to memory that it shares with its parent, so the layers above compare the number on that page with the one
//! that they were made in, at every request that would write. The number counts forks instead of naming processes: a child in a new
//! namespace may have its parent's process number, and numbers are used again.

use super::mm::{self, Access, Advice, Source, pointer};
use crate::model::error::Refusal;
use std::sync::atomic::{AtomicU32, Ordering};

/// How this process tells which of a line of forks it is: by a number on a page that a fork clears, or by the process number, where the
/// kernel clears no pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation(Option<&'static AtomicU32>);

impl Generation {
    /// Makes the page, which stays as long as the process.
    pub(super) fn new() -> Result<Self, Refusal> {
        /// The kernel rounds it up to a page of its own size.
        const SIZE: u64 = 4096;
        let page = mm::map(None, SIZE, Access::READ_WRITE, Source::Private)?;
        // SAFETY: the page was mapped just now and is not unmapped; a child that finds zero on it notes a number of its own.
        if unsafe { mm::advise(page, SIZE, Advice::ZeroedForChildren) }.is_err() {
            return Ok(Self(None));
        }
        // SAFETY: the page is aligned, zero, which is a number, never unmapped, and used as this atomic number alone.
        let page = unsafe { pointer(page).cast::<AtomicU32>().as_ref() };
        // What is read first and written then is a fault for each.
        page.store(0, Ordering::Relaxed);
        Ok(Self(Some(page)))
    }

    /// The word on the page, where there is one.
    pub(super) const fn mark(self) -> Option<&'static AtomicU32> {
        self.0
    }

    /// A number that no ancestor has.
    pub(super) fn number(self) -> u32 {
        /// Inherited by children, so a child counts on from its parent.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let Some(page) = self.0 else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_number_and_a_cleared_page_gives_another() {
        let generation = Generation::new().unwrap();
        let number = generation.number();
        assert_eq!(generation.number(), number);
        if let Some(mark) = generation.mark() {
            assert_eq!(mark.load(Ordering::Relaxed), number, "told without a call");
            // What the kernel does in a child.
            mark.store(0, Ordering::Relaxed);
            assert_ne!(generation.number(), number);
        }
    }
}
