//! Inputs that are parsed once and linked again and again.
//!
//! A [`ParsedFile`] has a copy of the file, in one piece, and graphs that refer to it, and the index of an archive. So the caller's bytes may
//! go, and it serves links of any thread; and to make it takes little more than to parse, as no name and no section is copied by itself.
//! `format` makes it.
#![allow(unsafe_code)] // What is parsed refers to what lies beside it.

use crate::error::Result;
use crate::graph::Graph;
use std::borrow::Cow;
use std::sync::Arc;

/// An object or an archive that has been parsed: [`Input::Parsed`](crate::Input::Parsed) links it.
///
/// It takes about as much memory as the file, and as much again for tables.
#[derive(Debug)]
pub struct ParsedFile {
    // Invariant: it refers to `name` and `bytes` at most, is lent no longer than they live, and goes before them. What they own does not
    // move with them, and nothing writes to it.
    content: Content<'static>,
    name: Arc<str>,
    bytes: Arc<[u8]>,
}

#[derive(Debug)]
pub(crate) enum Content<'f> {
    Graph(Graph<'f>),
    Archive(KeptArchive<'f>),
}

/// An archive of which every member is parsed.
#[derive(Debug)]
pub(crate) struct KeptArchive<'f> {
    /// In their order. One that cannot be parsed is a graph with that obstacle.
    pub(crate) members: Vec<Graph<'f>>,
    /// Symbols and the numbers of the members that define them, if the archive has an index.
    pub(crate) index: Option<Vec<(Cow<'f, str>, usize)>>,
}

impl ParsedFile {
    /// Copies a file, and keeps what `parse` makes of the copy.
    pub(crate) fn of(
        name: &str,
        bytes: &[u8],
        parse: impl for<'f> FnOnce(&'f str, &'f [u8]) -> Result<Content<'f>>,
    ) -> Result<Self> {
        let (name, bytes) = (Arc::from(name), Arc::from(bytes));
        let content = parse(&name, &bytes)?;
        // SAFETY: only the lifetime changes. `parse` takes any, so the content refers to nothing but the name and the bytes, which the new
        // value owns as its invariant says: behind pointers, so that they stay where they are when it moves.
        let content = unsafe { std::mem::transmute::<Content<'_>, Content<'static>>(content) };
        Ok(Self {
            content,
            name,
            bytes,
        })
    }

    /// What was parsed.
    pub(crate) const fn content(&self) -> &Content<'_> {
        &self.content
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much it counts as an input: the length of what was parsed, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.name.len() + self.bytes.len()) as u64
    }
}
