//! The three things memory can be.

use std::fmt;

/// What a published byte may be used for. There is no fourth: nothing is writable and executable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protection {
    /// Code: read and execute.
    ReadExecute,
    /// Constants: read.
    ReadOnly,
    /// Data: read and write. Zero-filled, and costs no memory until it is touched.
    ReadWrite,
}

impl Protection {
    /// Every protection, in the order in which a block is laid out: code, constants, data.
    pub const ALL: [Self; 3] = [Self::ReadExecute, Self::ReadOnly, Self::ReadWrite];

    /// Its place in [`Protection::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `rx`, `ro` or `rw`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadExecute => "rx",
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
