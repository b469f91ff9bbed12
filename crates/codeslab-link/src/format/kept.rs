//! Inputs that are parsed once and linked again and again.
//!
//! A [`ParsedFile`] owns all that it says: graphs with names and contents of their own, and the index of an archive. So its bytes may go, and
//! it serves links of any thread. Members that cannot be parsed are kept as their errors: a link that takes none of them does not care.

use super::{Parsed, open};
use crate::arch::native;
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::graph::Graph;
use crate::input::Input;
use std::borrow::Cow;
use std::collections::HashMap;

/// An object or an archive that has been parsed: [`Input::Parsed`] links it.
///
/// It takes about as much memory as the file, and again as much for names and tables.
#[derive(Debug)]
pub struct ParsedFile {
    size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
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
    /// Parses an object or an archive; `name` is what errors call it.
    ///
    /// # Errors
    /// What keeps an object, or the archive itself, from being read. Members of an archive that cannot be read are errors of links that take
    /// them. Linker scripts and thin archives are refused: they name files, which may change.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let size = (name.len() + bytes.len()) as u64;
        let budget = Budget::of(size);
        let content = match open(Input::File { name, bytes }, &budget)? {
            Parsed::Graph(graph) => Content::Graph(graph.into_owned().into_owned()),
            Parsed::Archive(archive) => Content::Archive(KeptArchive::read(&archive, &budget)?),
            Parsed::Kept(_) | Parsed::Loaded(_) => {
                return Err(Error::malformed(
                    name,
                    "it is neither an object nor an archive",
                ));
            }
        };
        Ok(Self { size, content })
    }

    /// How much it counts as an input: the length of what was parsed, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What `resolve` gets of it.
    pub(super) fn open<'a>(&'a self, budget: &Budget) -> Result<Parsed<'a>> {
        let spend = |graph: &Graph<'_>| {
            let symbols = graph.symbols().len() as u64;
            budget.spend(Resource::Symbols, symbols, graph.name())
        };
        match &self.content {
            Content::Graph(graph) => {
                spend(graph)?;
                Ok(Parsed::Graph(Cow::Borrowed(graph)))
            }
            Content::Archive(archive) => {
                archive.members.iter().try_for_each(spend)?;
                Ok(Parsed::Kept(archive))
            }
        }
    }
}

impl KeptArchive {
    fn read(archive: &super::archive::Archive<'_>, budget: &Budget) -> Result<Self> {
        let mut members = Vec::new();
        // Members are told apart by where their bytes are.
        let mut numbers = HashMap::new();
        for member in archive.members() {
            let member = member?;
            numbers
                .entry(member.bytes.as_ptr())
                .or_insert(members.len());
            let name = member.name.clone().into_owned();
            let graph = super::object(member.name, member.bytes, budget);
            members.push(match graph {
                Ok(graph) => graph.into_owned().into_owned(),
                Err(error) => {
                    let mut graph = Graph::new(name, native()?.architecture());
                    graph.obstruct(error);
                    graph
                }
            });
        }
        let Some(index) = archive.index()? else {
            return Ok(Self {
                members,
                index: None,
            });
        };
        let mut entries = Vec::new();
        // Many symbols are of one member.
        let mut known = HashMap::new();
        for entry in index {
            let (name, offset) = entry?;
            let number = match known.get(&offset) {
                Some(number) => *number,
                None => numbers
                    .get(&archive.member(offset)?.bytes.as_ptr())
                    .copied(),
            };
            known.insert(offset, number);
            entries.extend(number.map(|number| (name.into_owned(), number)));
        }
        Ok(Self {
            members,
            index: Some(entries),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_files_or_is_no_object_is_not_parsed() {
        for bytes in [&b"GROUP ( libm.a )"[..], b"!<thin>\n", b"", b"noise"] {
            let error = ParsedFile::parse("it", bytes).unwrap_err();
            assert_eq!(error.code(), "UNKNOWN_FORMAT", "{error}");
        }
        let error = ParsedFile::parse("it", b"\x7fELF").unwrap_err();
        assert_eq!(error.code(), "MALFORMED", "{error}");
    }
}
