//! Detours, written when everything else is: the instruction is taken from its section and put into the detour, and a jump into its place.
//!
//! `plan` says which instructions take one, and the machine knows what a detour looks like. `link` calls this after `apply`, which leaves
//! the fields of those instructions alone.

use crate::apply::Addresses;
use crate::arch::machine::{Detour, Machine};
use crate::arch::row::Misfit;
use crate::destination::Destination;
use crate::error::{Error, Reference, Result};
use crate::plan::{Plan, PlannedDetour};
use crate::resolve::Resolution;
use codeslab::Address;

/// Writes all detours.
///
/// # Errors
/// [`Error::OutOfReach`] if an instruction, its detour and its GOT entry do not reach each other.
pub(crate) fn write(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) -> Result<()> {
    for (&(section, offset), detour) in &plan.detours {
        let machine = resolution.machine;
        let at = (section, offset);
        let written = write_one(machine, plan, addresses, destination, at, detour);
        written.map_err(|misfit| {
            let symbol = resolution.name_of(detour.symbol);
            let address = addresses.target(detour.symbol);
            out_of_reach(resolution, section, offset, (symbol, address), misfit)
        })?;
    }
    Ok(())
}

fn write_one(
    machine: &dyn Machine,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
    (section, offset): (u32, u64),
    planned: &PlannedDetour,
) -> Result<(), Misfit> {
    let ids = (plan.sections[section as usize], plan.detour_table);
    let (Some(id), Some(table)) = ids else {
        return Ok(());
    };
    let range = planned.instruction.start..planned.instruction.end;
    let start = u64::from(planned.number) * plan.detour_size;
    let place = start as usize..(start + plan.detour_size) as usize;
    let entry = plan.entry_offset(planned.symbol).unwrap_or_default();
    let places = Detour {
        start: destination.address(table).value() + start,
        instruction: destination.address(id).value() + range.start as u64,
        entry: addresses.got() + entry,
        field: offset as usize - range.start,
        scratch: planned.instruction.scratch,
        operand: planned.instruction.operand,
        addend: planned.addend,
    };
    let mut instruction = destination.bytes_mut(id)[range.clone()].to_vec();
    let detour = &mut destination.bytes_mut(table)[place];
    machine.write_detour(detour, &mut instruction, &places)?;
    destination.bytes_mut(id)[range].copy_from_slice(&instruction);
    Ok(())
}

#[cold]
fn out_of_reach(
    resolution: &Resolution<'_>,
    section: u32,
    offset: u64,
    (symbol, address): (String, Address),
    misfit: Misfit,
) -> Error {
    let (object, section) = resolution.section(section);
    let (distance, limit) = match misfit {
        Misfit::Range { value, limit } => (value, limit),
        Misfit::Alignment { value, align } => (value, align.into()),
    };
    Error::OutOfReach {
        reference: Box::new(Reference {
            object: object.graph.name().to_owned(),
            section: section.name().to_owned(),
            offset,
            symbol,
            ..Reference::default()
        }),
        address,
        distance,
        limit,
    }
}
