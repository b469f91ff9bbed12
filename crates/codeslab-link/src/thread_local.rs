//! Thread-local variables of an image: the dynamic linker is told of the template and answers what the entries have to say.
//!
//! It runs between placing and relocating: initial values may be addresses of the image, and code holds distances that only the dynamic
//! linker knows. Nothing of the image is executed. An image without such variables, and without references to those of the process, asks
//! nothing.

use crate::apply::{self, Addresses};
use crate::arch::formula::ThreadEntry;
use crate::error::{Error, Resource, Result};
use crate::graph::Visibility;
use crate::plan::Plan;
use crate::resolve::{Place, Resolution, TargetId, base_name};
use codeslab_runtime::{Question, Template, ThreadLocals, Variable};
use std::collections::BTreeSet;

/// Has threads have copies of the image's template, and `addresses` learn what was answered.
///
/// # Errors
/// What keeps the template from being filled in, and the dynamic linker from answering.
pub(crate) fn provide(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &mut Addresses,
) -> Result<Option<Provided>> {
    let entries = plan.thread_entries.iter();
    let exports = exports(resolution, addresses)?;
    if entries.len() == 0 && exports.is_empty() {
        return Ok(None);
    }
    let bytes = apply::template(resolution, plan, addresses)?;
    let template = Template {
        bytes: &bytes,
        size: plan.template.size,
        align: plan.template.align,
        exports: &exports,
    };
    let names: Vec<String> = entries.map(|(id, _)| name(resolution, id)).collect();
    let questions = plan.thread_entries.iter().zip(&names);
    let questions = questions.map(|((id, entry), name)| {
        let variable = match resolution.target(id).place {
            Place::ProcessThreadLocal => Variable::Process(name),
            Place::NoThreadLocal => Variable::Nobody,
            _ if entry == ThreadEntry::Module => Variable::Own(0),
            _ => Variable::Own(addresses.thread_offset(id)),
        };
        (variable, question(entry))
    });
    let questions: Vec<(Variable<'_>, Question)> = questions.collect();
    let needed = &resolution.thread_libraries;
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let (provided, words) =
        ThreadLocals::provide(template, &questions, &needed).map_err(Error::ThreadLocals)?;
    addresses.learn(words);
    let names = exports.iter().map(|(name, _)| (*name).to_owned());
    let names = names.collect();
    Ok(Some(Provided { provided, names }))
}

/// Thread-local variables of an image.
#[derive(Debug)]
pub(crate) struct Provided {
    pub(crate) provided: ThreadLocals,
    names: BTreeSet<String>,
}

impl Provided {
    /// What other images refer to.
    pub(crate) fn exports(&self) -> ThreadExports {
        ThreadExports {
            library: self.provided.name().unwrap_or_default().into(),
            names: self.names.clone(),
        }
    }
}

/// Thread-local variables of an image that others may refer to.
#[derive(Debug, Default)]
pub(crate) struct ThreadExports {
    library: String,
    names: BTreeSet<String>,
}

impl ThreadExports {
    /// By which name the dynamic linker knows what has this variable.
    pub(crate) fn library_of(&self, name: &str) -> Option<&str> {
        self.names.contains(name).then_some(&*self.library)
    }
}

/// The variables that other images may refer to: their names, and their offsets in the template.
fn exports<'r>(
    resolution: &'r Resolution<'_>,
    addresses: &Addresses,
) -> Result<Vec<(&'r str, u64)>> {
    let is_there = |place: Place| {
        matches!(
            place,
            Place::ThreadLocal { .. } | Place::ThreadLocalCommon { .. }
        )
    };
    if !resolution
        .targets
        .iter()
        .any(|target| is_there(target.place))
    {
        return Ok(Vec::new());
    }
    let mut exports = Vec::new();
    for (name, id) in resolution.globals() {
        let target = resolution.target(id);
        // Names end with zeros there.
        let is_nameable = !name.is_empty() && !name.contains('\0');
        if is_there(target.place) && target.visibility != Visibility::Hidden && is_nameable {
            let length = 2 * name.len() as u64;
            resolution.budget.spend(Resource::Bytes, length, name)?;
            exports.push((name, addresses.thread_offset(id)));
        }
    }
    // In one order, whatever the table's is.
    exports.sort_unstable();
    Ok(exports)
}

/// What the process calls a variable; those of the image need no name.
fn name(resolution: &Resolution<'_>, id: TargetId) -> String {
    match resolution.target(id).place {
        Place::ProcessThreadLocal => base_name(&resolution.name_of(id)).to_owned(),
        _ => String::new(),
    }
}

const fn question(entry: ThreadEntry) -> Question {
    match entry {
        ThreadEntry::Variable | ThreadEntry::Module => Question::ModuleAndOffset,
        ThreadEntry::Offset => Question::ThreadOffset,
        ThreadEntry::Descriptor => Question::Descriptor,
    }
}
