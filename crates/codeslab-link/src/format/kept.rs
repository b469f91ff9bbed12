//! Parsing inputs that are kept: every member of an archive, and its index.
//!
//! Members that cannot be parsed are kept as their errors: a link that takes none of them does not care.

use super::archive::{self, Archive};
use super::{Parsed, c_name_of, macho};
use crate::arch::native;
use crate::budget::Budget;
use crate::error::{Resource, Result};
use crate::graph::Graph;
use crate::kept::{Content, KeptArchive, ParsedFile};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;

impl ParsedFile {
    /// Parses an object or an archive; `name` is what errors call it.
    ///
    /// # Errors
    /// What keeps an object, or the archive itself, from being read. Members of an archive that cannot be read are errors of links that take
    /// them. Linker scripts and thin archives are refused: they name files, which may change.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let budget = Budget::of((name.len() + bytes.len()) as u64);
        Self::of(name, bytes, |name, bytes| content(name, bytes, &budget))
    }

    /// What `resolve` gets of it.
    pub(super) fn open<'a>(&'a self, budget: &Budget) -> Result<Parsed<'a>> {
        let spend = |graph: &Graph<'_>| {
            let symbols = graph.symbols().len() as u64;
            budget.spend(Resource::Symbols, symbols, graph.name())
        };
        match self.content() {
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

fn content<'f>(name: &'f str, bytes: &'f [u8], budget: &Budget) -> Result<Content<'f>> {
    let bytes = macho::part(name, bytes, budget)?;
    if archive::is_archive(bytes) {
        let archive = Archive::open(name, bytes, budget, c_name_of)?;
        return KeptArchive::read(&archive, budget).map(Content::Archive);
    }
    let graph = super::object(name.into(), bytes, budget)?;
    Ok(Content::Graph(graph.into_owned()))
}

impl<'f> KeptArchive<'f> {
    fn read(archive: &Archive<'f, '_>, budget: &Budget) -> Result<Self> {
        let mut members = Vec::new();
        // Members are told apart by where their bytes are.
        let mut numbers = HashMap::with_hasher(RandomState::default());
        for member in archive.members() {
            let member = member?;
            numbers
                .entry(member.bytes.as_ptr())
                .or_insert(members.len());
            let name = member.name.clone();
            let graph = super::object(member.name, member.bytes, budget);
            members.push(match graph {
                Ok(graph) => graph.into_owned(),
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
        let mut known = HashMap::with_hasher(RandomState::default());
        for entry in index {
            let (name, offset) = entry?;
            let number = match known.get(&offset) {
                Some(number) => *number,
                None => numbers
                    .get(&archive.member(offset)?.bytes.as_ptr())
                    .copied(),
            };
            known.insert(offset, number);
            entries.extend(number.map(|number| (name, number)));
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
