//! Page sizes: values that are passed in, so that everything above is tested at 4, 16 and 64 KiB on any machine.

use std::fmt;

/// The size of a page, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageSize {
    // Invariant: a power of two, at least 4,096.
    bytes: u64,
}

impl PageSize {
    /// 4 KiB, the smallest there is.
    pub const MINIMUM: Self = Self { bytes: 4096 };

    /// A page of `bytes`; `None` unless that is a power of two of at least 4,096.
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= Self::MINIMUM.bytes {
            Some(Self { bytes })
        } else {
            None
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// `size` rounded up to whole pages; `None` if that overflows.
    #[must_use]
    pub fn round_up(self, size: u64) -> Option<u64> {
        size.checked_next_multiple_of(self.bytes)
    }

    /// `size` rounded down to whole pages.
    #[must_use]
    pub const fn round_down(self, size: u64) -> u64 {
        size & !(self.bytes - 1)
    }

    /// Whether `value` is a whole number of pages.
    #[must_use]
    pub const fn divides(self, value: u64) -> bool {
        value & (self.bytes - 1) == 0
    }
}

impl fmt::Debug for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.bytes >> 10)
    }
}
