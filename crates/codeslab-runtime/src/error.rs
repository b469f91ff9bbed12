//! Why an image could not be started.
//!
//! Whatever it was, the image has been ended again and its memory given back when this is returned.

use codeslab::Fact;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing can be started on this system.
    #[error("images with {what} cannot be started on this system")]
    Unsupported {
        /// What the image asks for.
        what: &'static str,
    },
    /// No room is left for variables that lie at one distance from the thread pointer of every thread.
    #[error(
        "no room for {size} bytes of thread-local variables, aligned to {align}, at one distance from all thread pointers: {reason}; compile with -fPIC or -ftls-model=global-dynamic, or start the process with GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536"
    )]
    StaticThreadLocal {
        /// What each thread's copy takes, in bytes.
        size: u64,
        /// Its alignment in bytes.
        align: u64,
        /// What the dynamic linker says.
        reason: String,
    },
    /// The dynamic linker cannot be asked about thread-local variables.
    #[error("the dynamic linker cannot be asked about thread-local variables: {reason}")]
    DynamicLinker {
        /// What it, or the system, says.
        reason: String,
    },
}

impl Error {
    /// A name for programs. Names do not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "UNSUPPORTED_PLATFORM",
            Self::StaticThreadLocal { .. } => "STATIC_THREAD_LOCAL",
            Self::DynamicLinker { .. } => "DYNAMIC_LINKER",
        }
    }

    /// The error's numbers and names, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::Unsupported { what } => vec![("what", Fact::Text((*what).to_owned()))],
            Self::StaticThreadLocal {
                size,
                align,
                reason,
            } => vec![
                ("size", Fact::Number(*size)),
                ("align", Fact::Number(*align)),
                ("reason", Fact::Text(reason.clone())),
            ],
            Self::DynamicLinker { reason } => vec![("reason", Fact::Text(reason.clone()))],
        }
    }
}
