//! Symbols that no object defines: the embedder's, the linker's own, the process's.
//!
//! It runs once, after the last object has been added. Names are asked for in that order; a weak reference that none of the three
//! answers is null. What is still undefined then is an error if a relocation refers to it, and the error names all of them.

use super::resolution::Resolution;
use super::target::{Place, Rank, TargetId};
use crate::error::{Error, Resource, Result};
use crate::input::LinkOptions;
use codeslab::process_symbol;
use foldhash::fast::RandomState;
use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Gives every symbol that is still undefined its place.
///
/// # Errors
/// [`Error::UndefinedSymbol`] if a root has no definition, or if a relocation refers to a symbol that has no place.
pub(super) fn define(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) -> Result<()> {
    check_roots(resolution, &options.roots)?;
    let sections = LazyCell::new(|| sections_by_name(resolution));
    let mut asked = BTreeSet::new();
    let undefined = resolution
        .globals()
        .filter(|(_, id)| !resolution.target(*id).is_defined());
    let found: Vec<(TargetId, Option<Place>)> = undefined
        .map(|(name, id)| {
            let given = options.externals.get(name);
            let place = given
                .map(|address| Place::from(*address))
                .or_else(|| own_symbol(resolution, &sections, name, &mut asked))
                .or_else(|| in_process(resolution, options, name, id));
            (id, place)
        })
        .collect();
    resolution.runs = asked.iter().map(|name| sections[name].clone()).collect();
    let mut missing = Vec::new();
    for (id, place) in found {
        let target = &mut resolution.targets[id.0 as usize];
        match place {
            Some(place) => target.place = place,
            None if target.rank == Rank::WeakReference => target.place = Place::Absolute(0),
            None => missing.push(id),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    report(resolution, &missing)
}

/// What the process has. Thread-local variables have no address; that there is one in this thread says that they exist.
fn in_process(
    resolution: &Resolution<'_>,
    options: &LinkOptions<'_>,
    name: &str,
    id: TargetId,
) -> Option<Place> {
    let found = options.process_symbols.then(|| process_symbol(name));
    let found = found.flatten();
    if resolution.is_thread_local_reference(id) {
        let is_weak = resolution.target(id).rank == Rank::WeakReference;
        let exists = found.map(|_| Place::ProcessThreadLocal);
        return exists.or_else(|| is_weak.then_some(Place::NoThreadLocal));
    }
    found.map(Place::from)
}

/// The numbers of the sections of each name, of one protection since only those can lie in a row.
type SectionsByName<'r> = HashMap<&'r str, Vec<u32>, RandomState>;

fn sections_by_name<'r>(resolution: &'r Resolution<'_>) -> SectionsByName<'r> {
    let mut by_name = SectionsByName::default();
    let sections = resolution.live_sections();
    for (_, section, number) in sections.filter(|(_, section, _)| !section.is_thread_local) {
        let run = by_name.entry(section.name()).or_default();
        let fits = |first: &u32| resolution.section(*first).1.protection == section.protection;
        if run.first().is_none_or(fits) {
            run.push(number);
        }
    }
    by_name
}

/// Symbols that linkers define where an object refers to them. Notes the sections whose ends are `asked` for.
fn own_symbol<'r>(
    resolution: &Resolution<'_>,
    sections: &SectionsByName<'_>,
    name: &'r str,
    asked: &mut BTreeSet<&'r str>,
) -> Option<Place> {
    // `__dso_handle` only has to differ between images, and each has a table.
    if matches!(name, "_GLOBAL_OFFSET_TABLE_" | "__dso_handle") {
        return Some(Place::Got);
    }
    // Local dynamic code with descriptors asks for the start of the image's variables by this name.
    if name == "_TLS_MODULE_BASE_" {
        return Some(Place::ThreadLocalStart);
    }
    let (section_name, is_start) = match name.strip_prefix("__start_") {
        Some(section_name) => (section_name, true),
        None => (name.strip_prefix("__stop_")?, false),
    };
    let run = sections.get(section_name)?;
    asked.insert(section_name);
    let number = *if is_start { run.first()? } else { run.last()? };
    let size = resolution.section(number).1.content.size();
    Some(Place::Section {
        section: number,
        offset: if is_start { 0 } else { size },
    })
}

fn check_roots(resolution: &Resolution<'_>, roots: &[String]) -> Result<()> {
    let is_undefined = |root: &&String| {
        let target = resolution.global(root);
        target.is_none_or(|id| resolution.target(id).rank < Rank::WeakDefinition)
    };
    let all: Vec<String> = roots.iter().filter(is_undefined).cloned().collect();
    match all.first() {
        None => Ok(()),
        Some(first) => Err(Error::UndefinedSymbol {
            symbol: first.clone(),
            at: None,
            all,
        }),
    }
}

/// An undefined symbol is an error only if something refers to it; objects may list symbols that they do not use.
fn report(resolution: &Resolution<'_>, missing: &[TargetId]) -> Result<()> {
    let mut unseen: HashSet<u32, RandomState> = missing.iter().map(|id| id.0).collect();
    let mut first = None;
    let mut all = Vec::new();
    for (object, section, _) in resolution.live_sections() {
        for relocation in section.relocations() {
            let id = resolution.target_of(object, relocation);
            if unseen.remove(&id.0) {
                let symbol = object.graph.symbol_name(relocation.symbol);
                let length = symbol.len() as u64;
                resolution
                    .budget
                    .spend(Resource::Bytes, length, object.graph.name())?;
                all.push(symbol);
                first.get_or_insert_with(|| object.graph.reference(section, relocation));
            }
        }
    }
    match first {
        None => Ok(()),
        Some(first) => Err(Error::UndefinedSymbol {
            symbol: first.symbol.clone(),
            at: Some(Box::new(first)),
            all,
        }),
    }
}
