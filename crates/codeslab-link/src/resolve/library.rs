//! Libraries: archives and graphs of which a link takes what it needs, looked up by the symbols that they define.
//!
//! Libraries are asked in the order in which they were given; the first that defines a symbol is the one that serves it. An archive's
//! own index says which member that is, and only members that are taken are parsed.

use crate::budget::Budget;
use crate::error::Result;
use crate::format::archive::{Archive, MemberOffset};
use crate::format::{self, Parsed};
use crate::graph::{Binding, Definition, Graph};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Offers of members, by symbol.
#[derive(Debug)]
pub(super) struct Library<'a> {
    budget: &'a Budget,
    archives: Vec<Archive<'a>>,
    // Taken ones are None.
    graphs: Vec<Option<Cow<'a, Graph<'a>>>>,
    offers: HashMap<Cow<'a, str>, Offer, RandomState>,
    taken: HashSet<(usize, MemberOffset), RandomState>,
}

#[derive(Clone, Copy, Debug)]
enum Offer {
    Graph(usize),
    Member(usize, MemberOffset),
}

impl<'a> Library<'a> {
    /// Nothing is offered yet.
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self {
            budget,
            archives: Vec::new(),
            graphs: Vec::new(),
            offers: HashMap::default(),
            taken: HashSet::default(),
        }
    }

    /// Offers all of an input. What was offered earlier comes first.
    pub(super) fn offer(&mut self, input: Parsed<'a>) -> Result<()> {
        match input {
            Parsed::Graph(graph) => self.offer_graph(graph),
            Parsed::Archive(archive) => match archive.index()? {
                Some(index) => self.offer_index(archive, index)?,
                None => self.offer_members(archive)?,
            },
        }
        Ok(())
    }

    /// The graph that defines `name`, unless none does or it is taken already.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Cow<'a, Graph<'a>>>> {
        match self.offers.get(name) {
            Some(&Offer::Graph(index)) => Ok(self.graphs[index].take()),
            Some(&Offer::Member(archive, offset)) if self.taken.insert((archive, offset)) => {
                let member = self.archives[archive].member(offset)?;
                format::object(member.name, member.bytes, self.budget).map(Some)
            }
            Some(Offer::Member(..)) | None => Ok(None),
        }
    }

    fn offer_index(
        &mut self,
        archive: Archive<'a>,
        index: impl Iterator<Item = Result<(&'a str, MemberOffset)>>,
    ) -> Result<()> {
        let number = self.archives.len();
        self.archives.push(archive);
        for entry in index {
            let (name, offset) = entry?;
            self.offers
                .entry(Cow::Borrowed(name))
                .or_insert(Offer::Member(number, offset));
        }
        Ok(())
    }

    /// For archives that were made without an index: looks into every member.
    fn offer_members(&mut self, archive: Archive<'a>) -> Result<()> {
        for member in archive.members() {
            let member = member?;
            self.offer_graph(format::object(member.name, member.bytes, self.budget)?);
        }
        Ok(())
    }

    fn offer_graph(&mut self, graph: Cow<'a, Graph<'a>>) {
        let number = self.graphs.len();
        for symbol in graph.symbols() {
            let is_offered = symbol.binding != Binding::Local
                && !matches!(
                    symbol.definition,
                    Definition::Undefined | Definition::Discarded
                );
            if is_offered {
                self.offers
                    .entry(symbol.name.clone())
                    .or_insert(Offer::Graph(number));
            }
        }
        self.graphs.push(Some(graph));
    }
}
