//! Linking: one request, one direction.
//!
//! [`link`] is the list of all steps. Four lines in it mark what does not change from there on: sizes, addresses, bytes, and what may be
//! written at all. An error at any step drops the value of that step, and dropping it gives back what it took.

use crate::apply::{self, Addresses};
use crate::arch;
use crate::budget::{Budget, Work};
use crate::destination::InFlight;
use crate::detour;
use crate::error::{Error, Resource, Result};
use crate::gather;
use crate::image::{Linked, Parts};
use crate::input::{self, Input, LinkOptions};
use crate::located::Located;
use crate::names::Names;
use crate::placed;
use crate::plan::{self, Plan};
use crate::program::program;
use crate::replaceable;
use crate::resolve::{self, Place, Resolution};
use crate::symbols::Symbols;
use crate::thread_local::{self, Provided};
use codeslab::{CodeMemory, InFlightAllocation, Protection, Window};
use std::mem;
use std::sync::Arc;

/// Links `inputs` into `memory`, and runs nothing of them.
///
/// Definitions in the inputs come first, then the embedder's externals, then the libraries, then the process's symbols.
///
/// # Errors
/// Every [`Error`]; no memory is kept then.
pub fn link(
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> Result<Linked> {
    link_counted(memory, inputs, options).0
}

/// The same, and how much work it took, whatever came of it: never more than [`Work::limit`].
pub fn link_counted(
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> (Result<Linked>, Work) {
    if !gather::is_needed(inputs) && !gather::is_needed(&options.libraries) {
        return link_given(memory, inputs, options);
    }
    let gathered = gather::gather(inputs, options.files);
    let libraries = gather::gather(&options.libraries, options.files);
    match (gathered, libraries) {
        (Ok(inputs), Ok(libraries)) => {
            let options = LinkOptions {
                libraries: libraries.inputs(),
                ..options.clone()
            };
            link_given(memory, &inputs.inputs(), &options)
        }
        (Err(error), _) | (_, Err(error)) => (Err(error), Work::default()),
    }
}

/// Links inputs that hold all that they name.
fn link_given(
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> (Result<Linked>, Work) {
    let budget = Budget::of(input::size(inputs, options));
    let result = link_within(&budget, memory, inputs, options);
    (result, budget.spent())
}

/// What a link would take, as far as that is known before it has a place. Nothing is placed, written or run.
///
/// # Errors
/// As [`link`], but for those of finding a place, of distances that do not fit, and of what only some memories refuse.
pub fn estimate(inputs: &[Input<'_>], options: &LinkOptions<'_>) -> Result<Estimate> {
    let gathered = gather::gather(inputs, options.files)?;
    let libraries = gather::gather(&options.libraries, options.files)?;
    let (inputs, libraries) = (gathered.inputs(), libraries.inputs());
    let options = LinkOptions {
        libraries,
        ..options.clone()
    };
    let budget = Budget::of(input::size(&inputs, &options));
    let resolution = resolve::resolve(arch::native()?, &inputs, &options, &budget)?;
    let plan = plan::plan(&resolution)?;
    let size = |protection| plan.layout.segment(protection).size;
    let objects = resolution.objects.iter();
    let objects = objects.filter(|object| !object.is_made);
    Ok(Estimate {
        code: size(Protection::ReadExecute),
        constants: size(Protection::ReadOnly),
        data: size(Protection::ReadWrite),
        window: plan.window,
        objects: objects
            .map(|object| object.graph.name().to_owned())
            .collect(),
    })
}

/// What a link would take.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Estimate {
    /// Bytes of code, stubs included.
    pub code: u64,
    /// Bytes of constants, GOT entries included.
    pub constants: u64,
    /// Bytes of data.
    pub data: u64,
    /// Where the image would have to lie.
    pub window: Window,
    /// The objects that take part, in their order. What the linker makes itself is not among them.
    pub objects: Vec<String>,
}

fn link_within(
    budget: &Budget,
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> Result<Linked> {
    let machine = arch::native()?;
    let mut resolution = resolve::resolve(machine, inputs, options, budget)?;
    if memory.configuration().branch_protection {
        resolve::check_landing_pads(&resolution)?;
    }
    let plan = plan::plan(&resolution)?;
    // ---- No size changes from here on. What cannot be linked for what it is has been refused; no memory is taken yet.
    let mut allocation = place(memory, &plan)?;
    let mut in_flight = InFlight::of(&mut allocation, &plan.layout);
    let mut addresses = Addresses::of(&resolution, &plan, &in_flight);
    // ---- No address changes from here on. An error drops the allocation in flight, which abandons it.
    let thread_locals = thread_local::provide(&resolution, &plan, &mut addresses)?;
    in_flight.fill_gaps(machine.architecture().fill_pattern());
    apply::write(&resolution, &plan, &addresses, &mut in_flight)?;
    detour::write(&resolution, &plan, &addresses, &mut in_flight)?;
    replaceable::write(&resolution, &plan, &addresses, &mut in_flight);
    // ---- No byte changes from here on.
    let objects = resolution.objects.iter();
    let names = Names::of(objects.map(|object| object.graph.name()));
    let symbols = symbols(&resolution, &plan, &addresses, &names)?;
    let located = Located::of(&resolution, &addresses, names);
    let program = program(&resolution, &plan, &addresses, &mut in_flight);
    let objects = options
        .keep_objects
        .then(|| placed::objects(&resolution, &addresses))
        .transpose()?
        .unwrap_or_default();
    let allocation = allocation.finalize()?;
    let dependencies = mem::take(&mut resolution.dependencies);
    // ---- Nothing executable or constant is writable from here on.
    let entries = replaceable::entries(&resolution, &plan, &addresses);
    let may_unwind = resolution.may_unwind;
    let exports = thread_locals.as_ref().map(Provided::exports);
    let parts = Parts::new(symbols, located, objects, dependencies, may_unwind);
    let parts = parts.with(entries, exports.unwrap_or_default());
    let thread_locals = thread_locals.map(|locals| locals.provided);
    Ok(Linked::new(parts, program, thread_locals, allocation))
}

/// Finds a place that everything reaches. Names the symbols that bind it when there is none.
fn place(memory: &CodeMemory, plan: &Plan) -> Result<InFlightAllocation> {
    let layout = plan.segments()?;
    let request = codeslab::Request::new(&layout).written_whole();
    if plan.window == Window::ANYWHERE {
        return Ok(memory.allocate(&request)?);
    }
    let windows = [plan.window];
    memory
        .allocate(&request.within(&windows))
        .map_err(|cause| match cause {
            codeslab::Error::OutOfReach { .. } | codeslab::Error::ConflictingWindows { .. } => {
                Error::Unplaceable {
                    symbols: plan.window_symbols.clone(),
                    cause,
                }
            }
            cause => Error::Memory(cause),
        })
}

fn symbols(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    names: &Arc<Names>,
) -> Result<Symbols> {
    let mut symbols = Symbols::of(
        Arc::clone(names),
        (resolution.globals().len(), resolution.global_length()),
    );
    for (name, id) in resolution.globals() {
        let target = resolution.target(id);
        let object = resolution.objects.get(target.object as usize);
        let is_made = object.is_some_and(|object| object.is_made);
        // Variables of threads have no address.
        let is_there = target.is_defined() && target.place != Place::Discarded;
        if !is_there || target.place.is_thread_local() || is_made {
            continue;
        }
        // Nothing mentions a symbol that the embedder assigned and no object uses.
        let graph = object.map(|object| &object.graph);
        let by = graph.map_or("defsym", |graph| graph.name());
        resolution
            .budget
            .spend(Resource::Bytes, name.len() as u64, by)?;
        let size = graph.map_or(0, |graph| graph.symbols()[target.symbol as usize].size);
        let place = (addresses.target(id), size);
        let protection = protection(plan, target.place);
        symbols.add(name, place, protection, target.visibility, target.object);
    }
    Ok(symbols)
}

fn protection(plan: &Plan, place: Place) -> Option<Protection> {
    match place {
        Place::Section { section, .. } | Place::Indirect { section, .. } => {
            plan.sections[section as usize].map(|id| plan.layout.section(id).protection)
        }
        Place::Common { .. } => Some(Protection::ReadWrite),
        _ => None,
    }
}
