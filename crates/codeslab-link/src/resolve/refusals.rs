//! Refusals: all objects of a link that cannot be linked, told at once, and the roots that do without them.
//!
//! An archive links as far as a user needs it: hardly a program needs the one member that is refused. So an error says which symbols are
//! defined by objects that need no refused one, directly or through others. It costs a walk over all symbols, backwards from what is
//! refused, and only when something is.

use super::resolution::{Object, Resolution};
use super::target::TargetId;
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::graph::{Binding, Definition, GraphSection, Symbol, Visibility};
use codeslab::Protection;
use foldhash::fast::RandomState;
use std::collections::{BTreeSet, HashSet};

/// That nothing is refused.
///
/// # Errors
/// The refusal, or [`Error::Refused`] for several, and where other roots would help.
pub(super) fn check(resolution: &mut Resolution<'_>) -> Result<()> {
    if resolution.refusals.is_empty() {
        return Ok(());
    }
    let refusals = std::mem::take(&mut resolution.refusals);
    let refused: Vec<u32> = refusals.iter().map(|(object, _)| *object).collect();
    let roots = roots_without(resolution, &refused);
    let mut all: Vec<Error> = refusals.into_iter().map(|(_, error)| error).collect();
    if all.len() == 1 && roots.is_empty() {
        return Err(all.swap_remove(0));
    }
    let first = Box::new(all[0].clone());
    Err(Error::Refused { first, all, roots })
}

/// That indirect branches arrive at landing pads only, in all code of all objects.
///
/// # Errors
/// The refusal of an object, or [`Error::Refused`] for several.
pub(crate) fn check_landing_pads(resolution: &Resolution<'_>) -> Result<()> {
    let refusal = |object: &Object<'_>| {
        let graph = &object.graph;
        let is_code = |section: &&GraphSection<'_>| {
            section.protection == Protection::ReadExecute && section.content.size() > 0
        };
        let section = graph.sections().iter().find(is_code)?;
        graph.lacks_landing_pads().then(|| Error::Unsupported {
            feature: Feature::NoLandingPads,
            reference: Box::new(Reference {
                object: graph.name().to_owned(),
                section: section.name.to_string(),
                ..Reference::default()
            }),
        })
    };
    let mut all: Vec<Error> = resolution.objects.iter().filter_map(refusal).collect();
    match all.len() {
        0 => Ok(()),
        1 => Err(all.swap_remove(0)),
        _ => Err(Error::Refused {
            first: Box::new(all[0].clone()),
            all,
            roots: Vec::new(),
        }),
    }
}

/// The symbols that others can see of objects that need none of those. None are told where looking takes more than the link may.
fn roots_without(resolution: &Resolution<'_>, refused: &[u32]) -> Vec<String> {
    let symbols = resolution.symbol_count() as u64;
    let spent = resolution.budget.spend(
        Resource::Steps,
        symbols,
        "symbols that refused objects are needed for",
    );
    if spent.is_err() {
        return Vec::new();
    }
    let is_tainted = tainted(resolution, refused);
    let mut roots = BTreeSet::new();
    for (name, id) in resolution.globals() {
        let target = resolution.target(id);
        let is_seen = target.is_defined() && target.visibility != Visibility::Hidden;
        let is_clean = is_tainted.get(target.object as usize) == Some(&false);
        if is_seen && is_clean {
            let length = name.len() as u64;
            if resolution
                .budget
                .spend(Resource::Bytes, length, name)
                .is_err()
            {
                break;
            }
            roots.insert(name.to_owned());
        }
    }
    roots.into_iter().collect()
}

/// By object: whether it is refused or needs one that is.
fn tainted(resolution: &Resolution<'_>, refused: &[u32]) -> Vec<bool> {
    let count = resolution.objects.len();
    // By object: those that refer to it.
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (object, number) in resolution.objects.iter().zip(0..) {
        for (symbol, id) in object
            .graph
            .symbols()
            .iter()
            .zip(resolution.targets_of(object))
        {
            let target = resolution.target(*id);
            let is_foreign = symbol.binding != Binding::Local && target.object != number;
            if is_foreign
                && target.is_defined()
                && let Some(users) = users.get_mut(target.object as usize)
            {
                users.push(number);
            }
        }
    }
    let mut is_tainted = vec![false; count];
    let mut waiting = refused.to_vec();
    waiting.extend(users_of_lost(resolution, refused));
    while let Some(number) = waiting.pop() {
        let seen = &mut is_tainted[number as usize];
        if !std::mem::replace(seen, true) {
            waiting.append(&mut users[number as usize]);
        }
    }
    is_tainted
}

/// The objects that refer to what refused ones would define, had it been loaded.
fn users_of_lost(resolution: &Resolution<'_>, refused: &[u32]) -> Vec<u32> {
    let is_lost = |symbol: &Symbol<'_>, id: &TargetId| {
        let is_named = symbol.binding != Binding::Local;
        is_named && !resolution.target(*id).is_defined()
    };
    let of = |number: u32| {
        let object = &resolution.objects[number as usize];
        let symbols = object.graph.symbols().iter();
        symbols.zip(resolution.targets_of(object))
    };
    let mut lost: HashSet<u32, RandomState> = HashSet::default();
    for &number in refused {
        let symbols = of(number).filter(|(symbol, id)| {
            symbol.definition == Definition::Discarded && is_lost(symbol, id)
        });
        lost.extend(symbols.map(|(_, id)| id.0));
    }
    if lost.is_empty() {
        return Vec::new();
    }
    let numbers = 0..resolution.objects.len() as u32;
    let uses = |number: &u32| {
        let mut symbols = of(*number);
        symbols.any(|(symbol, id)| is_lost(symbol, id) && lost.contains(&id.0))
    };
    numbers.filter(uses).collect()
}
