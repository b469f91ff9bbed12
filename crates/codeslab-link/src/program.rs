//! What there is to run for an image: constructors and destructors, in the order in which `ld` lays them out and a dynamic linker calls them.
//!
//! Objects say it by sections: arrays of pointers (`.init_array`, `.ctors`), with a priority in their names or without. What each section
//! holds, `format` has found out; here all of them are brought into one order and become the addresses of a [`Program`].
//!
//! The order is that of GNU `ld`: arrays with a priority come first, ascending; those without follow in the order of the inputs. `.ctors`
//! count as arrays whose entries are reversed. At the end of an image everything happens backwards. What it has registered with the C library
//! runs before the destructors with a priority, because `ld` has crtbegin.o, which sees to that, first among those without.

use crate::apply::Addresses;
use crate::graph::{Moment, Priority, Purpose};
use crate::plan::Plan;
use crate::resolve::{Resolution, TargetId};
use codeslab::Address;
use codeslab_runtime::{Direction, Indirect, Program, Step};

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// What has to be run for an image with these addresses.
pub(crate) fn program(resolution: &Resolution<'_>, plan: &Plan, addresses: &Addresses) -> Program {
    let mut arrays: Vec<Array> = arrays(resolution, addresses).collect();
    // Stable: those without a priority stay in the order of the inputs.
    arrays.sort_by_key(|array| (array.moment, array.priority));
    let of = |moment: Moment| arrays.iter().filter(move |array| array.moment == moment);
    let mut program = Program::default();
    program.indirects = indirects(resolution, plan, addresses).collect();
    program.handle = handle(resolution, addresses);
    program.initializers = of(Moment::BeforeAll)
        .chain(of(Moment::Start))
        .map(|array| array.step(Direction::Forwards))
        .collect();
    let (plain, first): (Vec<&Array>, Vec<&Array>) =
        of(Moment::End).partition(|array| array.priority == Priority::NONE);
    let backwards = |array: &&Array| array.step(Direction::Backwards);
    program.finalizers = plain.iter().rev().map(backwards).collect();
    program
        .finalizers
        .extend(program.handle.map(|_| Step::Registered));
    program.finalizers.extend(first.iter().rev().map(backwards));
    program
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
        .live_sections()
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
