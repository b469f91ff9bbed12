//! Why tools cannot be told.

use std::io;
use std::path::{Path, PathBuf};

/// The result of opening tools.
pub type Result<T> = std::result::Result<T, Error>;

/// Why tools cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be made or written.
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A jitdump file cannot be mapped executable, by which perf would find it.
    #[error(
        "{} cannot be mapped executable, by which perf finds it: {source}; let JITDUMPDIR name a folder on a file system that is \
         not mounted noexec",
        path.display()
    )]
    Marker {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Marker { path, .. } => path,
        }
    }
}
