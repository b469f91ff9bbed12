//! Symbols across graphs: who defines what, which members of archives are needed, which sections are left out.
//!
//! Every symbol of every object names a [`Target`]: one per global name, one per local symbol. What comes later asks
//! targets, never names.

mod externals;
mod globals;
mod library;

use crate::error::{Error, Result};
use crate::format::{self, Input, Opened};
use crate::graph::{Graph, Relocation, Section};
use codeslab::{Address, Architecture};
use globals::Globals;
use library::Library;
use std::borrow::Cow;

pub(crate) use externals::Externals;

/// Names a [`Target`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TargetId(pub(crate) u32);

/// What a symbol stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Where it is.
    pub(crate) place: Place,
    /// How much its definition counts.
    rank: Rank,
    /// The object that defines it, or else the first that refers to it.
    pub(crate) object: u32,
    /// Its symbol there.
    pub(crate) symbol: u32,
}

/// Where a target is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Not known, and if it stays so nobody needs it.
    Nowhere,
    /// In a section, counted over all objects.
    Section { section: u32, offset: u64 },
    /// At a fixed address in this process, or just a number.
    Absolute(u64),
    /// In zero-filled memory of its own.
    Common { size: u64, align: u64 },
    /// The global offset table.
    Got,
    /// In a section that is left out.
    Discarded,
}

impl Target {
    /// Whether an object defines it, rather than just mentioning it.
    pub(crate) fn is_defined(&self) -> bool {
        self.rank >= Rank::WeakDefinition
    }
}

impl Place {
    /// Whether the linker decides where it is.
    pub(crate) const fn is_in_image(self) -> bool {
        matches!(self, Self::Section { .. } | Self::Common { .. } | Self::Got)
    }
}

/// How much a definition counts; the greatest wins. Of common symbols and weak definitions, common ones win, as in `ld`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    WeakReference,
    Reference,
    WeakDefinition,
    Common,
    Definition,
    /// Seen by its own object only; never compared.
    Local,
}

/// A graph that takes part.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) graph: Cow<'a, Graph<'a>>,
    /// The number of its first section, counted over all objects.
    pub(crate) first_section: u32,
    /// The number of its first symbol, counted over all objects.
    first_symbol: u32,
}

/// Everything that takes part, with every symbol's target.
#[derive(Debug)]
pub(crate) struct Resolution<'a> {
    /// The machine that executes what is linked.
    pub(crate) architecture: Architecture,
    pub(crate) objects: Vec<Object<'a>>,
    pub(crate) targets: Vec<Target>,
    /// By section, counted over all objects: whether it is loaded.
    pub(crate) is_live: Vec<bool>,
    /// Sections that have to lie in a row, because somebody asks for the ends of it (`__start_…`, `__stop_…`).
    pub(crate) runs: Vec<Vec<u32>>,
    /// By symbol, counted over all objects.
    symbol_targets: Vec<TargetId>,
    globals: Globals<'a>,
}

/// What to resolve.
#[derive(Debug)]
pub(crate) struct Request<'r, 'a> {
    /// The machine that is to execute the inputs.
    pub(crate) architecture: Architecture,
    pub(crate) inputs: &'r [Input<'a>],
    pub(crate) libraries: &'r [Input<'a>],
    pub(crate) roots: &'r [String],
    pub(crate) externals: &'r Externals<'r>,
}

/// Resolves every symbol.
///
/// # Errors
/// What cannot be read, cannot take part, is defined twice or nowhere.
pub(crate) fn resolve<'a>(request: &Request<'_, 'a>) -> Result<Resolution<'a>> {
    let mut resolution = Resolution::new(request.architecture);
    let mut library = Library::default();
    for root in request.roots {
        resolution.add_root(root);
    }
    for &input in request.inputs {
        match format::open(input)? {
            Opened::Graph(graph) => resolution.add(graph)?,
            Opened::Archive(archive) if request.roots.is_empty() => {
                for member in archive.members() {
                    let member = member?;
                    resolution.add(format::object(member.name, member.bytes)?)?;
                }
            }
            archive @ Opened::Archive(_) => library.offer(archive)?,
        }
    }
    for &input in request.libraries {
        library.offer(format::open(input)?)?;
    }
    resolution.pull(&mut library, request.externals)?;
    externals::settle(&mut resolution, request)?;
    Ok(resolution)
}

impl<'a> Resolution<'a> {
    /// The target of a relocation in `object`.
    pub(crate) fn target_of(&self, object: &Object<'_>, relocation: &Relocation) -> TargetId {
        self.symbol_targets[(object.first_symbol + relocation.symbol.0) as usize]
    }

    pub(crate) fn target(&self, id: TargetId) -> &Target {
        &self.targets[id.0 as usize]
    }

    /// What to call a target.
    pub(crate) fn name_of(&self, id: TargetId) -> String {
        let target = self.target(id);
        let object = &self.objects[target.object as usize];
        object
            .graph
            .symbol_name(crate::graph::SymbolIndex(target.symbol))
    }

    /// The section with this number, counted over all objects.
    pub(crate) fn section(&self, number: u32) -> &Section<'a> {
        let is_before = |object: &Object<'_>| object.first_section <= number;
        let object = &self.objects[self.objects.partition_point(is_before) - 1];
        &object.graph.sections()[(number - object.first_section) as usize]
    }

    /// Every section that is loaded, with its object and its number.
    pub(crate) fn live_sections(&self) -> impl Iterator<Item = (&Object<'a>, &Section<'a>, u32)> {
        self.objects
            .iter()
            .flat_map(|object| {
                let sections = object.graph.sections().iter();
                sections
                    .zip(object.first_section..)
                    .map(move |(section, number)| (object, section, number))
            })
            .filter(|(_, _, number)| self.is_live[*number as usize])
    }

    /// Every global name with its target.
    pub(crate) fn globals(&self) -> impl Iterator<Item = (&str, TargetId)> {
        self.globals.iter()
    }

    fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            objects: Vec::new(),
            targets: Vec::new(),
            is_live: Vec::new(),
            runs: Vec::new(),
            symbol_targets: Vec::new(),
            globals: Globals::default(),
        }
    }

    /// Takes a graph in.
    fn add(&mut self, graph: Cow<'a, Graph<'a>>) -> Result<()> {
        if graph.architecture() != self.architecture {
            return Err(Error::WrongArchitecture {
                object: graph.name().to_owned(),
                found: graph.architecture().name().to_owned(),
                expected: self.architecture.name(),
            });
        }
        if let Some(refusal) = graph.refusal() {
            return Err(refusal.clone());
        }
        let object = Object {
            first_section: counted(self.is_live.len()),
            first_symbol: counted(self.symbol_targets.len()),
            graph,
        };
        self.choose_sections(&object);
        self.add_symbols(object)
    }

    /// Leaves out the COMDAT groups that an earlier object has brought already.
    fn choose_sections(&mut self, object: &Object<'a>) {
        let groups = object.graph.groups().iter();
        let is_first: Vec<bool> = groups
            .map(|name| self.globals.claim_group(name.clone()))
            .collect();
        let is_live =
            |section: &Section<'_>| section.group.is_none_or(|group| is_first[group as usize]);
        self.is_live
            .extend(object.graph.sections().iter().map(is_live));
    }

    /// Takes the members in that undefined symbols need, until no symbol needs another.
    fn pull(&mut self, library: &mut Library<'a>, externals: &Externals<'_>) -> Result<()> {
        while let Some((name, id)) = self.globals.next_wanted() {
            if self.target(id).rank != Rank::Reference || externals.provides(&name) {
                continue;
            }
            if let Some(graph) = library.take(&name)? {
                self.add(graph)?;
            }
        }
        Ok(())
    }
}

/// A number of sections, symbols or targets. Each takes bytes in the input, which cannot be 100 GiB large.
fn counted(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 sections, symbols and targets fit into memory")
}

impl From<Address> for Place {
    fn from(address: Address) -> Self {
        Self::Absolute(address.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_another_machine_than_the_process_is_refused_whichever_the_two_are() {
        let machines = [Architecture::X86_64, Architecture::Aarch64];
        for (here, there) in
            [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(a, b)| (machines[a], machines[b]))
        {
            let graph = Graph::new("mine", there);
            let added = Resolution::new(here).add(Cow::Owned(graph));
            let refused = Error::WrongArchitecture {
                object: "mine".to_owned(),
                found: there.name().to_owned(),
                expected: here.name(),
            };
            let expected = if here == there { Ok(()) } else { Err(refused) };
            assert_eq!(added, expected);
        }
    }
}
