//! The errors that the reader of graphs from JavaScript knows, which is compiled from the Node module's own source.

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub(crate) enum Error {
    Memory(codeslab::Error),
    Link(codeslab_link::Error),
}

impl From<codeslab::Error> for Error {
    fn from(error: codeslab::Error) -> Self {
        Self::Memory(error)
    }
}

impl From<codeslab_link::Error> for Error {
    fn from(error: codeslab_link::Error) -> Self {
        Self::Link(error)
    }
}
