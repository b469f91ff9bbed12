//! A writable mapping of memory that is mapped elsewhere, for the time of a copy: three calls of the system.
//!
//! Memory files are written through one where no view is open, and memory of `MAP_JIT` where threads have no switch.

use super::access::{Access, Advice, Target, pointer};
use super::mach;
use super::process::far_away;
use crate::model::address::Address;
use crate::model::error::Refusal;

/// One that is open. No code but its owner's knows where.
#[derive(Debug)]
pub(super) struct View {
    // Invariant: mapped, readable and writable, and unmapped when it is dropped.
    at: Address,
    size: u64,
    /// Bytes before what it is for: mappings begin with a page.
    skipped: u64,
    page: u64,
}

impl View {
    /// A view of `size` bytes.
    ///
    /// # Safety
    /// - They are mapped by this process for codeslab until the view is dropped.
    pub(super) unsafe fn of(at: Address, size: u64, page: u64) -> Result<Self, Refusal> {
        let start = at.align_down(page);
        let skipped = at.distance(start);
        let whole = (skipped + size).next_multiple_of(page);
        let target = Target::From(far_away(whole));
        // SAFETY: the pages that the bytes are in are mapped, as they are, until the view is dropped.
        let mapped = unsafe { mach::remap(start, whole, target) }?;
        let view = Self {
            at: mapped,
            size: whole,
            skipped,
            page,
        };
        // SAFETY: it was mapped just now, and no other code knows its address.
        unsafe { mach::protect(mapped, whole, Access::READ_WRITE) }?;
        Ok(view)
    }

    /// Copies bytes to where it begins.
    ///
    /// # Safety
    /// - It is at least that long, and what it shows is idle.
    pub(super) unsafe fn write(&self, bytes: &[u8]) {
        let to = pointer(Address::new(self.at.value() + self.skipped));
        // SAFETY: the view is that long, writable (invariant), and idle; no other code knows its address, so the bytes lie elsewhere.
        unsafe {
            to.as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        };
    }

    /// Makes what it shows zero, and gives the pages back. Pages that no thread ever touched are zero, and not touched either.
    ///
    /// # Safety
    /// - It begins and ends with a page, and what it shows is idle.
    pub(super) unsafe fn discard(&self) -> Result<(), Refusal> {
        let pages = (self.size / self.page) as usize;
        // SAFETY: the view is mapped (invariant).
        let touched = unsafe { mach::touched(self.at, self.size, self.page) };
        let touched = touched.unwrap_or_else(|| vec![true; pages]);
        for (index, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
            let page = pointer(Address::new(self.at.value() + index as u64 * self.page));
            // SAFETY: the page is one of the view's, writable (invariant), and idle.
            unsafe { page.as_ptr().write_bytes(0, self.page as usize) };
        }
        // SAFETY: the view is mapped, and what it shows is idle and zero, whether the pages are dropped or stay.
        unsafe { mach::advise(self.at, self.size, Advice::Reusable) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it is mapped (invariant), and its owner does not use it any more. Should it be refused, it stays mapped.
        let _ = unsafe { mach::unmap(self.at, self.size) };
    }
}
