//! Libraries: archives and graphs of which a link takes what it needs, looked up by the symbols that they define.
//!
//! Libraries are asked in the order in which they were given; the first that defines a symbol is the one that serves it. An archive's
//! own index says which member that is, and only members that are taken are parsed. A common symbol needs a member only if that gives it
//! a value, which the member itself says: it is parsed then, once, and kept until it is taken.

use super::version;
use crate::budget::Budget;
use crate::error::Result;
use crate::format::archive::{Archive, MemberOffset};
use crate::format::{self, Parsed};
use crate::graph::{Binding, Definition, Graph, Symbol};
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
    // The number of each parsed member among the graphs.
    parsed: HashMap<(usize, MemberOffset), usize, RandomState>,
    // What graphs that were looked into give a value.
    values: HashMap<usize, HashSet<Cow<'a, str>, RandomState>, RandomState>,
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
            parsed: HashMap::default(),
            values: HashMap::default(),
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
        let number = self.number(name)?;
        Ok(number.and_then(|number| self.graphs[number].take()))
    }

    /// The same, but only a graph that gives `name` a value: a definition that is not common.
    pub(super) fn take_value(&mut self, name: &str) -> Result<Option<Cow<'a, Graph<'a>>>> {
        let Some(number) = self.number(name)? else {
            return Ok(None);
        };
        let Some(graph) = &self.graphs[number] else {
            return Ok(None);
        };
        let values = self.values.entry(number).or_insert_with(|| {
            let symbols = graph.symbols().iter().filter(|symbol| {
                is_offered(symbol) && !matches!(symbol.definition, Definition::Common { .. })
            });
            symbols
                .map(|symbol| version::keys(symbol.name.clone()).0)
                .collect()
        });
        let has_value = values.contains(name);
        Ok(self.graphs[number].take_if(|_| has_value))
    }

    /// The number of the graph that offers `name`. A member is parsed when it is first asked for.
    fn number(&mut self, name: &str) -> Result<Option<usize>> {
        let (archive, offset) = match self.offers.get(name) {
            Some(&Offer::Graph(number)) => return Ok(Some(number)),
            Some(&Offer::Member(archive, offset)) => (archive, offset),
            None => return Ok(None),
        };
        if let Some(&number) = self.parsed.get(&(archive, offset)) {
            return Ok(Some(number));
        }
        let member = self.archives[archive].member(offset)?;
        let graph = format::object(member.name, member.bytes, self.budget)?;
        let number = self.graphs.len();
        self.graphs.push(Some(graph));
        self.parsed.insert((archive, offset), number);
        Ok(Some(number))
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
            self.enter(Cow::Borrowed(name), Offer::Member(number, offset));
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
            if is_offered(symbol) {
                self.enter(symbol.name.clone(), Offer::Graph(number));
            }
        }
        self.graphs.push(Some(graph));
    }

    /// Enters an offer under every name that it answers to.
    fn enter(&mut self, name: Cow<'a, str>, offer: Offer) {
        let (name, exact) = version::keys(name);
        if let Some(exact) = exact {
            self.offers.entry(Cow::Owned(exact)).or_insert(offer);
        }
        self.offers.entry(name).or_insert(offer);
    }
}

/// Whether others can refer to a symbol and find it defined.
fn is_offered(symbol: &Symbol<'_>) -> bool {
    let is_defined = !matches!(
        symbol.definition,
        Definition::Undefined | Definition::Discarded
    );
    is_defined && symbol.binding != Binding::Local
}
