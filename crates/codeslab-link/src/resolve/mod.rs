//! Symbols across graphs: who defines what, which members of archives are needed, which sections are left out.
//!
//! Every symbol of every object names a target: one per global name, one per local symbol. What comes later asks targets, never
//! names. Whatever makes a link impossible for what its inputs are is found here, before any memory is taken: an object of another
//! machine, one that asks for something that is not supported, a symbol that is defined twice or nowhere.

mod alternates;
mod assign;
mod assigned;
mod builtin;
mod comdat;
mod convention;
mod externals;
mod gc;
mod globals;
mod grouped;
mod hints;
mod imports;
mod library;
mod live;
mod made;
mod process;
mod provided;
mod refusals;
mod replaceable;
mod resolution;
mod runtime;
mod target;
mod version;

use crate::arch::machine::Machine;
use crate::budget::Budget;
use crate::error::Result;
use crate::format::{self, Parsed};
use crate::input::{Input, LinkOptions};
use library::{Found, Library};
use std::borrow::Cow;
use target::Rank;

pub(crate) use refusals::check_landing_pads;
pub(crate) use resolution::{Object, Resolution};
pub(crate) use target::{Edge, Place, TargetId};
pub(crate) use version::base_name;

/// Resolves every symbol of `inputs`, and of the members of libraries that they need.
///
/// # Errors
/// What cannot be read, cannot take part, is defined twice or nowhere.
pub(crate) fn resolve<'a>(
    machine: &'static dyn Machine,
    inputs: &[Input<'a>],
    options: &LinkOptions<'a>,
    budget: &'a Budget,
) -> Result<Resolution<'a>> {
    let mut resolution = Resolution::new(machine, budget, &options.wrap);
    let mut library = Library::new(budget);
    resolution.expect(budget.input());
    resolution.assign_all(&options.defsym)?;
    for root in &options.roots {
        resolution.add_root(root);
    }
    for &input in inputs {
        match format::open(input, budget)? {
            Parsed::Graph(graph) => resolution.add(graph)?,
            Parsed::Archive(archive) if options.roots.is_empty() => {
                for member in archive.members() {
                    let member = member?;
                    resolution.add(format::object(member.name, member.bytes, budget)?)?;
                }
            }
            Parsed::Kept(archive) if options.roots.is_empty() => {
                for graph in &archive.members {
                    resolution.add(Cow::Borrowed(graph))?;
                }
            }
            other => library.offer(other)?,
        }
    }
    for &input in &options.libraries {
        library.offer(format::open(input, budget)?)?;
    }
    let given = resolution.objects.len();
    pull(&mut resolution, &mut library, options)?;
    made::add_functions(&mut resolution, options)?;
    // What those refer to, a library may define.
    pull(&mut resolution, &mut library, options)?;
    runtime::refuse_starts(&mut resolution);
    runtime::share(&mut resolution, options);
    refusals::check(&mut resolution)?;
    made::add_frames(&mut resolution)?;
    made::add_unwind_tables(&mut resolution)?;
    resolution.fill_in_assigned();
    resolution.fill_in_fallbacks();
    if options.gc {
        gc::collect(&mut resolution, &options.roots, given)?;
    }
    grouped::add_runs(&mut resolution)?;
    externals::define(&mut resolution, &library, options)?;
    replaceable::choose(&mut resolution, options)?;
    resolution.dependencies = library.dependencies();
    Ok(resolution)
}

/// Takes the members in that undefined symbols need, until no symbol needs another. What the embedder provides needs none.
fn pull<'a>(
    resolution: &mut Resolution<'a>,
    library: &mut Library<'a>,
    options: &LinkOptions<'_>,
) -> Result<()> {
    while let Some((name, id)) = resolution.next_wanted() {
        if options.externals.contains_key(name.as_ref()) {
            continue;
        }
        let target = resolution.target(id);
        let is_open = target.rank <= Rank::Reference && target.place == Place::Nowhere;
        let found = match target.rank {
            Rank::Reference => {
                let is_inside =
                    !target.may_be_outside() || resolution.is_thread_local_reference(id);
                match library.find(&name, is_inside)? {
                    None => builtin::take(resolution.machine, &name)?
                        .map(|graph| Found::Graph(Cow::Owned(graph))),
                    found => found,
                }
            }
            Rank::Common => library.take_value(&name)?.map(Found::Graph),
            _ => None,
        };
        match found {
            Some(Found::Graph(graph)) => resolution.add(graph)?,
            Some(Found::At(address)) => resolution.targets[id.0 as usize].place = address.into(),
            None if is_open && !resolution.fall_back(&name, id) => {
                imports::add_cell(resolution, &name, id)?;
            }
            None => {}
        }
    }
    Ok(())
}
