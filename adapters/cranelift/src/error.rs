//! What can go wrong, with the numbers in fields.

/// Why something could not be defined, finalized or freed. Whatever it was, it left everything as it was, unless it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The memory could not be opened, or the request not met.
    #[error(transparent)]
    Memory(#[from] codeslab::Error),
    /// The compiler is set up for another processor than this one.
    #[error("code for {target} does not run on {host}")]
    Architecture {
        /// What it compiles for.
        target: String,
        /// What this process runs on.
        host: String,
    },
    /// Cranelift does not compile for this processor, or its settings contradict each other.
    #[error("cranelift cannot compile for this machine: {0}")]
    Compiler(String),
    /// The compiler makes position-independent code, whose references go through tables that are not needed here.
    #[error("position-independent code is not supported; set cranelift's is_pic to false")]
    PositionIndependent,
    /// The compiler makes landing pads for indirect branches and the memory does not guard them, or the other way round.
    #[error("{}", branch_protection(*.is_compiled))]
    BranchProtection {
        /// Whether the code is compiled with landing pads.
        is_compiled: bool,
    },
    /// The memory does not write code where it is executed, which `cranelift-jit` relies on.
    #[error("cranelift-jit needs the writer protect, and the memory has {writer}")]
    NotInPlace {
        /// The writer of the memory.
        writer: codeslab::Writer,
    },
    /// A name that nothing defines: neither the module, nor its builder, nor the process.
    #[error("{name}, which {by} refers to, is defined nowhere")]
    Undefined {
        /// The name.
        name: String,
        /// The function or data object that refers to it.
        by: String,
    },
    /// A reference that cannot span the distance to what it refers to.
    #[error(
        "{by} cannot reach {name}: {distance} bytes at offset {offset:#x}, and the field holds {bits} bits"
    )]
    OutOfReach {
        /// What is referred to.
        name: String,
        /// The function or data object that refers to it.
        by: String,
        /// Where in it, in bytes.
        offset: u64,
        /// How far it would have to reach, in bytes; or the address, where the field holds one.
        distance: i128,
        /// How many bits the field spans.
        bits: u32,
    },
    /// A kind of reference that code of this module cannot have.
    #[error("{by} has a relocation of the kind {kind} at offset {offset:#x}")]
    UnsupportedRelocation {
        /// What Cranelift calls it.
        kind: String,
        /// The function or data object that has it.
        by: String,
        /// Where in it, in bytes.
        offset: u64,
    },
    /// A reference that does not lie inside the bytes that have it.
    #[error("{by} has {size} bytes, and a relocation at offset {offset:#x}")]
    RelocationOutOfBounds {
        /// The function or data object that has it.
        by: String,
        /// Where in it, in bytes.
        offset: u64,
        /// How many bytes it has.
        size: u64,
    },
    /// A thread-local variable; `codeslab-link` links those.
    #[error("{name} is thread-local, which a code module has not")]
    ThreadLocal {
        /// Its name.
        name: String,
    },
    /// A data object without contents.
    #[error("{name} has no contents: neither bytes nor a size")]
    Uninitialized {
        /// Its name.
        name: String,
    },
    /// Something that is not defined, or freed already.
    #[error("{name} is not defined")]
    NotDefined {
        /// Its name.
        name: String,
    },
    /// Something that is defined already, and so can be made replaceable no more.
    #[error("{name} is defined already")]
    Defined {
        /// Its name.
        name: String,
    },
    /// Something that cannot be freed, because other code or data still refers to it.
    #[error("{name} cannot be freed: {by} refers to it")]
    Referenced {
        /// Its name.
        name: String,
        /// One that refers to it.
        by: String,
    },
}

fn branch_protection(is_compiled: bool) -> &'static str {
    if is_compiled {
        "the code has landing pads (use_bti), and the memory was opened without branch_protection"
    } else {
        "the memory was opened with branch_protection, and the code has no landing pads (use_bti)"
    }
}

impl Error {
    /// As Cranelift's interface has it.
    pub(crate) fn into_module(self) -> cranelift_module::ModuleError {
        match self {
            Self::Memory(error) => cranelift_module::ModuleError::Allocation {
                err: std::io::Error::other(error),
            },
            error => cranelift_module::ModuleError::Backend(anyhow::Error::new(error)),
        }
    }
}
