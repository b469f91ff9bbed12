//! The ways to write code.

use std::fmt;

/// How bytes get into pages that are executable.
///
/// Whichever it is, no page is ever writable and executable through one address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Writer {
    /// Two views of one memory file: an executable one in the block and a writable one elsewhere.
    DualMapping,
    /// `pwrite` into the memory file behind the executable view; no writable view exists. The hardened choice.
    FileWrite,
    /// Private pages, made executable before anything on them is published; each request has pages of its own.
    Protect,
    /// `pwrite` into `/proc/self/mem`. Kernels are closing it.
    SelfMem,
}

impl Writer {
    /// Every writer, in the order in which they are tried.
    pub const ALL: [Self; 4] = [
        Self::DualMapping,
        Self::FileWrite,
        Self::Protect,
        Self::SelfMem,
    ];

    /// `dual-mapping`, `file-write`, `protect` or `self-mem`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DualMapping => "dual-mapping",
            Self::FileWrite => "file-write",
            Self::Protect => "protect",
            Self::SelfMem => "self-mem",
        }
    }

    /// The writer of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|writer| writer.name() == name)
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
