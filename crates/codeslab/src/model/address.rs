//! Addresses of executable memory and the windows in which something has to lie.
//!
//! An [`Address`] is where code *runs*: a number, never dereferenced, because hardly any writer can write there. Where bytes are *written* is
//! a pointer, and belongs to `write`.

use std::fmt;

const _: () = assert!(usize::BITS == 64, "codeslab addresses are 64 bits wide");

/// A run-time address: where code executes and data is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(u64);

impl Address {
    /// The address with this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// `self + bytes`, unless that leaves the address space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }

    /// `self - bytes`, unless that leaves the address space.
    #[must_use]
    pub fn checked_sub(self, bytes: u64) -> Option<Self> {
        self.0.checked_sub(bytes).map(Self)
    }

    /// `self - origin` in bytes: what a displacement from `origin` has to hold.
    #[must_use]
    pub fn offset_from(self, origin: Self) -> i128 {
        i128::from(self.0) - i128::from(origin.0)
    }

    /// How many bytes lie between the two, in either direction.
    #[must_use]
    pub fn distance(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// The first multiple of `align` (a power of two) at or above this address.
    #[must_use]
    pub fn align_up(self, align: u64) -> Option<Self> {
        debug_assert!(align.is_power_of_two());
        self.0.checked_next_multiple_of(align).map(Self)
    }

    /// The last multiple of `align` (a power of two) at or below this address.
    #[must_use]
    pub fn align_down(self, align: u64) -> Self {
        debug_assert!(align.is_power_of_two());
        Self(self.0 & !(align - 1))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u64> for Address {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// An interval of addresses in which every byte of something has to lie.
///
/// Both ends are inclusive, so that a window can hold the last byte of the address space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    // Invariant: first <= last.
    first: Address,
    last: Address,
}

impl Window {
    /// Anywhere at all.
    pub const ANYWHERE: Self = Self {
        first: Address(0),
        last: Address(u64::MAX),
    };

    /// Where an address fits both a zero-extended and a sign-extended 32-bit field (`R_X86_64_32`, `R_X86_64_32S`).
    pub const BELOW_2_GIB: Self = Self {
        first: Address(0),
        last: Address(0x7fff_ffff),
    };

    /// From `first` to `last`, both included; `None` if `first` is above `last`.
    #[must_use]
    pub fn new(first: Address, last: Address) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The `size` bytes that begin at `start`; `None` if there are none or they leave the address space.
    #[must_use]
    pub fn of_range(start: Address, size: u64) -> Option<Self> {
        let last = start.checked_add(size.checked_sub(1)?)?;
        Some(Self { first: start, last })
    }

    /// Everything that is at most `reach` bytes away from `center`, cut off at the ends of the address space.
    #[must_use]
    pub fn around(center: Address, reach: u64) -> Self {
        Self {
            first: Address(center.0.saturating_sub(reach)),
            last: Address(center.0.saturating_add(reach)),
        }
    }

    /// The lowest address in it.
    #[must_use]
    pub const fn first(self) -> Address {
        self.first
    }

    /// The highest address in it.
    #[must_use]
    pub const fn last(self) -> Address {
        self.last
    }

    /// The address in its middle.
    #[must_use]
    pub fn center(self) -> Address {
        Address(self.first.0 + (self.last.0 - self.first.0) / 2)
    }

    /// How many bytes it has; the largest number, if that is one less.
    pub(crate) fn size(self) -> u64 {
        self.last.distance(self.first).saturating_add(1)
    }

    /// What lies in both; `None` if nothing does.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The window of start addresses for `size` bytes that lie in this window; `None` if they cannot.
    #[must_use]
    pub fn starts_for(self, size: u64) -> Option<Self> {
        let last = self.last.checked_sub(size.checked_sub(1)?)?;
        Self::new(self.first, last)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}
