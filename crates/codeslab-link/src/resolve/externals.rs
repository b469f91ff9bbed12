//! Symbols that no object defines: the embedder's, the linker's own, what `codeslab-runtime` has for them, the process's.
//!
//! It runs once, after the last object has been added. Names are asked for in that order; a weak reference that none of them
//! answers is null. What is still undefined then is an error if a relocation refers to it, and the error names all of them.

use super::globals;
use super::hints::{hint, likely_library, root_hint};
use super::library::Library;
use super::process::process_symbol;
use super::provided::{Answer, Provided};
use super::resolution::Resolution;
use super::target::{Place, Rank, TargetId};
use super::version;
use crate::error::{Error, Missing, Reference, Resource, Result};
use crate::input::LinkOptions;
use crate::unwind;
use codeslab::{Address, process_symbol_version};
use foldhash::fast::RandomState;
use std::collections::{BTreeSet, HashSet};

/// Gives every symbol that is still undefined its place, and says whether something outside that is referred to may unwind.
///
/// # Errors
/// [`Error::UndefinedSymbol`] if a root has no definition, or if a relocation refers to a symbol that has no place.
pub(super) fn define(
    resolution: &mut Resolution<'_>,
    library: &Library<'_>,
    options: &LinkOptions<'_>,
) -> Result<()> {
    check_roots(resolution, library, &options.roots)?;
    let mut provided = Provided::default();
    // Or one that no object defines is of a language that throws.
    let mut may_unwind = may_throw(resolution);
    let undefined = resolution.globals().filter(|(name, id)| {
        let target = resolution.target(*id);
        if target.is_defined() {
            return false;
        }
        may_unwind = may_unwind || unwind::is_name_of_unwinding(name);
        target.rank != Rank::Fallback
    });
    let found: Vec<(TargetId, Option<Place>)> = undefined
        .map(|(name, id)| {
            let target = resolution.target(id);
            let place = given(options, name)
                .or_else(|| (target.place != Place::Nowhere).then_some(target.place))
                .or_else(|| match provided.answer(resolution, name) {
                    Answer::At(place) => Some(place),
                    Answer::Nowhere => None,
                    Answer::Unknown => outside(resolution, library, options, name, id),
                });
            (id, place)
        })
        .collect();
    let thread_local = found
        .iter()
        .filter(|(_, place)| *place == Some(Place::ProcessThreadLocal));
    let names = thread_local.map(|(id, _)| resolution.name_of(*id));
    let libraries = names.filter_map(|name| library.thread_local(version::base_name(&name)));
    let libraries: BTreeSet<&str> = libraries.collect();
    let libraries: Vec<String> = libraries.into_iter().map(str::to_owned).collect();
    let runs = provided.runs(resolution)?;
    // Asked once all are found: what is used of libraries is known then.
    resolution.may_unwind = may_unwind || library.may_unwind();
    resolution.thread_libraries = libraries;
    resolution.runs.extend(runs);
    let mut missing = Vec::new();
    for (id, place) in found {
        let target = &mut resolution.targets[id.0 as usize];
        match place {
            Some(place) => target.place = place,
            None if target.rank == Rank::WeakReference => target.place = Place::Absolute(0),
            None => missing.push(id),
        }
    }
    resolution.fill_in_assigned();
    resolution.fill_in_fallbacks();
    resolution.check_assigned()?;
    missing.extend(resolution.lost_fallbacks());
    if missing.is_empty() {
        return Ok(());
    }
    report(resolution, &missing)
}

/// Whether some object mentions a symbol by which code throws: it may have an unwinder of its own.
fn may_throw(resolution: &Resolution<'_>) -> bool {
    const BITS: u64 = globals::bits(&unwind::WAYS_TO_THROW);
    let has = |name| resolution.global(name).is_some();
    resolution.globals.may_have(BITS) && unwind::WAYS_TO_THROW.into_iter().any(has)
}

/// What the embedder provides. It serves every version of its name, as a library without versions does.
fn given(options: &LinkOptions<'_>, name: &str) -> Option<Place> {
    let externals = &options.externals;
    if externals.is_empty() {
        return None;
    }
    let given = externals.get(name).or_else(|| {
        let versioned = version::split(name)?;
        externals.get(versioned.name)
    });
    given.copied().map(Place::from)
}

/// What is loaded already: libraries, which were asked before for all but weak references, and the process. Thread-local variables have no
/// address; that there is one in this thread says that they exist.
fn outside(
    resolution: &Resolution<'_>,
    library: &Library<'_>,
    options: &LinkOptions<'_>,
    name: &str,
    id: TargetId,
) -> Option<Place> {
    let target = resolution.target(id);
    let is_thread_local = resolution.is_thread_local_reference(id);
    let in_process = |options, name| {
        let is_callable = !resolution.is_foreign();
        is_callable.then(|| in_process(options, name)).flatten()
    };
    let loaded = || library.loaded(name, u32::MAX);
    let may_be = target.may_be_outside();
    if is_thread_local {
        let base = version::base_name(name);
        let in_library = || library.thread_local(base).is_some();
        let exists = may_be && (in_library() || in_process(options, name).is_some());
        let is_weak = target.rank == Rank::WeakReference;
        return if exists {
            Some(Place::ProcessThreadLocal)
        } else {
            is_weak.then_some(Place::NoThreadLocal)
        };
    }
    let found = || loaded().or_else(|| in_process(options, name));
    may_be.then(found).flatten().map(Place::from)
}

fn in_process(options: &LinkOptions<'_>, name: &str) -> Option<Address> {
    if !options.process_symbols {
        return None;
    }
    if let Some(address) = codeslab_runtime::provided(version::base_name(name)) {
        return Some(address);
    }
    match version::split(name) {
        Some(versioned) => process_symbol_version(versioned.name, versioned.version),
        None => process_symbol(name),
    }
}

fn check_roots(resolution: &Resolution<'_>, library: &Library<'_>, roots: &[String]) -> Result<()> {
    let is_undefined = |root: &&String| {
        let target = resolution.global(root);
        target.is_none_or(|id| resolution.target(id).rank < Rank::WeakDefinition)
    };
    let all: Vec<String> = roots.iter().filter(is_undefined).cloned().collect();
    match all.first() {
        None => Ok(()),
        Some(first) => Err(Error::UndefinedSymbol {
            hint: root_hint(resolution, first, library.names()),
            symbol: first.clone(),
            at: None,
            all: all.iter().map(|root| Missing::asked_for(root)).collect(),
        }),
    }
}

/// An undefined symbol is an error only if something refers to it; objects may list symbols that they do not use.
fn report(resolution: &Resolution<'_>, missing: &[TargetId]) -> Result<()> {
    let mut unseen: HashSet<u32, RandomState> = missing.iter().map(|id| id.0).collect();
    let mut first: Option<(TargetId, Reference)> = None;
    let mut all = Vec::new();
    for (object, section, _) in resolution.live_sections() {
        for relocation in section.relocations() {
            let id = resolution.target_of(object, relocation);
            if unseen.remove(&id.0) {
                let symbol = object.graph.symbol_name(relocation.symbol);
                let name = object.graph.name();
                let length = (symbol.len() + name.len()) as u64;
                resolution.budget.spend(Resource::Bytes, length, name)?;
                all.push(Missing {
                    library: likely_library(&symbol),
                    symbol,
                    needed_by: Some(name.to_owned()),
                });
                first.get_or_insert_with(|| (id, object.graph.reference(section, relocation)));
            }
        }
    }
    match first {
        None => Ok(()),
        Some((id, first)) => Err(Error::UndefinedSymbol {
            hint: hint(resolution, id, &first.symbol),
            symbol: first.symbol.clone(),
            at: Some(Box::new(first)),
            all,
        }),
    }
}
