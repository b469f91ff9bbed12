//! What can be linked.

use crate::graph::Graph;

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
