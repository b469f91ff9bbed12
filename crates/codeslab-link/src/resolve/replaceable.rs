//! Functions that can be replaced: which of those that a link defines an embedder asked for.
//!
//! `plan` gives each a stub, whose address stands for the function wherever it is asked for, and an entry in data that the stub branches
//! through; replacing the function is one store to that entry.

use super::resolution::Resolution;
use super::target::{Place, TargetId};
use crate::error::{Error, Missing, Result};
use crate::graph::SymbolKind;
use crate::input::{LinkOptions, Replaceable};
use codeslab::Protection;

/// Notes the targets of the functions that shall be replaceable.
///
/// # Errors
/// [`Error::UndefinedSymbol`] for names that are no functions of the inputs.
pub(super) fn choose(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) -> Result<()> {
    let chosen = match &options.replaceable {
        Replaceable::None => return Ok(()),
        Replaceable::All => {
            let ids = resolution.globals().map(|(_, id)| id);
            let is_function = |id: &TargetId| {
                is_in_code(resolution, *id) && kind_of(resolution, *id) == SymbolKind::Function
            };
            ids.filter(is_function).collect()
        }
        Replaceable::Named(names) => named(resolution, names)?,
    };
    resolution.replaceable = chosen;
    Ok(())
}

fn named(resolution: &Resolution<'_>, names: &[String]) -> Result<Vec<TargetId>> {
    let found = names.iter().map(|name| {
        let id = resolution.global(name);
        id.filter(|id| is_in_code(resolution, *id)).ok_or(name)
    });
    let (found, missing): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
    let all: Vec<String> = missing
        .into_iter()
        .filter_map(Result::err)
        .cloned()
        .collect();
    match all.first() {
        None => Ok(found.into_iter().flatten().collect()),
        Some(first) => Err(Error::UndefinedSymbol {
            symbol: first.clone(),
            at: None,
            all: all.iter().map(|name| Missing::asked_for(name)).collect(),
            hint: Some("what can be replaced has to be a function of the inputs".to_owned()),
        }),
    }
}

/// Whether it is in the code of an object, and not of what the linker makes.
fn is_in_code(resolution: &Resolution<'_>, id: TargetId) -> bool {
    let target = resolution.target(id);
    let Place::Section { section, .. } = target.place else {
        return false;
    };
    let (object, section) = resolution.section(section);
    target.is_defined() && !object.is_made && section.protection == Protection::ReadExecute
}

fn kind_of(resolution: &Resolution<'_>, id: TargetId) -> SymbolKind {
    let target = resolution.target(id);
    let object = resolution.objects.get(target.object as usize);
    object.map_or(SymbolKind::Unknown, |object| {
        object.graph.symbols()[target.symbol as usize].kind
    })
}
