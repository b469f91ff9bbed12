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
    /// An initialiser was left by an exception.
    #[error("a constructor threw {exception}")]
    Constructor {
        /// What it threw.
        exception: Exception,
    },
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
            Self::Constructor { .. } => "EXCEPTION",
        }
    }

    /// The error's numbers and names, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::Constructor { exception } => exception.facts(),
        }
    }
}
