#![forbid(unsafe_code)]
//! The linker.

use codeslab::{Address, CodeMemory, Protection};
use std::collections::HashMap;

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
    Graph(&'a Graph),
}

/// Sections, symbols and relocations: what parsing an object yields, and what an assembler can hand over directly.
#[derive(Clone, Debug, Default)]
pub struct Graph {}

/// How to link.
#[derive(Clone, Debug)]
pub struct LinkOptions<'a> {
    /// Symbols that the embedder provides; they come before every other external.
    pub externals: HashMap<String, Address>,
    /// Whether the process's own symbols are looked up.
    pub process_symbols: bool,
    /// If not empty: archives among the inputs give only the members that these symbols need.
    pub roots: Vec<String>,
    /// Archives pulled in on demand.
    pub libraries: Vec<Input<'a>>,
}

/// Links `inputs` into `memory`.
///
/// # Errors
/// see [`Error`]
pub fn link(
    _memory: &CodeMemory,
    _inputs: &[Input<'_>],
    _options: &LinkOptions<'_>,
) -> Result<Image, Error> {
    unimplemented!()
}

/// Why linking failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Memory.
    #[error(transparent)]
    Memory(#[from] codeslab::Error),
}

/// What linking yields: symbols with addresses, owning their memory.
#[derive(Debug)]
pub struct Image {}

/// A symbol of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ImageSymbol {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Its size in bytes, 0 where the object does not say.
    pub size: u64,
    /// What it lies in; `None` for an absolute symbol.
    pub protection: Option<Protection>,
    /// The object that defines it.
    pub object: String,
}

impl Image {
    /// Global and weak definitions, by name.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = &ImageSymbol> {
        [].iter()
    }
    /// The address of a symbol.
    #[must_use]
    pub fn address(&self, _name: &str) -> Option<Address> {
        unimplemented!()
    }
    /// Frees it.
    pub fn free(self) {}
}
