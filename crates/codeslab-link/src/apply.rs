//! Contents and relocations, written once, straight to where they are published from. After this no byte changes.

use crate::arch::formula::{DoesNotFit, Formula, Row, Terms};
use crate::arch::linked::{self, Operand};
use crate::error::{Error, Reference, Result};
use crate::graph::{Content, Relocation, Section};
use crate::plan::Plan;
use crate::resolve::{Object, Place, Resolution, TargetId};
use codeslab::{Address, InFlightAllocation, Protection, SectionId};

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// By section, counted over all objects; 0 for those that are left out.
    sections: Vec<u64>,
    /// By target.
    targets: Vec<u64>,
    got: u64,
    stubs: u64,
}

impl Addresses {
    /// Reads the addresses off the allocation.
    pub(crate) fn of(
        resolution: &Resolution<'_>,
        plan: &Plan,
        in_flight: &InFlightAllocation,
    ) -> Self {
        let address = |id: SectionId| address_in(plan, in_flight, id).value();
        let optional = |id: Option<SectionId>| id.map_or(0, address);
        let sections: Vec<u64> = plan.sections.iter().map(|id| optional(*id)).collect();
        let got = optional(plan.got);
        let targets = resolution.targets.iter().map(|target| match target.place {
            Place::Section { section, offset } => sections[section as usize] + offset,
            Place::Absolute(value) => value,
            Place::Got => got,
            Place::Common { .. } | Place::Nowhere | Place::Discarded => 0,
        });
        let mut targets: Vec<u64> = targets.collect();
        for &(id, section) in &plan.commons {
            targets[id.0 as usize] = address(section);
        }
        let stubs = optional(plan.stubs);
        for (target, slots) in targets.iter_mut().zip(&plan.slots) {
            if let Some(offset) = slots.stub_offset().filter(|_| slots.is_canonical()) {
                *target = stubs + offset;
            }
        }
        Self {
            sections,
            targets,
            got,
            stubs,
        }
    }

    /// Where a target is.
    pub(crate) fn target(&self, id: TargetId) -> Address {
        Address::new(self.targets[id.0 as usize])
    }
}

/// An empty section in an otherwise empty segment is nowhere; any address within reach serves it.
fn address_in(plan: &Plan, in_flight: &InFlightAllocation, id: SectionId) -> Address {
    if plan.layout.segment(plan.layout.section(id).protection).size > 0 {
        return in_flight.address(id);
    }
    let segments = Protection::ALL.into_iter();
    let mut present = segments.filter(|protection| plan.layout.segment(*protection).size > 0);
    present
        .find_map(|protection| in_flight.segment_address(protection))
        .unwrap_or_default()
}

/// Writes every section, the GOT and the stubs.
///
/// # Errors
/// [`Error::OutOfReach`] and [`Error::Overflow`].
pub(crate) fn write(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    in_flight: &mut InFlightAllocation,
) -> Result<()> {
    for (object, section, number) in resolution.live_sections() {
        let Some(id) = plan.sections[number as usize] else {
            continue;
        };
        let writer = SectionWriter {
            resolution,
            plan,
            addresses,
            object,
            section,
            address: addresses.sections[number as usize],
        };
        writer.write(in_flight, id)?;
    }
    write_got(resolution, plan, addresses, in_flight);
    write_stubs(resolution, plan, addresses, in_flight)
}

fn write_got(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    in_flight: &mut InFlightAllocation,
) {
    let Some(id) = plan.got else { return };
    let bytes = in_flight.bytes_mut(id);
    bytes.fill(0);
    for (slots, address) in plan.slots.iter().zip(&addresses.targets) {
        if let Some(offset) = slots.got_offset() {
            store(bytes, offset, &address.to_le_bytes());
        }
    }
    for (slots, target) in plan.slots.iter().zip(&resolution.targets) {
        if let (Some(offset), Place::Absolute(function)) = (slots.function_offset(), target.place) {
            store(bytes, offset, &function.to_le_bytes());
        }
    }
}

fn write_stubs(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    in_flight: &mut InFlightAllocation,
) -> Result<()> {
    let Some(id) = plan.stubs else { return Ok(()) };
    let bytes = in_flight.bytes_mut(id);
    for (slots, target) in plan.slots.iter().zip(0..) {
        if let (Some(stub), Some(entry)) = (slots.stub_offset(), slots.stub_entry_offset()) {
            let at = addresses.stubs + stub;
            let entry = addresses.got + entry;
            let code = linked::stub(at, entry)
                .ok_or_else(|| stub_out_of_reach(resolution, TargetId(target), at, entry))?;
            store(bytes, stub, &code);
        }
    }
    Ok(())
}

fn stub_out_of_reach(resolution: &Resolution<'_>, id: TargetId, stub: u64, entry: u64) -> Error {
    Error::OutOfReach {
        reference: Box::new(Reference {
            object: "stubs".to_owned(),
            symbol: resolution.name_of(id),
            ..Reference::default()
        }),
        address: Address::new(entry),
        distance: i128::from(entry) - i128::from(stub),
        limit: i32::MAX.into(),
    }
}

/// One section on its way into memory.
struct SectionWriter<'w, 'a> {
    resolution: &'w Resolution<'a>,
    plan: &'w Plan,
    addresses: &'w Addresses,
    object: &'w Object<'a>,
    section: &'w Section<'a>,
    address: u64,
}

impl SectionWriter<'_, '_> {
    fn write(&self, in_flight: &mut InFlightAllocation, id: SectionId) -> Result<()> {
        match &self.section.content {
            // Zero already, and untouched memory costs nothing.
            Content::Zeros(_) if self.section.protection == Protection::ReadWrite => Ok(()),
            Content::Zeros(_) => {
                in_flight.bytes_mut(id).fill(0);
                Ok(())
            }
            Content::Bytes(content) => {
                let bytes = in_flight.bytes_mut(id);
                bytes.copy_from_slice(content);
                self.section
                    .relocations
                    .iter()
                    .try_for_each(|relocation| self.relocate(bytes, relocation))
            }
        }
    }

    fn relocate(&self, bytes: &mut [u8], relocation: &Relocation) -> Result<()> {
        let row = relocation.kind.row();
        let id = self.resolution.target_of(self.object, relocation);
        let value = match self.resolution.target(id).place {
            // Only unwind entries may refer there: 0 makes them cover nothing that runs.
            Place::Discarded => 0,
            _ if self.relax(bytes, relocation, row, id) => return Ok(()),
            _ => row.formula.value(&self.terms(relocation, row, id)),
        };
        row.store(bytes, relocation.offset, value)
            .map_err(|reason| self.does_not_fit(relocation, row, id, reason))
    }

    /// Whether the instruction was rewritten to do without its GOT entry, which leaves no field to fill in.
    fn relax(&self, bytes: &mut [u8], relocation: &Relocation, row: &Row, id: TargetId) -> bool {
        // With another addend it is not the entry itself that is used.
        row.formula == Formula::GotRelative
            && relocation.addend == -4
            && linked::relax(
                bytes,
                relocation.kind,
                Operand {
                    offset: relocation.offset as usize,
                    place: self.address + relocation.offset,
                    symbol: self.addresses.targets[id.0 as usize],
                },
            )
    }

    #[inline]
    fn terms(&self, relocation: &Relocation, row: &Row, id: TargetId) -> Terms {
        let symbol = self.addresses.targets[id.0 as usize].into();
        let mut terms = Terms {
            S: symbol,
            A: relocation.addend.into(),
            P: (self.address + relocation.offset).into(),
            L: symbol,
            GOT: self.addresses.got.into(),
            ..Terms::default()
        };
        match row.formula {
            // The stub is bypassed where the symbol itself is in reach.
            Formula::Branch if !row.values.contains(row.formula.value(&terms)) => {
                terms.L = self.stub(id).unwrap_or(symbol);
            }
            Formula::GotOffset | Formula::GotRelative => {
                let offset = self.plan.slots[id.0 as usize].got_offset();
                terms.G = offset.unwrap_or_default().into();
            }
            Formula::Size => terms.Z = self.size_of(id).into(),
            _ => {}
        }
        terms
    }

    fn stub(&self, id: TargetId) -> Option<i128> {
        let offset = self.plan.slots[id.0 as usize].stub_offset()?;
        Some((self.addresses.stubs + offset).into())
    }

    fn size_of(&self, id: TargetId) -> u64 {
        let target = self.resolution.target(id);
        let object = &self.resolution.objects[target.object as usize];
        match target.place {
            Place::Common { size, .. } => size,
            _ => object.graph.symbols()[target.symbol as usize].size,
        }
    }

    #[cold]
    fn does_not_fit(
        &self,
        relocation: &Relocation,
        row: &Row,
        id: TargetId,
        DoesNotFit { value, limit }: DoesNotFit,
    ) -> Error {
        let reference = Box::new(self.object.graph.reference(self.section, relocation));
        let address = self.addresses.target(id);
        if row.formula.is_distance() {
            Error::OutOfReach {
                reference,
                address,
                distance: value,
                limit,
            }
        } else {
            Error::Overflow {
                reference,
                address,
                value,
                limit,
            }
        }
    }
}

/// Writes `field` at `offset`, which the plan keeps inside the table.
fn store(bytes: &mut [u8], offset: u64, field: &[u8]) {
    let start = offset as usize;
    bytes[start..start + field.len()].copy_from_slice(field);
}
