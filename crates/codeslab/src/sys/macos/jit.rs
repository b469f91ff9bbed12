//! Memory of `MAP_JIT`: how a thread writes to it, and reservations that consist of it.
//!
//! A process with a hardened runtime may have it by one entitlement, `com.apple.security.cs.allow-jit`, without which it can execute nothing
//! of its own. What a reader must know about the switch:
//!
//! - It is the thread's, and for all memory of `MAP_JIT` that the process has, an embedder's too. It cannot be asked. So what is left behind is
//!   what threads begin with: memory that can be executed and not written.
//! - A signal handler runs with what the interrupted thread has. One that interrupts a copy can write, and cannot execute code of ours.

use super::access::{Access, Target, pointer};
use super::mach::{self, Switch};
use super::view::View;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};

/// How memory of `MAP_JIT` is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// In its place, by a thread that is switched to writing for the time of a copy.
    Switched(Switch),
    /// Through a mapping elsewhere, for the time of a copy: the processor has no switch, so writable pages could be executed.
    Viewed,
}

impl Way {
    pub(super) fn of_process() -> Self {
        Switch::of_process().map_or(Self::Viewed, Self::Switched)
    }

    /// What code is mapped for.
    pub(super) const fn access(self) -> Access {
        match self {
            Self::Switched(_) => Access::ALL,
            Self::Viewed => Access::READ_EXECUTE,
        }
    }

    /// Copies bytes to code.
    ///
    /// # Safety
    /// - The range is memory of `MAP_JIT` that is mapped for [`Way::access`], until the function returns.
    /// - It is idle, and `bytes` lie outside of all such memory.
    pub(super) unsafe fn write(self, at: Address, bytes: &[u8], page: u64) -> Result<(), Refusal> {
        match self {
            Self::Switched(switch) => {
                // SAFETY: until it is switched back, below, this thread runs nothing but the copy.
                unsafe { switch.set_writable(true) };
                let to = pointer(at).as_ptr();
                // SAFETY: the range is idle and, for this thread, writable now; the bytes lie outside of it.
                unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                // SAFETY: it makes memory executable, and nothing is written after this.
                unsafe { switch.set_writable(false) };
            }
            Self::Viewed => {
                // SAFETY: the range is mapped until the function returns, and the view is dropped before.
                let view = unsafe { View::of(at, bytes.len() as u64, page) }?;
                // SAFETY: the view is as long as the bytes, and what it shows is idle.
                unsafe { view.write(bytes) };
            }
        }
        Ok(())
    }

    /// Makes code zero.
    ///
    /// # Safety
    /// - The range is memory of `MAP_JIT` that is mapped for [`Way::access`], until the function returns.
    /// - It is idle.
    pub(super) unsafe fn clear(self, at: Address, size: u64, page: u64) -> Result<(), Refusal> {
        const ZEROS: &[u8] = &[0; 16 << 10];
        let mut pieces = (0..size).step_by(ZEROS.len());
        pieces.try_for_each(|offset| {
            let length = ZEROS.len().min((size - offset) as usize);
            let at = Address::new(at.value() + offset);
            // SAFETY: the piece lies in the range, which is idle, and the zeros are a constant outside of it.
            unsafe { self.write(at, &ZEROS[..length], page) }
        })
    }
}

/// Reserves wherever the system likes, at a multiple of `align`.
pub(super) fn reserve(size: u64, align: u64, page: u64) -> Result<Address, Refusal> {
    let slack = align.saturating_sub(page);
    let too_large = Refusal::foreseen("mmap", size, Limit::AddressSpace);
    let padded = size.checked_add(slack).ok_or(too_large)?;
    let start = mach::reserve_jit(Address::new(0), padded)?;
    let aligned = Address::new(start.value().next_multiple_of(align));
    let head = aligned.distance(start);
    let end = Address::new(aligned.value() + size);
    for (at, size) in [(start, head), (end, slack - head)] {
        if size > 0 {
            // SAFETY: that is part of what was mapped just now, and its address was told to no other code. Should unmapping fail, it merely
            // stays reserved.
            let _ = unsafe { mach::unmap(at, size) };
        }
    }
    Ok(aligned)
}

/// Reserves exactly these bytes, if that is what the system makes of a hint. It does where the place is free, but for programs whose heaps it
/// keeps in a range of their own; with those, places that code has to be near to are out of reach.
pub(super) fn reserve_at(at: Address, size: u64) -> Result<(), Refusal> {
    let got = mach::reserve_jit(at, size)?;
    if got == at {
        return Ok(());
    }
    // SAFETY: the system gave this range instead, just now: no other code knows its address.
    let _ = unsafe { mach::unmap(got, size) };
    Err(Refusal::foreseen("mmap", size, Limit::Occupied))
}

/// Makes part of a reservation as it was when it was reserved: new memory of `MAP_JIT` is mapped there a second time, and then there only.
///
/// # Safety
/// - The range is part of a reservation that the caller holds.
/// - No thread uses what is mapped there, at the same time or later.
pub(super) unsafe fn renew(at: Address, size: u64) -> Result<(), Refusal> {
    let fresh = mach::reserve_jit(Address::new(0), size)?;
    let over = Target::Over(at);
    // SAFETY: the source was mapped just now; what is replaced is part of a reservation that the caller holds, and not used any more.
    let mapped = unsafe { mach::remap(fresh, size, over) };
    // SAFETY: it was mapped just now, and no other code knows its address. What is mapped of it elsewhere stays.
    let _ = unsafe { mach::unmap(fresh, size) };
    mapped.map(drop)
}
