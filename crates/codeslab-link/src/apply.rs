//! Contents and relocations, written once, straight to where they are published from. After this no byte changes.

use crate::error::{Error, Reference, Result};
use crate::graph::{Content, Relocation, Section};
use crate::plan::Plan;
use crate::relocation::{Formula, Row};
use crate::resolve::{Object, Place, Resolution, TargetId};
use crate::x86_64::{self, Operand};
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
        Self {
            sections,
            targets,
            got,
            stubs: optional(plan.stubs),
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
    let present = segments.filter(|protection| plan.layout.segment(*protection).size > 0);
    present
        .filter_map(|protection| in_flight.segment_address(protection))
        .next()
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
    write_got(plan, addresses, in_flight);
    write_stubs(resolution, plan, addresses, in_flight)
}

fn write_got(plan: &Plan, addresses: &Addresses, in_flight: &mut InFlightAllocation) {
    let Some(id) = plan.got else { return };
    let bytes = in_flight.bytes_mut(id);
    bytes.fill(0);
    for (slots, address) in plan.slots.iter().zip(&addresses.targets) {
        if let Some(offset) = slots.got_offset() {
            store(bytes, offset, &address.to_le_bytes());
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
        if let (Some(stub), Some(entry)) = (slots.stub_offset(), slots.got_offset()) {
            let at = addresses.stubs + stub;
            let entry = addresses.got + entry;
            let code = x86_64::stub(at, entry)
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
        let value = match self.value(bytes, relocation, row, id) {
            Value::Field(value) => value,
            Value::Done => return Ok(()),
        };
        if !row.values.contains(value) {
            return Err(self.does_not_fit(relocation, row, id, value));
        }
        // Little-endian, and the range has been checked: the low bytes are the field.
        let field = &value.to_le_bytes()[..usize::from(row.width)];
        store(bytes, relocation.offset, field);
        Ok(())
    }

    #[expect(
        non_snake_case,
        reason = "S, A, P, L, G, GOT and Z are the psABI's names in these formulas"
    )]
    fn value(&self, bytes: &mut [u8], relocation: &Relocation, row: &Row, id: TargetId) -> Value {
        let address = self.addresses.targets[id.0 as usize];
        let place = self.address + relocation.offset;
        let S = i128::from(address);
        let A = i128::from(relocation.addend);
        let P = i128::from(place);
        let GOT = i128::from(self.addresses.got);
        let G = || i128::from(self.plan.slots[id.0 as usize].got_offset().unwrap_or(0));
        if self.resolution.target(id).place == Place::Discarded {
            return Value::Field(0);
        }
        Value::Field(match row.formula {
            Formula::Nothing => return Value::Done,
            Formula::Absolute => S + A,
            Formula::Relative => S + A - P,
            Formula::Branch => {
                let L = if row.values.contains(S + A - P) {
                    S
                } else {
                    self.stub(id).unwrap_or(S)
                };
                L + A - P
            }
            Formula::GotOffset => G() + A,
            Formula::GotRelative => {
                let operand = Operand {
                    offset: relocation.offset as usize,
                    place,
                    symbol: address,
                };
                // With another addend it is not the whole entry that is used.
                if A == -4 && x86_64::relax(bytes, relocation.kind, operand) {
                    return Value::Done;
                }
                G() + GOT + A - P
            }
            Formula::GotBase => GOT + A - P,
            // A 64-bit field reaches without a stub: L is S.
            Formula::FromGot | Formula::BranchFromGot => S + A - GOT,
            Formula::Size => self.size_of(id) + A,
        })
    }

    fn stub(&self, id: TargetId) -> Option<i128> {
        let offset = self.plan.slots[id.0 as usize].stub_offset()?;
        Some(i128::from(self.addresses.stubs + offset))
    }

    fn size_of(&self, id: TargetId) -> i128 {
        let target = self.resolution.target(id);
        let object = &self.resolution.objects[target.object as usize];
        match target.place {
            Place::Common { size, .. } => size.into(),
            _ => object.graph.symbols()[target.symbol as usize].size.into(),
        }
    }

    #[cold]
    fn does_not_fit(&self, relocation: &Relocation, row: &Row, id: TargetId, value: i128) -> Error {
        let reference = Box::new(self.object.graph.reference(self.section, relocation));
        let address = self.addresses.target(id);
        let limit = row.values.limit(value);
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

enum Value {
    /// What the field holds.
    Field(i128),
    /// Nothing is left to write.
    Done,
}

/// Writes `field` at `offset`, which graphs and plans keep inside the section.
fn store(bytes: &mut [u8], offset: u64, field: &[u8]) {
    let start = offset as usize;
    bytes[start..start + field.len()].copy_from_slice(field);
}
