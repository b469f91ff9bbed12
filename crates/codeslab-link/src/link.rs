//! Linking: one request, one direction.

use crate::error::Result;
use crate::image::Image;
use crate::input::Input;
use codeslab::{Address, CodeMemory};
use std::collections::HashMap;

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

impl Default for LinkOptions<'_> {
    fn default() -> Self {
        Self {
            externals: HashMap::new(),
            process_symbols: true,
            roots: Vec::new(),
            libraries: Vec::new(),
        }
    }
}

/// Links `inputs` into `memory`.
///
/// # Errors
/// Every [`crate::Error`]; no memory is kept then.
pub fn link(
    _memory: &CodeMemory,
    _inputs: &[Input<'_>],
    _options: &LinkOptions<'_>,
) -> Result<Image> {
    unimplemented!()
}
