//! What there is to run for an image: constructors and destructors, in the order in which `ld` lays them out and a dynamic linker calls them.
//!
//! Objects say it by sections: arrays of pointers (`.init_array`, `.ctors`), with a priority in their names or without. What each section
//! holds, `format` has found out; here all of them are brought into one order and become the addresses of a [`Program`].
//!
//! The order is that of GNU `ld`: arrays with a priority come first, ascending; those without follow in the order of the inputs. `.ctors`
//! count as arrays whose entries are reversed. At the end of an image everything happens backwards. What it has registered with the C library
//! runs before the destructors with a priority, because `ld` has crtbegin.o, which sees to that, first among those without.

use crate::apply::Addresses;
use crate::destination::Destination;
use crate::function_table;
use crate::graph::{Moment, Priority, Purpose};
use crate::plan::Plan;
use crate::resolve::{Place, Resolution, TargetId};
use crate::unwind;
use codeslab::{Address, Protection};
use codeslab_runtime::{Direction, Indirect, Program, Step};
use std::slice;

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// What has to be run and known for an image with these addresses, whose bytes are final.
pub(crate) fn program(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) -> Program {
    let mut arrays: Vec<Array> = arrays(resolution, addresses).collect();
    // Stable: those without a priority stay in the order of the inputs.
    arrays.sort_by_key(|array| (array.moment, array.priority));
    let of = |moment: Moment| arrays.iter().filter(move |array| array.moment == moment);
    let forwards = |array: &Array| array.step(Direction::Forwards);
    let backwards = |array: &&Array| array.step(Direction::Backwards);
    let (plain, first): (Vec<&Array>, Vec<&Array>) =
        of(Moment::End).partition(|array| array.priority == Priority::NONE);
    let handle = handle(resolution, addresses);
    let mut program = Program::default();
    program.indirects = indirects(resolution, plan, addresses).collect();
    program.handle = handle;
    let before = of(Moment::BeforeAll).map(forwards);
    let initializers = before.chain(function(resolution, addresses, Moment::Start));
    program.initializers = initializers
        .chain(of(Moment::Start).map(forwards))
        .collect();
    let finalizers = plain.iter().rev().map(backwards);
    let finalizers = finalizers.chain(handle.map(|_| Step::Registered));
    let finalizers = finalizers.chain(first.iter().rev().map(backwards));
    program.finalizers = finalizers
        .chain(function(resolution, addresses, Moment::End))
        .collect();
    program.unwind_tables = unwind_tables(resolution, plan, addresses, destination);
    program.functions = function_table::table(resolution, plan, addresses, destination);
    program.convention = resolution.convention;
    program
}

/// The function that the fragments of a moment make.
fn function(
    resolution: &Resolution<'_>,
    addresses: &Addresses,
    moment: Moment,
) -> impl Iterator<Item = Step> {
    let of_moment = resolution
        .fragments
        .iter()
        .filter(move |(other, _)| *other == moment);
    of_moment.filter_map(|(_, place)| match *place {
        Place::Section { section, offset } => {
            let address = addresses.section(section)? + offset;
            Some(Step::Function(Address::new(address)))
        }
        _ => None,
    })
}

/// Where the unwind tables begin that are well-formed now that relocations are applied, and that describe the image's own code.
fn unwind_tables(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) -> Vec<Address> {
    let code = Protection::ReadExecute;
    let Some(start) = destination.segment_address(code).map(Address::value) else {
        return Vec::new();
    };
    let code = start..start + plan.layout.segment(code).size;
    let mut is_right = |number: &u32| {
        let id = plan.sections[*number as usize];
        let address = addresses.section(*number);
        id.zip(address)
            .is_some_and(|(id, at)| unwind::describes(destination.bytes_mut(id), at, &code))
    };
    let ended = resolution.ended_tables.iter().map(slice::from_ref);
    let open = resolution
        .open_table
        .and_then(|run| resolution.runs.get(run));
    let tables = ended.chain(open.map(|run| run.sections.as_slice()));
    tables
        .filter(|sections| sections.iter().all(&mut is_right))
        .filter_map(|sections| addresses.section(*sections.first()?))
        .map(Address::new)
        .collect()
}

/// The functions that have to be chosen, in the order of the inputs.
fn indirects(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
) -> impl Iterator<Item = Indirect> {
    let targets = resolution.targets.iter().zip(0..);
    targets.filter_map(|(target, id)| addresses.indirect(plan, TargetId(id), target.place))
}

/// An array of pointers to functions.
struct Array {
    moment: Moment,
    priority: Priority,
    address: u64,
    size: u64,
    is_reversed: bool,
}

fn arrays(resolution: &Resolution<'_>, addresses: &Addresses) -> impl Iterator<Item = Array> {
    resolution
        .special_sections()
        .filter_map(|(_, section, number)| match section.purpose {
            Purpose::Functions {
                moment,
                priority,
                is_reversed,
            } => Some(Array {
                moment,
                priority,
                address: addresses.section(number)?,
                size: section.content.size(),
                is_reversed,
            }),
            _ => None,
        })
}

impl Array {
    fn step(&self, direction: Direction) -> Step {
        let is_backwards = (direction == Direction::Backwards) != self.is_reversed;
        Step::Functions {
            array: Address::new(self.address),
            count: self.size / POINTER,
            direction: if is_backwards {
                Direction::Backwards
            } else {
                Direction::Forwards
            },
        }
    }
}

/// The address by which the image registers what is to run at its end, if an object names it.
fn handle(resolution: &Resolution<'_>, addresses: &Addresses) -> Option<Address> {
    let id = resolution.global("__dso_handle")?;
    let place = resolution.target(id).place;
    place.is_in_image().then(|| addresses.target(id))
}
