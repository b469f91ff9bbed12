//! Which objects take part in a link, and which target each of their symbols has.
//!
//! Objects are added one after the other. Each brings its symbols, which find or make their targets, and its sections, of which those in
//! COMDAT groups that came before are left out. Sections and symbols are counted over all objects, so that what belongs to them later
//! (an address, an identifier in the layout) stands in plain vectors. `plan` and `apply` read this and change nothing.

use super::assign::{Assignment, Wrapped};
use super::globals::Globals;
use super::target::{Place, Rank, Target, TargetId};
use super::version;
use crate::arch::machine::Machine;
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::exports::Keep;
use crate::graph::{
    Binding, Definition, Graph, GraphSection, Moment, Relocation, Symbol, SymbolIndex, SymbolKind,
    Visibility,
};
use codeslab::Protection;
use codeslab_runtime::Convention;
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;

/// The object number of a target that only a root has asked for.
const NO_OBJECT: u32 = u32::MAX;

/// A symbol that stands for another one because nothing defines it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fallback {
    pub(super) id: TargetId,
    pub(super) base: TargetId,
}

/// What a name stands for if nothing defines it.
#[derive(Clone, Debug)]
pub(super) enum Alternative<'a> {
    Target(TargetId),
    Name(Cow<'a, str>),
}

/// A graph that takes part.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub(crate) graph: Cow<'a, Graph<'a>>,
    /// The number of its first section, counted over all objects.
    pub(crate) first_section: u32,
    /// The number of its first symbol, counted over all objects.
    first_symbol: u32,
    /// Whether the linker made it: then its symbols are not the image's.
    pub(crate) is_made: bool,
}

/// Sections that have to lie in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// Their numbers, counted over all objects.
    pub(crate) sections: Vec<u32>,
    /// The protection that serves all of them.
    pub(crate) protection: Protection,
    /// Their alignment, if it is not what each says: nothing lies between them then.
    pub(crate) align: Option<u64>,
}

/// Everything that takes part, with every symbol's target.
#[derive(Debug)]
pub(crate) struct Resolution<'a> {
    /// What everything that takes part is made for.
    pub(crate) machine: &'static dyn Machine,
    pub(crate) budget: &'a Budget,
    pub(crate) objects: Vec<Object<'a>>,
    pub(crate) targets: Vec<Target>,
    /// By section, counted over all objects: whether it is loaded.
    pub(crate) is_live: Vec<bool>,
    /// By section, counted over all objects: the number of its object.
    pub(super) owners: Vec<u32>,
    /// The sections that describe code, in their order: nearly every object has one.
    pub(super) describing: Vec<u32>,
    /// Those that are for something else besides being loaded, and those that threads have copies of.
    pub(super) special: Vec<u32>,
    /// Sections that have to lie in a row, because some object asks for its ends (`__start_…`, `__stop_…`).
    pub(crate) runs: Vec<Run>,
    /// Why objects that take part cannot be linked.
    pub(super) refusals: Vec<(u32, Error)>,
    /// Symbols that are assigned the places of others.
    pub(super) assignments: Vec<Assignment>,
    /// Symbols that stand for others because nothing defines them, in the order in which that was found.
    pub(super) fallbacks: Vec<Fallback>,
    /// How the functions are called, as far as an object says.
    pub(crate) convention: Option<Convention>,
    wrapped: Wrapped,
    /// The sections that are unwind tables with an end of their own.
    pub(crate) ended_tables: Vec<u32>,
    /// Which run of sections is an unwind table together, if there is one.
    pub(crate) open_table: Option<usize>,
    /// Where the functions begin that fragments make, and when they run.
    pub(crate) fragments: Vec<(Moment, Place)>,
    /// Functions that can be replaced.
    pub(crate) replaceable: Vec<TargetId>,
    /// The names of libraries that have thread-local variables which objects refer to.
    pub(crate) thread_libraries: Vec<String>,
    /// What the image will have to keep.
    pub(crate) dependencies: Vec<Box<dyn Keep>>,
    /// Whether something outside that is referred to may unwind.
    pub(crate) may_unwind: bool,
    /// By symbol, counted over all objects.
    symbol_targets: Vec<TargetId>,
    pub(super) globals: Globals<'a>,
    pub(super) alternates: HashMap<Cow<'a, str>, Alternative<'a>, RandomState>,
}

impl<'a> Resolution<'a> {
    /// Nothing yet.
    pub(super) fn new(
        machine: &'static dyn Machine,
        budget: &'a Budget,
        wrapped: &[String],
    ) -> Self {
        Self {
            machine,
            budget,
            objects: Vec::new(),
            targets: Vec::new(),
            is_live: Vec::new(),
            owners: Vec::new(),
            describing: Vec::new(),
            special: Vec::new(),
            runs: Vec::new(),
            refusals: Vec::new(),
            assignments: Vec::new(),
            fallbacks: Vec::new(),
            convention: None,
            wrapped: Wrapped::new(wrapped),
            ended_tables: Vec::new(),
            open_table: None,
            fragments: Vec::new(),
            replaceable: Vec::new(),
            thread_libraries: Vec::new(),
            dependencies: Vec::new(),
            may_unwind: false,
            symbol_targets: Vec::new(),
            globals: Globals::default(),
            alternates: HashMap::default(),
        }
    }

    /// Sets room aside for what inputs of so many bytes usually have.
    pub(super) fn expect(&mut self, input: u64) {
        /// Bytes of a library for each name that it defines or refers to, and for each object.
        const BYTES_PER_NAME: u64 = 1024;
        const BYTES_PER_OBJECT: u64 = 4096;
        /// The same for each symbol, section and object, and the fewest; a wrong guess costs a copy, or pages that are never touched.
        const BYTES_PER_SYMBOL: u64 = 384;
        const LEAST: u64 = 16;
        self.globals.reserve((input / BYTES_PER_NAME) as usize);
        let symbols = (input / BYTES_PER_SYMBOL).max(LEAST) as usize;
        self.symbol_targets.reserve(symbols);
        self.targets.reserve(symbols);
        self.is_live.reserve(symbols);
        self.owners.reserve(symbols);
        let objects = (input / BYTES_PER_OBJECT) as usize + 2;
        self.objects.reserve(objects);
        self.describing.reserve(objects);
    }

    /// The target of a relocation in `object`.
    pub(crate) fn target_of(&self, object: &Object<'_>, relocation: &Relocation) -> TargetId {
        self.symbol_targets[(object.first_symbol + relocation.symbol.0) as usize]
    }

    /// The targets of an object's symbols, in their order.
    pub(crate) fn targets_of(&self, object: &Object<'_>) -> &[TargetId] {
        let first = object.first_symbol as usize;
        let count = object.graph.symbols().len();
        &self.symbol_targets[first..first + count]
    }

    /// How many symbols all objects have.
    pub(crate) fn symbol_count(&self) -> usize {
        self.symbol_targets.len()
    }

    pub(crate) fn target(&self, id: TargetId) -> &Target {
        &self.targets[id.0 as usize]
    }

    /// What to call a target.
    pub(crate) fn name_of(&self, id: TargetId) -> String {
        let target = self.target(id);
        let object = self.objects.get(target.object as usize);
        object.map_or_else(String::new, |object| {
            object.graph.symbol_name(SymbolIndex(target.symbol))
        })
    }

    /// The section with this number, counted over all objects, and its object.
    pub(crate) fn section(&self, number: u32) -> (&Object<'a>, &GraphSection<'a>) {
        let object = &self.objects[self.owners[number as usize] as usize];
        let section = &object.graph.sections()[(number - object.first_section) as usize];
        (object, section)
    }

    /// Whether the object that refers to a target says that it is a thread-local variable.
    pub(super) fn is_thread_local_reference(&self, id: TargetId) -> bool {
        let target = self.target(id);
        let object = self.objects.get(target.object as usize);
        object.is_some_and(|object| {
            object.graph.symbols()[target.symbol as usize].kind == SymbolKind::ThreadLocal
        })
    }

    /// The target of a global name that an object or a root mentions.
    pub(crate) fn global(&self, name: &str) -> Option<TargetId> {
        self.globals.get(name)
    }

    /// A global name that was referred to before it was defined; each comes up once.
    pub(super) fn next_wanted(&mut self) -> Option<(Cow<'a, str>, TargetId)> {
        self.globals.next_wanted()
    }

    /// Every global name with its target.
    pub(crate) fn globals(&self) -> impl ExactSizeIterator<Item = (&str, TargetId)> {
        self.globals.iter()
    }

    /// How many bytes all global names have.
    pub(crate) const fn global_length(&self) -> usize {
        self.globals.length()
    }

    /// Takes in a graph that the linker made.
    pub(super) fn add_made(&mut self, graph: Cow<'a, Graph<'a>>) -> Result<()> {
        self.add(graph)?;
        if let Some(object) = self.objects.last_mut() {
            object.is_made = true;
        }
        Ok(())
    }

    /// Takes a graph in.
    pub(super) fn add(&mut self, graph: Cow<'a, Graph<'a>>) -> Result<()> {
        self.check_machine(&graph)?;
        if let Some(obstacle) = graph.obstacle() {
            // All reasons are told at once, when all objects are known.
            let number = counted(self.objects.len());
            self.refusals.push((number, obstacle.clone()));
        }
        let object = Object {
            first_section: counted(self.is_live.len()),
            first_symbol: counted(self.symbol_targets.len()),
            graph,
            is_made: false,
        };
        self.choose_sections(&object)?;
        self.add_symbols(&object)?;
        self.objects.push(object);
        self.note_alternates();
        Ok(())
    }

    fn check_machine(&mut self, graph: &Graph<'_>) -> Result<()> {
        let expected = self.machine.architecture();
        if graph.architecture() == expected {
            return self.check_convention(graph);
        }
        Err(Error::WrongArchitecture {
            object: graph.name().to_owned(),
            found: graph.architecture().to_string(),
            expected: expected.to_string(),
        })
    }

    /// Wants `name` as if an object referred to it.
    pub(super) fn add_root(&mut self, name: &str) -> TargetId {
        if let Some(id) = self.globals.get(name) {
            return id;
        }
        let id = self.push(Target {
            place: Place::Nowhere,
            rank: Rank::Reference,
            visibility: Visibility::Default,
            object: NO_OBJECT,
            symbol: 0,
        });
        let name: Cow<'a, str> = Cow::Owned(name.to_owned());
        self.globals.insert(name.clone(), id);
        self.globals.want(name, id);
        id
    }

    /// Defines `name` for the embedder, before any object does.
    pub(super) fn add_assigned(&mut self, name: &str, place: Place) -> TargetId {
        let target = Target {
            place,
            rank: Rank::Assigned,
            visibility: Visibility::Default,
            object: NO_OBJECT,
            symbol: 0,
        };
        if let Some(id) = self.globals.get(name) {
            self.targets[id.0 as usize] = target;
            return id;
        }
        let id = self.push(target);
        self.globals.insert(Cow::Owned(name.to_owned()), id);
        id
    }

    /// Leaves out the sections that are not among those to keep, and with them what lies there.
    pub(super) fn keep(&mut self, is_kept: &[bool]) {
        for (is_live, is_kept) in self.is_live.iter_mut().zip(is_kept) {
            *is_live &= is_kept;
        }
        for target in &mut self.targets {
            let section = target.place.section();
            if section.is_some_and(|section| !self.is_live[section as usize]) {
                target.place = Place::Discarded;
            }
        }
    }

    /// Gives every symbol of an object its target.
    fn add_symbols(&mut self, object: &Object<'a>) -> Result<()> {
        let number = counted(self.objects.len());
        let graph = &object.graph;
        let by = graph.name();
        self.symbol_targets.reserve(graph.symbols().len());
        for (symbol, index) in graph.symbols().iter().zip(0..) {
            let target = Target {
                place: self.place_of(object, symbol),
                rank: Rank::Local,
                visibility: symbol.visibility,
                object: number,
                symbol: index,
            };
            let id = if symbol.binding == Binding::Local {
                self.push(target)
            } else {
                // Of a graph that stays elsewhere, names are borrowed, whoever owns them.
                let name = match graph {
                    Cow::Borrowed(graph) => Cow::Borrowed(&*graph.symbols()[index as usize].name),
                    Cow::Owned(_) => symbol.name.clone(),
                };
                let rank = Rank::of(symbol.binding, target.place);
                let target = Target { rank, ..target };
                let name = self.reference_name(name, by, rank)?;
                if graph.has_versions() {
                    self.add_versioned(name, target, by)?
                } else {
                    self.add_global(name, target, by)?
                }
            };
            self.symbol_targets.push(id);
        }
        Ok(())
    }

    /// What a reference by `name` refers to.
    #[inline]
    fn reference_name(&self, name: Cow<'a, str>, by: &str, rank: Rank) -> Result<Cow<'a, str>> {
        if rank > Rank::Reference {
            return Ok(name);
        }
        let Some(other) = self.wrapped.other_name(&name) else {
            return Ok(name);
        };
        let length = other.len() as u64;
        self.budget.spend(Resource::Bytes, length, by)?;
        Ok(Cow::Owned(other))
    }

    #[inline]
    fn push(&mut self, target: Target) -> TargetId {
        let id = TargetId(counted(self.targets.len()));
        self.targets.push(target);
        id
    }

    /// Adds a global name that may have a version. A definition that is the default of its name has two names.
    fn add_versioned(&mut self, name: Cow<'a, str>, new: Target, by: &str) -> Result<TargetId> {
        let Some(versioned) = version::split(&name) else {
            return self.add_global(name, new, by);
        };
        let length = name.len() as u64;
        self.budget.spend(Resource::Bytes, length, by)?;
        let exact = versioned.exact();
        if !new.is_defined() || !versioned.is_default {
            return self.add_global(Cow::Owned(exact), new, by);
        }
        let (base, _) = version::keys(name);
        let id = self.add_global(base, new, by)?;
        self.add_global(Cow::Owned(exact), new, by)?;
        Ok(id)
    }

    #[inline]
    fn add_global(&mut self, name: Cow<'a, str>, new: Target, by: &str) -> Result<TargetId> {
        let id = TargetId(counted(self.targets.len()));
        let is_wanted = matches!(new.rank, Rank::Reference | Rank::Common);
        match self.globals.enter(name, id, is_wanted) {
            None => {
                self.targets.push(new);
                Ok(id)
            }
            Some((known, name)) => {
                self.merge(name, known, new, by)?;
                Ok(known)
            }
        }
    }

    /// What is known about a name, after one more object has mentioned it.
    fn merge(&mut self, name: Cow<'a, str>, id: TargetId, new: Target, by: &str) -> Result<()> {
        let known = &mut self.targets[id.0 as usize];
        let visibility = known.visibility.max(new.visibility);
        let new = Target { visibility, ..new };
        known.visibility = visibility;
        if known.rank == Rank::Assigned {
            if known.object == NO_OBJECT {
                (known.object, known.symbol) = (new.object, new.symbol);
            }
            return Ok(());
        }
        match (known.rank, new.rank) {
            (Rank::Definition, Rank::Definition) => {
                let (first, second) = (known.object, new.object);
                // A default version and the name itself are two symbols of one object for one thing.
                if first == second && known.place == new.place {
                    return Ok(());
                }
                let first = self.objects.get(first as usize);
                let first = first.map_or(by, |object| object.graph.name());
                let length = (name.len() + first.len() + by.len()) as u64;
                self.budget.spend(Resource::Bytes, length, by)?;
                // Told with all others, when all objects are known.
                let error = Error::DuplicateSymbol {
                    symbol: name.into_owned(),
                    first: first.to_owned(),
                    second: by.to_owned(),
                };
                self.refusals.push((second, error));
            }
            (Rank::Common, Rank::Common) => {
                known.place = known.place.larger_common(new.place);
            }
            (Rank::WeakReference, Rank::Reference)
            | (Rank::WeakReference | Rank::WeakDefinition, Rank::Common) => {
                *known = new;
                self.globals.want(name, id);
            }
            (known_rank, new_rank) if new_rank > known_rank => *known = new,
            (Rank::Reference, _) if known.object == NO_OBJECT => {
                // A root: still wanted as much, but now there is an object to name in errors.
                *known = Target {
                    rank: Rank::Reference,
                    ..new
                };
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn place_of(&self, object: &Object<'_>, symbol: &Symbol<'_>) -> Place {
        match symbol.definition {
            Definition::Undefined => Place::Nowhere,
            Definition::Absolute(value) => Place::Absolute(value),
            Definition::Common { size, align } if symbol.kind == SymbolKind::ThreadLocal => {
                Place::ThreadLocalCommon { size, align }
            }
            Definition::Common { size, align } => Place::Common { size, align },
            Definition::Discarded => Place::Discarded,
            Definition::Section {
                section: index,
                offset,
            } => {
                let section = object.first_section + index.0;
                if !self.is_live[section as usize] {
                    return Place::Discarded;
                }
                let is_thread_local = object.graph.sections()[index.0 as usize].is_thread_local;
                match symbol.kind {
                    _ if is_thread_local => Place::ThreadLocal { section, offset },
                    SymbolKind::IndirectFunction => Place::Indirect { section, offset },
                    _ => Place::Section { section, offset },
                }
            }
        }
    }
}

/// A number of sections, symbols or targets. Each takes bytes in the input, which cannot be 100 GiB large.
fn counted(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 sections, symbols and targets fit into memory")
}
