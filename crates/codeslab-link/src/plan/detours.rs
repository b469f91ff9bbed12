//! Detours for direct references that no place of the image satisfies together: `stderr` lies in the program, `optind` in a library far
//! above it, and plain `cc -c` code names both by their distance.
//!
//! Where the machine can rewrite the instruction, the reference goes through a GOT entry and binds the image no more. That costs a few
//! nanoseconds each time, so it is done only for links that would fail without. What cannot be rewritten still binds the image, and the
//! error that follows names it.

use super::direct::Direct;
use super::needs::Needs;
use crate::arch::formula::Origin;
use crate::arch::machine::{Instruction, OperandForm};
use crate::error::{Resource, Result};
use crate::graph::{Content, Definition, SymbolKind};
use crate::resolve::{Resolution, TargetId};
use codeslab::Protection;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// An instruction that takes a detour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedDetour {
    pub(crate) instruction: Instruction,
    pub(crate) symbol: TargetId,
    pub(crate) addend: i64,
    /// Which of the detours it is.
    pub(crate) number: u32,
}

/// The detours of a link, by section and by the field in it.
pub(crate) type Detours = HashMap<(u32, u64), PlannedDetour, RandomState>;

/// Gives detours to those of the references that are `chosen` and can have one; the others are left in `directs`.
pub(super) fn make(
    needs: &mut Needs,
    resolution: &Resolution<'_>,
    directs: &mut Vec<Direct>,
    detours: &mut Detours,
    chosen: OperandForm,
) -> Result<()> {
    if resolution.machine.detour_size() == 0 {
        return Ok(());
    }
    // By section, in the order of their fields.
    directs.sort_by_key(|direct| (direct.section, direct.offset));
    let mut rest = Vec::new();
    for section in directs.chunk_by(|one, other| one.section == other.section) {
        let found = in_section(resolution, section)?;
        for (direct, instruction) in section.iter().zip(found) {
            let is_fixed = !needs.slots.is_canonical(direct.symbol);
            let is_chosen = is_fixed && form_of(direct) == Some(chosen);
            match instruction.filter(|one| is_chosen && is_of(one.operand, chosen)) {
                Some(instruction) => {
                    needs.slots.need_entry(direct.symbol);
                    let detour = PlannedDetour {
                        instruction,
                        symbol: direct.symbol,
                        addend: direct.addend,
                        number: detours.len() as u32,
                    };
                    detours.insert((direct.section, direct.offset), detour);
                }
                None => rest.push(*direct),
            }
        }
    }
    *directs = rest;
    Ok(())
}

/// Whether an operand is of a form: an address that is too long may be one that something lies at, or be wanted itself.
fn is_of(operand: OperandForm, form: OperandForm) -> bool {
    operand == form || form == OperandForm::Address && operand == OperandForm::Value
}

/// What an instruction must look like that a reference is the operand of, if the reference can be too short.
fn form_of(direct: &Direct) -> Option<OperandForm> {
    match direct.row.formula.origin {
        Origin::P => Some(OperandForm::Distance),
        _ if !direct.fits_anywhere() => Some(OperandForm::Address),
        _ => None,
    }
}

/// The instructions around references of one section.
fn in_section(resolution: &Resolution<'_>, directs: &[Direct]) -> Result<Vec<Option<Instruction>>> {
    let none = vec![None; directs.len()];
    let Some(first) = directs.first() else {
        return Ok(none);
    };
    let (object, section) = resolution.section(first.section);
    let Content::Bytes(code) = &section.content else {
        return Ok(none);
    };
    if section.protection != Protection::ReadExecute {
        return Ok(none);
    }
    let name = object.graph.name();
    let symbols = object.graph.symbols();
    let steps = symbols.len() + code.len() + section.relocations().len();
    resolution
        .budget
        .spend(Resource::Steps, steps as u64, name)?;
    let number = first.section - object.first_section;
    let functions = symbols.iter().filter_map(|symbol| match symbol.definition {
        Definition::Section { section, offset } => {
            let is_here = section.0 == number && symbol.kind == SymbolKind::Function;
            is_here.then_some(offset as usize)
        }
        _ => None,
    });
    let mut starts: Vec<usize> = functions.collect();
    starts.sort_unstable();
    let fields: Vec<usize> = directs
        .iter()
        .map(|direct| direct.offset as usize)
        .collect();
    let distances = section.relocations().iter();
    let distances = distances.filter(|one| one.kind.row().formula.origin == Origin::P);
    let distances = distances.map(|one| one.offset as usize);
    let mut bound: Vec<usize> = distances.chain(fields.iter().copied()).collect();
    bound.sort_unstable();
    bound.dedup();
    let found = resolution.machine.instructions(code, &starts, &fields);
    // Another field of the instruction is moved as it is filled in, unless it wants a detour as well, or holds a distance: that is made anew
    // only where it is beside a value.
    let is_alone = |one: &Instruction| {
        let offsets = match one.operand {
            OperandForm::Value => &fields,
            OperandForm::Distance | OperandForm::Address => &bound,
        };
        let first = offsets.partition_point(|offset| *offset < one.start);
        offsets.get(first + 1).is_none_or(|next| *next >= one.end)
    };
    Ok(found.into_iter().map(|one| one.filter(is_alone)).collect())
}
