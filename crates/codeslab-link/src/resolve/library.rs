//! Libraries: archives and graphs of which a link takes what it needs, looked up by the symbols that they define; and images and shared
//! libraries, which it binds to.
//!
//! Libraries are asked in the order in which they were given; the first that defines a symbol is the one that serves it. An archive's
//! own index says which member that is, and only members that are taken are parsed. A common symbol needs a member only if that gives it
//! a value, which the member itself says: it is parsed then, once, and kept until it is taken.

use super::version;
use crate::budget::Budget;
use crate::error::Result;
use crate::exports::{Exports, Keep};
use crate::format::archive::{Archive, MemberOffset};
use crate::format::{self, Parsed};
use crate::graph::{Binding, Definition, Graph, Symbol};
use crate::kept::KeptArchive;
use codeslab::Address;
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Offers of members, by symbol.
#[derive(Debug)]
pub(super) struct Library<'a> {
    budget: &'a Budget,
    archives: Vec<Archive<'a, 'a>>,
    outside: Vec<Outside<'a>>,
    // How many were offered.
    count: u32,
    // Taken ones are None.
    graphs: Vec<Option<Cow<'a, Graph<'a>>>>,
    offers: HashMap<Cow<'a, str>, (u32, Offer), RandomState>,
    // The number of each parsed member among the graphs.
    parsed: HashMap<(usize, MemberOffset), usize, RandomState>,
    // What graphs that were looked into give a value.
    values: HashMap<usize, HashSet<Cow<'a, str>, RandomState>, RandomState>,
}

/// Something that is loaded already.
#[derive(Debug)]
struct Outside<'a> {
    /// How many were offered before.
    position: u32,
    what: &'a dyn Exports,
    is_used: Cell<bool>,
}

/// What serves a reference.
pub(super) enum Found<'a> {
    /// A graph that is to be taken in.
    Graph(Cow<'a, Graph<'a>>),
    /// Something that is loaded already.
    At(Address),
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
            outside: Vec::new(),
            count: 0,
            graphs: Vec::new(),
            offers: HashMap::default(),
            parsed: HashMap::default(),
            values: HashMap::default(),
        }
    }

    /// Offers all of an input. What was offered earlier comes first.
    pub(super) fn offer(&mut self, input: Parsed<'a>) -> Result<()> {
        self.count += 1;
        match input {
            Parsed::Loaded(what) => self.outside.push(Outside {
                position: self.count,
                what,
                is_used: Cell::new(false),
            }),
            Parsed::Graph(graph) => self.offer_graph(graph),
            Parsed::Kept(archive) => self.offer_kept(archive),
            Parsed::Archive(archive) => match archive.index()? {
                Some(index) => self.offer_index(archive, index)?,
                None => self.offer_members(archive)?,
            },
        }
        Ok(())
    }

    /// What defines `name`, unless nothing does or it is taken already. What is loaded already is not asked for what has to be in the image.
    pub(super) fn find(&mut self, name: &str, is_inside: bool) -> Result<Option<Found<'a>>> {
        if !self.outside.is_empty() && !is_inside {
            let position = self.offers.get(name).map_or(u32::MAX, |offer| offer.0);
            if let Some(address) = self.loaded(name, position) {
                return Ok(Some(Found::At(address)));
            }
        }
        let number = self.number(name)?;
        let graph = number.and_then(|number| self.graphs[number].take());
        Ok(graph.map(Found::Graph))
    }

    /// Where `name` is in what is loaded already and was offered before `position`.
    pub(super) fn loaded(&self, name: &str, position: u32) -> Option<Address> {
        let mut asked = self.outside.iter();
        asked.find_map(|outside| {
            let is_asked = outside.position < position;
            let address = is_asked.then(|| address_of(outside.what, name)).flatten()?;
            outside.is_used.set(true);
            Some(address)
        })
    }

    /// The name of the library that has a thread-local variable.
    pub(super) fn thread_local(&self, name: &str) -> Option<&'a str> {
        self.outside.iter().find_map(|outside| {
            let library = outside.what.thread_local(name)?;
            outside.is_used.set(true);
            Some(library)
        })
    }

    /// The names that archives and graphs offer.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.offers.keys().map(Cow::as_ref)
    }

    /// What the image that is linked uses, and so has to keep.
    pub(super) fn dependencies(&self) -> Vec<Box<dyn Keep>> {
        self.used().map(|outside| outside.what.keep()).collect()
    }

    /// Whether an exception may leave what the image uses.
    pub(super) fn may_unwind(&self) -> bool {
        self.used().any(|outside| outside.what.may_unwind())
    }

    fn used(&self) -> impl Iterator<Item = &Outside<'a>> {
        self.outside.iter().filter(|outside| outside.is_used.get())
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
            Some(&(_, Offer::Graph(number))) => return Ok(Some(number)),
            Some(&(_, Offer::Member(archive, offset))) => (archive, offset),
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
        archive: Archive<'a, 'a>,
        index: impl Iterator<Item = Result<(Cow<'a, str>, MemberOffset)>>,
    ) -> Result<()> {
        let number = self.archives.len();
        self.archives.push(archive);
        for entry in index {
            let (name, offset) = entry?;
            self.enter(name, Offer::Member(number, offset));
        }
        Ok(())
    }

    /// Members that are parsed already are offered as graphs, by the index if there is one.
    fn offer_kept(&mut self, archive: &'a KeptArchive<'a>) {
        let first = self.graphs.len();
        let members = archive.members.iter();
        match &archive.index {
            Some(index) => {
                self.graphs
                    .extend(members.map(|graph| Some(Cow::Borrowed(graph))));
                for (name, number) in index {
                    self.enter(Cow::Borrowed(name), Offer::Graph(first + number));
                }
            }
            None => members.for_each(|graph| self.offer_graph(Cow::Borrowed(graph))),
        }
    }

    /// For archives that were made without an index: looks into every member.
    fn offer_members(&mut self, archive: Archive<'a, 'a>) -> Result<()> {
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
        let offer = (self.count, offer);
        let (name, exact) = version::keys(name);
        if let Some(exact) = exact {
            self.offers.entry(Cow::Owned(exact)).or_insert(offer);
        }
        self.offers.entry(name).or_insert(offer);
    }
}

fn address_of(what: &dyn Exports, name: &str) -> Option<Address> {
    match version::split(name) {
        Some(versioned) => what.version_address(versioned.name, versioned.version),
        None => what.address(name),
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
