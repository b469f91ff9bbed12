//! Symbols that no object defines: the embedder's, the linker's own, the process's.

use super::{Place, Rank, Request, Resolution, TargetId};
use crate::error::{Error, Result};
use codeslab::{Address, process_symbol};
use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};

/// Where symbols come from that no object defines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Externals<'a> {
    pub(crate) given: &'a HashMap<String, Address>,
    pub(crate) process_symbols: bool,
}

impl Externals<'_> {
    /// Whether the embedder provides `name`, so that no library has to.
    pub(super) fn provides(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    fn place(&self, name: &str) -> Option<Place> {
        if let Some(&address) = self.given.get(name) {
            return Some(address.into());
        }
        // `__dso_handle` only has to differ between images, and each has a table.
        if matches!(name, "_GLOBAL_OFFSET_TABLE_" | "__dso_handle") {
            return Some(Place::Got);
        }
        let found = self.process_symbols.then(|| process_symbol(name));
        found.flatten().map(Place::from)
    }
}

/// Gives every symbol that is still undefined its place.
///
/// # Errors
/// [`Error::UndefinedSymbol`] if a root has no definition, or if a relocation refers to a symbol that has no place.
pub(super) fn settle(resolution: &mut Resolution<'_>, request: &Request<'_, '_>) -> Result<()> {
    check_roots(resolution, request.roots)?;
    let mut missing = Vec::new();
    let Resolution {
        globals, targets, ..
    } = resolution;
    for (name, id) in globals.iter() {
        let target = &mut targets[id.0 as usize];
        if !matches!(target.rank, Rank::Reference | Rank::WeakReference) {
            continue;
        }
        match request.externals.place(name) {
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

fn check_roots(resolution: &Resolution<'_>, roots: &[String]) -> Result<()> {
    let is_undefined = |root: &&String| {
        let target = resolution.globals.get(root);
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
                let reference = object.graph.reference(section, relocation);
                all.push(reference.symbol.clone());
                first.get_or_insert(reference);
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
