//! What the calls take and give, in the place of flags.

use crate::model::address::{Address, Window};
use crate::model::protection::Protection;
use std::ptr::NonNull;

/// What pages may be used for: the bits of `PROT_READ` and its like, which Mach has as `VM_PROT_READ` and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access(i32);

impl Access {
    pub(super) const NONE: Self = Self(libc::PROT_NONE);
    pub(super) const READ_WRITE: Self = Self(libc::PROT_READ | libc::PROT_WRITE);
    pub(super) const READ_EXECUTE: Self = Self(libc::PROT_READ | libc::PROT_EXEC);
    /// Everything: for memory of `MAP_JIT` alone, and there one or the other for each thread.
    pub(super) const ALL: Self = Self(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);

    pub(super) const fn from_bits(bits: i32) -> Self {
        Self(bits & Self::ALL.0)
    }

    pub(super) const fn bits(self) -> i32 {
        self.0
    }

    pub(super) const fn is_executable(self) -> bool {
        self.0 & libc::PROT_EXEC != 0
    }
}

impl From<Protection> for Access {
    fn from(protection: Protection) -> Self {
        match protection {
            Protection::ReadExecute => Self::READ_EXECUTE,
            Protection::ReadOnly => Self(libc::PROT_READ),
            Protection::ReadWrite => Self::READ_WRITE,
        }
    }
}

/// Pages side by side that may be used for the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) range: Window,
    pub(super) access: Access,
}

/// Where memory is mapped a second time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// In the place of what is mapped there; forked children share it.
    Over(Address),
    /// Where nothing is mapped, from there on; forked children do not get it.
    From(Address),
}

/// What the system is told about memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Advice {
    /// What it holds is not needed any more, and the pages can be had. They are what they were, or zero.
    Reusable,
    /// It is used again.
    Reuse,
}

/// The pointer to an address at which something is mapped.
pub(super) fn pointer(at: Address) -> NonNull<u8> {
    NonNull::new(at.value() as *mut u8).expect("the system maps nothing at zero")
}
