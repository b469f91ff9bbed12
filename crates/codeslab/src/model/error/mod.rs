//! What can go wrong, named by what the caller sees, with the numbers in fields.

mod facts;

pub use facts::Fact;

use crate::model::address::{Address, Window};
use crate::model::architecture::{Architecture, CodeModel};
use crate::model::writer::Writer;
use std::fmt;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request could not be met. Whatever it was, nothing of the request is left behind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A block size that is no power of two, below four pages, or above the reach of the code model.
    #[error("block size {size:#x} is not a power of two from {minimum:#x} to {maximum:#x}")]
    InvalidBlockSize {
        /// The size asked for, in bytes.
        size: u64,
        /// The smallest possible, in bytes: four pages.
        minimum: u64,
        /// The largest possible, in bytes: the largest power of two within reach.
        maximum: u64,
    },
    /// An environment variable that holds none of the values it may.
    #[error("environment variable {variable} is {value:?}; expected {expected}")]
    InvalidEnvironment {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: String,
    },
    /// A code model that this architecture does not define.
    #[error("{architecture} has no code model {model}")]
    UnsupportedCodeModel {
        /// The architecture of the process.
        architecture: Architecture,
        /// The model asked for.
        model: CodeModel,
    },
    /// A writer that this system does not offer, or none that it does.
    #[error("writer {writer} is not available: {reason}")]
    WriterUnavailable {
        /// The writer asked for.
        writer: Writer,
        /// What its probe found.
        reason: String,
    },
    /// A shared library that the dynamic linker does not open.
    #[error("{library}: the shared library cannot be opened: {reason}")]
    LibraryUnavailable {
        /// What was asked for: a path or a name.
        library: String,
        /// What the dynamic linker says.
        reason: String,
    },
    /// Codeslab has no port to this operating system or architecture.
    #[error("codeslab does not run on {0}")]
    UnsupportedPlatform(&'static str),
    /// A request for no bytes at all.
    #[error("a request needs at least one byte")]
    EmptyRequest,
    /// A size that no block within reach can hold.
    #[error(
        "{size:#x} bytes are more than one block can hold (at most {limit:#x} with their alignment)"
    )]
    TooLarge {
        /// The size asked for, in bytes.
        size: u64,
        /// The largest possible, in bytes.
        limit: u64,
    },
    /// An alignment that is no power of two or larger than a block's.
    #[error("alignment {align:#x} is not a power of two from 1 to {maximum:#x}")]
    InvalidAlignment {
        /// The alignment asked for, in bytes.
        align: u64,
        /// The largest possible, in bytes.
        maximum: u64,
    },
    /// A write that does not lie inside its section.
    #[error("{length:#x} bytes at offset {offset:#x} are outside a section of {size:#x} bytes")]
    OutOfBounds {
        /// Where the write begins, in bytes from the start of the section.
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
        /// How long the section is, in bytes.
        size: u64,
    },
    /// Windows of one request that have no address in common.
    #[error("no address lies both in {first} and in {second}: they are {distance:#x} bytes apart")]
    ConflictingWindows {
        /// One of them.
        first: Window,
        /// The other.
        second: Window,
        /// How many bytes lie between them.
        distance: u64,
    },
    /// No free address space in reach.
    #[error(
        "no {size:#x} free bytes of address space in {window}{}",
        nearest.map_or(String::new(), |at| format!("; the nearest gap is at {at}"))
    )]
    OutOfReach {
        /// The bytes needed.
        size: u64,
        /// Where they had to lie.
        window: Window,
        /// The nearest gap outside of it, where one was found.
        nearest: Option<Address>,
    },
    /// The operating system refused.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The memory was opened in a parent process; its blocks are frozen in this one.
    #[error("this code memory belongs to the parent process; open a new one in the child")]
    Forked,
}

/// A call that the operating system refused, and which of its limits was met, where that can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The system call or function.
    pub call: &'static str,
    /// What it answered: an `errno` on Unix, `GetLastError` on Windows, a `kern_return_t` of
    /// calls that Mach has; 0 if the refusal was seen coming.
    pub errno: i32,
    /// The bytes that it was about; 0 if it was about something else.
    pub size: u64,
    /// The limit that was met.
    pub limit: Limit,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call)?;
        if self.size > 0 {
            write!(f, " of {:#x} bytes", self.size)?;
        }
        if self.errno != 0 {
            write!(f, " failed with error {}", self.errno)?;
        }
        write!(f, ": {}", self.limit)
    }
}

impl std::error::Error for Refusal {}

named! {
    /// A limit of the operating system, or one that the embedder set.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[non_exhaustive]
    pub enum Limit {
        /// The number of mappings of a process.
        MapCount = "map-count",
        /// The address space of a process.
        AddressSpace = "address-space",
        /// The private memory of a process.
        Data = "data",
        /// The size of a file, which binds memory files too.
        FileSize = "file-size",
        /// Open files of the process or of the system.
        OpenFiles = "open-files",
        /// Memory.
        Memory = "memory",
        /// Committed memory, of the system or of a job (Windows).
        Commit = "commit",
        /// What the system lets this process have of its own resources (Windows).
        Quota = "quota",
        /// The memory protection keys of a process.
        ProtectionKeys = "protection-keys",
        /// What the processor can do, or the system with it.
        Hardware = "hardware",
        /// A security policy.
        Policy = "policy",
        /// The policy that a process makes no code (Windows: arbitrary code guard).
        DynamicCode = "dynamic-code",
        /// The hardened runtime of a process, which executes signed memory only (macOS).
        HardenedRuntime = "hardened-runtime",
        /// The entitlement to memory that code is written to, `com.apple.security.cs.allow-jit` (macOS).
        Entitlement = "entitlement",
        /// What the system knows how to do.
        Unsupported = "unsupported",
        /// Another mapping is at the address.
        Occupied = "occupied",
        /// [`Options::max_mappings`](crate::Options::max_mappings).
        MaxMappings = "max-mappings",
        /// [`Options::max_committed`](crate::Options::max_committed).
        MaxCommitted = "max-committed",
        /// Something that the system did not say.
        Unknown = "unknown",
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MapCount => "the process has as many mappings as it may; raise vm.max_map_count",
            Self::AddressSpace => "the address space limit is met; raise RLIMIT_AS (ulimit -v)",
            Self::FileSize => "the file size limit is met; raise RLIMIT_FSIZE (ulimit -f), or use the writer protect",
            Self::Data => "the limit on private memory is met; raise RLIMIT_DATA (ulimit -d)",
            Self::OpenFiles => "no file descriptor is left; raise RLIMIT_NOFILE (ulimit -n), or use the writer protect",
            Self::Memory => "the system has no memory left",
            Self::Commit => "the commit limit is met; free something, enlarge the paging file, or raise the memory limit of the job",
            Self::Quota => "a quota of the process is met; free something, or raise its quota or working set",
            Self::ProtectionKeys => "the process has no protection key left",
            Self::Hardware => "the processor does not offer it, or the system makes no use of it",
            Self::Policy => "a security policy forbids it",
            Self::DynamicCode => "the process must not make code (arbitrary code guard); start it without ProhibitDynamicCode, or allow the thread to opt out",
            Self::HardenedRuntime => "the hardened runtime would end the process; use the writer map-jit, or sign it with com.apple.security.cs.allow-unsigned-executable-memory",
            Self::Entitlement => "the hardened runtime takes an entitlement for it; sign the process with com.apple.security.cs.allow-jit",
            Self::Unsupported => "the system does not offer it",
            Self::Occupied => "the address is occupied",
            Self::MaxMappings => "this memory has as many mappings as it may; free something, or open it with a larger maximum of mappings",
            Self::MaxCommitted => "this memory has as many bytes as it may; free something, or open it with a larger maximum of committed bytes",
            Self::Unknown => "the system gave no further reason",
        })
    }
}

impl Error {
    /// A name for programs, such as `OUT_OF_REACH`. Names do not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidBlockSize { .. } => "INVALID_BLOCK_SIZE",
            Self::InvalidEnvironment { .. } => "INVALID_ENVIRONMENT",
            Self::UnsupportedCodeModel { .. } => "UNSUPPORTED_CODE_MODEL",
            Self::WriterUnavailable { .. } => "WRITER_UNAVAILABLE",
            Self::LibraryUnavailable { .. } => "LIBRARY_UNAVAILABLE",
            Self::UnsupportedPlatform(_) => "UNSUPPORTED_PLATFORM",
            Self::EmptyRequest => "EMPTY_REQUEST",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::InvalidAlignment { .. } => "INVALID_ALIGNMENT",
            Self::OutOfBounds { .. } => "OUT_OF_BOUNDS",
            Self::ConflictingWindows { .. } => "CONFLICTING_WINDOWS",
            Self::OutOfReach { .. } => "OUT_OF_REACH",
            Self::Refused(refusal) => refusal.code(),
            Self::Forked => "FORKED",
        }
    }
}

impl Refusal {
    /// A refusal that is not the answer of a call but was seen coming.
    pub(crate) const fn foreseen(call: &'static str, size: u64, limit: Limit) -> Self {
        Self {
            call,
            errno: 0,
            size,
            limit,
        }
    }

    pub(crate) const fn is_occupied(&self) -> bool {
        matches!(self.limit, Limit::Occupied)
    }

    /// Whether a limit was met that the embedder set for this memory.
    pub(crate) const fn is_budget(&self) -> bool {
        matches!(self.limit, Limit::MaxMappings | Limit::MaxCommitted)
    }

    /// Whether it would not have been refused if the process had used less of what every writer needs.
    #[must_use]
    pub const fn is_lack_of_resources(&self) -> bool {
        use Limit::{AddressSpace, Commit, Data, MapCount, Memory, OpenFiles, Quota};
        matches!(
            self.limit,
            MapCount | AddressSpace | Data | OpenFiles | Memory | Commit | Quota
        )
    }

    /// A name for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.limit {
            Limit::MapCount => "TOO_MANY_MAPPINGS",
            Limit::AddressSpace => "ADDRESS_SPACE_LIMIT",
            Limit::FileSize => "FILE_SIZE_LIMIT",
            Limit::OpenFiles => "TOO_MANY_FILES",
            Limit::Data | Limit::Memory | Limit::Commit | Limit::Quota => "OUT_OF_MEMORY",
            Limit::Policy | Limit::DynamicCode | Limit::HardenedRuntime | Limit::Entitlement => {
                "FORBIDDEN"
            }
            Limit::MaxMappings => "MAPPING_BUDGET",
            Limit::MaxCommitted => "COMMIT_BUDGET",
            Limit::ProtectionKeys
            | Limit::Hardware
            | Limit::Unsupported
            | Limit::Occupied
            | Limit::Unknown => "SYSTEM",
        }
    }
}
