//! Formats: what files can be linked, told apart by their first bytes, and made into graphs.
//!
//! A format is a folder here and a line in `object`. What it reads are claims of a file; what it hands on is a graph that is
//! valid, or an error with the name of the file. `resolve` asks for graphs and archives and knows no format.

pub(crate) mod archive;
mod elf;

use crate::error::{Error, Result};
use crate::graph::Graph;
use archive::Archive;
use std::borrow::Cow;

/// One thing to link.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// An object file or an archive, told apart by its first bytes.
    File {
        /// What errors call it.
        name: &'a str,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A graph that the embedder built.
    Graph(&'a Graph<'a>),
}

/// An input that has been looked at.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Graph(Cow<'a, Graph<'a>>),
    Archive(Archive<'a>),
}

/// Opens an input.
pub(crate) fn open(input: Input<'_>) -> Result<Opened<'_>> {
    match input {
        Input::Graph(graph) => Ok(Opened::Graph(Cow::Borrowed(graph))),
        Input::File { name, bytes } if archive::is_archive(bytes) => {
            Ok(Opened::Archive(Archive::open(name, bytes)?))
        }
        Input::File { name, bytes } => Ok(Opened::Graph(object(name.into(), bytes)?)),
    }
}

/// The graph of an object file.
pub(crate) fn object<'a>(name: Cow<'a, str>, bytes: &'a [u8]) -> Result<Cow<'a, Graph<'a>>> {
    if !elf::is_elf(bytes) {
        return Err(Error::UnknownFormat {
            object: name.into_owned(),
        });
    }
    elf::parse(name, bytes).map(Cow::Owned)
}
