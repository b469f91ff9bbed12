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
}

impl Error {
    /// A name for programs. Names do not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "UNSUPPORTED_PLATFORM",
        }
    }

    /// The error's numbers and names, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::Unsupported { what } => vec![("what", Fact::Text((*what).to_owned()))],
        }
    }
}
