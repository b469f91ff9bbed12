//! Memory files: private memory that no thread uses where it is, and that is mapped again where it is used. There is no file, so there is no
//! descriptor, and no limit on either.
//!
//! The system takes no part of it back while it is mapped anywhere, but pages: see [`View::discard`]. A reservation has one of its own
//! ([`Facts::file_bytes`](crate::sys::Facts::file_bytes)), so with the reservation all of it goes.

use super::access::{Access, Target, pointer};
use super::mach;
use super::process::far_away;
use super::view::View;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::sys::{MemoryFile, Seal};
use std::ptr::NonNull;

/// An open memory file.
#[derive(Debug)]
pub(super) struct Shared {
    // Invariant: mapped without access until it is dropped.
    source: Address,
    size: u64,
    page: u64,
}

impl Shared {
    pub(super) fn create(size: u64, page: u64) -> Result<Self, Refusal> {
        let source = mach::map_source(far_away(size), size)?;
        Ok(Self { source, size, page })
    }

    fn part(&self, offset: u64) -> Address {
        Address::new(self.source.value() + offset)
    }

    /// Maps a part with rights of its own.
    ///
    /// # Safety
    /// - [`Target::Over`]: the range is reserved and not mapped, and the caller holds it.
    unsafe fn map(
        &self,
        offset: u64,
        size: u64,
        target: Target,
        access: Access,
    ) -> Result<Address, Refusal> {
        // SAFETY: the source is mapped (invariant); what is replaced is address space without access, which the caller holds.
        let at = unsafe { mach::remap(self.part(offset), size, target) }?;
        if access == Access::NONE {
            return Ok(at);
        }
        // SAFETY: the range was mapped just now, so no thread uses it.
        match unsafe { mach::protect(at, size, access) } {
            Ok(()) => Ok(at),
            Err(refusal) => {
                let _ = match target {
                    // SAFETY: it was mapped just now, in a reservation that the caller holds.
                    Target::Over(_) => unsafe { mach::map_over(at, size, Access::NONE) },
                    // SAFETY: it was mapped just now, and no other code knows its address.
                    Target::From(_) => unsafe { mach::unmap(at, size) },
                };
                Err(refusal)
            }
        }
    }
}

impl MemoryFile for Shared {
    fn seal(&self, _seal: Seal) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", 0, Limit::Unsupported))
    }

    fn provide(&self, _offset: u64, _size: u64) -> Result<(), Refusal> {
        // The system compresses and swaps, and has no way to set memory aside.
        Ok(())
    }

    fn map_view(&self, offset: u64, size: u64, is_hidden: bool) -> Result<NonNull<u8>, Refusal> {
        let access = if is_hidden {
            Access::NONE
        } else {
            Access::READ_WRITE
        };
        // SAFETY: nothing is replaced.
        let view = unsafe { self.map(offset, size, Target::From(far_away(size)), access) }?;
        Ok(pointer(view))
    }

    unsafe fn map_at(
        &self,
        at: Address,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let access = Access::from(protection);
        // SAFETY: the range is reserved, not mapped, and held by the caller.
        unsafe { self.map(offset, size, Target::Over(at), access) }?;
        // From here on nothing makes it writable. Should the system refuse that, it is not writable now.
        // SAFETY: it was mapped for that, just now, by the caller, who holds the range.
        let _ = unsafe { mach::restrict(at, size, access) };
        Ok(())
    }

    unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the source is mapped (invariant), and the view is dropped before the function returns.
        let view = unsafe { View::of(self.part(offset), bytes.len() as u64, self.page) }?;
        // SAFETY: the view is as long as the bytes, and that part is idle by the caller's word.
        unsafe { view.write(bytes) };
        Ok(())
    }

    unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        // SAFETY: the source is mapped (invariant), and the view is dropped before the function returns.
        let view = unsafe { View::of(self.part(offset), size, self.page) }?;
        // SAFETY: parts that are discarded are whole pages, and idle by the caller's word.
        unsafe { view.discard() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it is mapped (invariant), and its owner does not use it any more. What is mapped of it elsewhere stays.
        let _ = unsafe { mach::unmap(self.source, self.size) };
    }
}
