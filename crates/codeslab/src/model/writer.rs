//! The ways to write code.

use std::fmt;

/// How bytes get into pages that are executable.
///
/// Whichever it is, no thread can write to an address at which code can be executed, with one exception: with
/// [`Writer::Pkeys`] and [`Writer::MapJit`], a thread that is copying code, for the time of its copy.
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
    /// Private pages under a memory protection key that keeps every thread from writing, except one that is copying code,
    /// for the time of its copy. Needs a processor with such keys.
    ///
    /// Every thread can execute the code, in signal handlers too. Reading it as data is another matter: that can be done by
    /// threads that have published or freed something with this writer, by those they started since, and not in signal
    /// handlers. Constants can be read everywhere; they have pages of their own for each request, as with [`Writer::Protect`],
    /// and cannot lie between the code. A process has 15 keys; all memories share one, which is taken when this writer is first
    /// probed and kept.
    Pkeys,
    /// Memory of `MAP_JIT`, to which a thread writes while it is switched to writing (`pthread_jit_write_protect_np`), for the time of a copy:
    /// macOS, where it takes the entitlement `com.apple.security.cs.allow-jit` in a process with a hardened runtime. On x86-64, which has
    /// no such switch, it is written through a second mapping that is made for the copy.
    ///
    /// The switch is about all such memory of the process. After a copy the thread can execute and not write, whatever it could before.
    MapJit,
}

impl Writer {
    /// Every writer, in the order in which they are tried.
    pub const ALL: [Self; 6] = [
        Self::DualMapping,
        Self::FileWrite,
        Self::Protect,
        Self::SelfMem,
        Self::Pkeys,
        Self::MapJit,
    ];

    /// `dual-mapping`, `file-write`, `protect`, `self-mem`, `pkeys` or `map-jit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DualMapping => "dual-mapping",
            Self::FileWrite => "file-write",
            Self::Protect => "protect",
            Self::SelfMem => "self-mem",
            Self::Pkeys => "pkeys",
            Self::MapJit => "map-jit",
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
