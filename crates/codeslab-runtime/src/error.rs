//! Why an image could not be started, and what left foreign code by unwinding.
//!
//! Whatever kept an image from starting, it has been ended again and its memory given back when this is returned.

use codeslab::Fact;
use std::fmt;

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
        "no room for {size} bytes of thread-local variables, aligned to {align}, at one distance from all thread pointers: {reason}; compile with -fPIC or -ftls-model=global-dynamic, or start the process with GLIBC_TUNABLES=glibc.rtld.optional_static_tls={}",
        room_for(*size, *align)
    )]
    StaticThreadLocal {
        /// What each thread's copy takes, in bytes.
        size: u64,
        /// Its alignment in bytes.
        align: u64,
        /// What the dynamic linker says.
        reason: String,
    },
    /// An initialiser, or the resolver of an indirect function, was left by an exception.
    #[error("a constructor threw {exception}")]
    Constructor {
        /// What it threw.
        exception: Exception,
    },
    /// The dynamic linker cannot be asked about thread-local variables.
    #[error("the dynamic linker cannot be asked about thread-local variables: {reason}")]
    DynamicLinker {
        /// What it, or the system, says.
        reason: String,
    },
}

/// What is enough for such variables, and for some more of their kind, in bytes.
fn room_for(size: u64, align: u64) -> u64 {
    const USUAL: u64 = 64 << 10;
    let needed = size.saturating_add(align);
    needed
        .checked_next_power_of_two()
        .unwrap_or(needed)
        .max(USUAL)
}

/// An exception that left foreign code. It has been destroyed; this is what it said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Exception {
    /// Its type as its language writes it, such as `std::runtime_error`; empty where that is not known.
    pub type_name: String,
    /// What it says of itself (`what()` of a C++ exception); empty where it says nothing.
    pub message: String,
}

impl Exception {
    /// What it says, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        vec![
            ("type", Fact::Text(self.type_name.clone())),
            ("reason", Fact::Text(self.message.clone())),
        ]
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.type_name.as_str() {
            "" => f.write_str("an exception of an unknown type")?,
            name => f.write_str(name)?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl Error {
    /// A name for programs. Names do not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "UNSUPPORTED_PLATFORM",
            Self::StaticThreadLocal { .. } => "STATIC_THREAD_LOCAL",
            Self::Constructor { .. } => "EXCEPTION",
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
            Self::Constructor { exception } => exception.facts(),
            Self::DynamicLinker { reason } => vec![("reason", Fact::Text(reason.clone()))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_is_advised_is_enough() {
        for (size, room) in [(8, 65536), (65_400, 65536), (100_260, 131_072)] {
            let error = Error::StaticThreadLocal {
                size,
                align: 64,
                reason: String::new(),
            };
            let advice = format!("optional_static_tls={room}");
            assert!(error.to_string().ends_with(&advice), "{error}");
        }
    }
}
