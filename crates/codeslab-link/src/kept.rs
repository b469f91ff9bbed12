//! Inputs that are parsed once and linked again and again.
//!
//! A [`ParsedFile`] owns all that it says: graphs with names and contents of their own, and the index of an archive. So its bytes may go, and
//! it serves links of any thread. `format` makes it.

use crate::graph::Graph;

/// An object or an archive that has been parsed: [`Input::Parsed`](crate::Input::Parsed) links it.
///
/// It takes about as much memory as the file twice, and as much again for names and tables.
#[derive(Debug)]
pub struct ParsedFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Graph(Graph<'static>),
    Archive(KeptArchive),
}

/// An archive of which every member is parsed.
#[derive(Debug)]
pub(crate) struct KeptArchive {
    /// In their order. One that cannot be parsed is a graph with that obstacle.
    pub(crate) members: Vec<Graph<'static>>,
    /// Symbols and the numbers of the members that define them, if the archive has an index.
    pub(crate) index: Option<Vec<(String, usize)>>,
}

impl ParsedFile {
    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much it counts as an input: the length of what was parsed, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}
