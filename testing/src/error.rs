//! Why an archive cannot be made: each names what is missing and, where it is known, what to do.

use std::path::PathBuf;

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// As it was called.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("{command} failed: {complaints}")]
    Failed {
        /// With its arguments.
        command: String,
        /// What it printed.
        complaints: String,
    },
    /// Cargo does not say where something is.
    #[error("cargo metadata does not tell {what}")]
    Metadata {
        /// What was looked for.
        what: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Says which file it was.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::File {
        path: path.into(),
        source,
    }
}
