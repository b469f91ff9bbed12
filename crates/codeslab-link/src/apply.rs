//! Contents and relocations, written once, straight to where they are published from. After this no byte changes.
//!
//! Every address is known now. Each section is copied and its relocations are applied row by row: terms, value, field; then the GOT and the
//! stubs are written, whose bytes the machine knows. All of it is safe code over `&mut [u8]`. What does not fit is an error that names the
//! relocation; the caller drops the allocation then.

mod relax;

use crate::arch::formula::{Term, Terms};
use crate::arch::plain::Plain;
use crate::arch::row::{Far, Misfit, Row};
use crate::destination::{Destination, part};
use crate::error::{Error, Reference, Result};
use crate::graph::{Content, GraphSection, Relocation};
use crate::plan::Plan;
use crate::plan::thread_local::ENTRY_SIZE;
use crate::resolve::{Edge, Object, Place, Resolution, TargetId};
use codeslab::{Address, Protection, SectionId};
use codeslab_runtime::Indirect;
use std::cell::OnceCell;

/// The segments in the order of their numbers.
const SEGMENTS: [Protection; 3] = [
    Protection::ReadExecute,
    Protection::ReadOnly,
    Protection::ReadWrite,
];

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// By section, counted over all objects; 0 for those that are left out, and an offset in the template for thread-local ones.
    sections: Vec<u64>,
    /// By target; an offset in the template for thread-local variables.
    targets: Vec<u64>,
    got: u64,
    stubs: u64,
    indirects: u64,
    thread_table: u64,
    /// What image-relative addresses count from.
    image: u64,
    /// Where code, constants and data begin and how many bytes they have.
    segments: [(u64, u64); 3],
    /// What the dynamic linker says of thread-local variables, by the number of their entry.
    thread_words: Vec<[u64; 2]>,
    /// Whether there are targets in sections that are left out.
    has_discarded: bool,
}

impl Addresses {
    /// The address of a section, counted over all objects; `None` for those that are left out.
    pub(crate) fn section(&self, number: u32) -> Option<u64> {
        let address = self.sections.get(number as usize).copied();
        address.filter(|address| *address > 0)
    }

    /// Reads the addresses off the allocation.
    pub(crate) fn of(
        resolution: &Resolution<'_>,
        plan: &Plan,
        destination: &impl Destination,
    ) -> Self {
        let address = |id: SectionId| address_in(plan, destination, id).value();
        let optional = |id: Option<SectionId>| id.map_or(0, address);
        let mut sections: Vec<u64> = plan.sections.iter().map(|id| optional(*id)).collect();
        for &(number, offset) in &plan.template.sections {
            sections[number as usize] = offset;
        }
        let got = optional(plan.got);
        let mut has_discarded = false;
        let targets = resolution.targets.iter().map(|target| match target.place {
            Place::Section { section, offset }
            | Place::Indirect { section, offset }
            | Place::ThreadLocal { section, offset } => {
                sections[section as usize].wrapping_add(offset)
            }
            Place::Absolute(value) => value,
            Place::Got => got,
            Place::Image => destination.block().first().value(),
            Place::Edge(edge) => address_of(edge, plan, destination),
            Place::Discarded => {
                has_discarded = true;
                0
            }
            _ => 0,
        });
        let mut targets: Vec<u64> = targets.collect();
        for &(id, section) in &plan.commons {
            targets[id.0 as usize] = address(section);
        }
        for (copy, section) in &plan.copies {
            targets[copy.symbol.0 as usize] = address(*section);
        }
        for &(id, offset) in &plan.template.commons {
            targets[id.0 as usize] = offset;
        }
        let stubs = optional(plan.stubs);
        for id in plan.slot_targets() {
            if let Some(offset) = plan.canonical_offset(id) {
                targets[id.0 as usize] = stubs + offset;
            }
        }
        Self {
            sections,
            targets,
            got,
            stubs,
            indirects: optional(plan.indirects),
            thread_table: optional(plan.thread_table),
            image: destination.block().first().value(),
            segments: SEGMENTS.map(|protection| {
                let start = destination.segment_address(protection);
                let size = plan.layout.segment(protection).size;
                (start.unwrap_or_default().value(), size)
            }),
            thread_words: Vec::new(),
            has_discarded,
        }
    }

    /// Takes what the dynamic linker says of thread-local variables, by the number of their entry.
    pub(crate) fn learn(&mut self, thread_words: Vec<[u64; 2]>) {
        self.thread_words = thread_words;
    }

    /// How far from the start of a thread's copy one of the image's own variables lies, in bytes.
    pub(crate) fn thread_offset(&self, id: TargetId) -> u64 {
        self.targets[id.0 as usize]
    }

    /// Where the resolver of an indirect function is, and the entry that it fills in.
    pub(crate) fn indirect(&self, plan: &Plan, id: TargetId, place: Place) -> Option<Indirect> {
        let Place::Indirect { section, offset } = place else {
            return None;
        };
        let entry = self.indirects + plan.hidden_entry_offset(id)?;
        Some(Indirect {
            resolver: Address::new(self.sections[section as usize].wrapping_add(offset)),
            entry: Address::new(entry),
        })
    }

    /// The number of the segment that an address lies in, or ends, counted from 1, and where that begins. 0 for an address elsewhere.
    fn segment(&self, address: u64) -> (i128, i128) {
        let mut segments = (1..).zip(&self.segments);
        let found = segments.find(|(_, (start, size))| {
            let offset = address.checked_sub(*start);
            *size > 0 && offset.is_some_and(|offset| offset <= *size)
        });
        found.map_or((0, 0), |(number, (start, _))| (number, (*start).into()))
    }

    /// Where the table of entries is that are filled in when all else is constant, or later.
    pub(crate) const fn indirects(&self) -> u64 {
        self.indirects
    }

    /// Where the GOT is.
    pub(crate) const fn got(&self) -> u64 {
        self.got
    }

    /// Where a target is.
    pub(crate) fn target(&self, id: TargetId) -> Address {
        Address::new(self.targets[id.0 as usize])
    }
}

/// Where an end of the image's memory is. What the image does not have is empty, anywhere.
fn address_of(edge: Edge, plan: &Plan, destination: &impl Destination) -> u64 {
    let protection = match edge {
        Edge::CodeStart | Edge::CodeEnd => Protection::ReadExecute,
        Edge::ValuesEnd | Edge::DataEnd => Protection::ReadWrite,
    };
    let size = plan.layout.segment(protection).size;
    let offset = match edge {
        Edge::CodeStart => 0,
        Edge::ValuesEnd => plan.values_end,
        Edge::CodeEnd | Edge::DataEnd => size,
    };
    segment(plan, destination, protection).value() + offset
}

/// Where the sections of a protection begin; any address of the image if there are none.
fn segment(plan: &Plan, destination: &impl Destination, protection: Protection) -> Address {
    let segments = [protection].into_iter().chain(Protection::ALL);
    let mut present = segments.filter(|protection| plan.layout.segment(*protection).size > 0);
    present
        .find_map(|protection| destination.segment_address(protection))
        .unwrap_or_default()
}

/// An empty section in an otherwise empty segment is nowhere; any address within reach serves it.
fn address_in(plan: &Plan, destination: &impl Destination, id: SectionId) -> Address {
    let protection = plan.layout.section(id).protection;
    if plan.layout.segment(protection).size > 0 {
        return destination.address(id);
    }
    segment(plan, destination, protection)
}

/// Writes every section, the GOT and the stubs.
///
/// # Errors
/// [`Error::OutOfReach`] and [`Error::Overflow`].
pub(crate) fn write(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
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
            number,
            address: addresses.sections[number as usize],
            is_paired: OnceCell::new(),
        };
        writer.write(destination, id)?;
    }
    for (copy, id) in &plan.copies {
        destination.bytes_mut(*id).copy_from_slice(&copy.bytes);
    }
    write_got(resolution, plan, addresses, destination);
    write_thread_table(plan, addresses, destination);
    write_stubs(resolution, plan, addresses, destination)
}

/// What every thread begins with a copy of, as far as it is not zero.
///
/// # Errors
/// [`Error::OutOfReach`] and [`Error::Overflow`].
pub(crate) fn template(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
) -> Result<Vec<u8>> {
    let mut template = vec![0; plan.template.initialized_size as usize];
    for &(number, offset) in &plan.template.sections {
        let (object, section) = resolution.section(number);
        let writer = SectionWriter {
            resolution,
            plan,
            addresses,
            object,
            section,
            number,
            address: offset,
            is_paired: OnceCell::new(),
        };
        if let Content::Bytes(content) = &section.content {
            let bytes = part(&mut template, offset, content.len() as u64);
            writer.fill(bytes, content)?;
        }
    }
    Ok(template)
}

fn write_thread_table(plan: &Plan, addresses: &Addresses, destination: &mut impl Destination) {
    let Some(id) = plan.thread_table else { return };
    let bytes = destination.bytes_mut(id);
    bytes.fill(0);
    let words = addresses.thread_words.iter().flatten();
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

fn write_got(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) {
    let Some(id) = plan.got else { return };
    let machine = resolution.machine;
    let bytes = destination.bytes_mut(id);
    bytes.fill(0);
    let mut write = |offset: u64, address: u64| {
        machine.write_entry(part(bytes, offset, machine.entry_size()), address);
    };
    for id in plan.slot_targets() {
        if let Some(offset) = plan.entry_offset(id) {
            write(offset, addresses.targets[id.0 as usize]);
        }
        let hidden = plan.hidden_entry_offset(id);
        let place = resolution.target(id).place;
        if let (Some(offset), Place::Absolute(function)) = (hidden, place) {
            write(offset, function);
        }
    }
}

fn write_stubs(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) -> Result<()> {
    let Some(id) = plan.stubs else { return Ok(()) };
    let machine = resolution.machine;
    let bytes = destination.bytes_mut(id);
    for id in plan.slot_targets() {
        let offsets = (plan.stub_offset(id), plan.stub_entry_offset(id));
        if let (Some(offset), Some(entry)) = offsets {
            let at = addresses.stubs + offset;
            // What lies elsewhere stays there.
            let is_fixed = matches!(resolution.target(id).place, Place::Absolute(_));
            let is_in_data = !is_fixed && plan.hidden_entry_offset(id).is_some();
            let table = if is_in_data {
                addresses.indirects
            } else {
                addresses.got
            };
            let entry = table + entry;
            let stub = part(bytes, offset, machine.stub_size());
            machine.write_stub(stub, at, entry).map_err(|misfit| {
                let reference = Reference {
                    object: "stubs".to_owned(),
                    offset,
                    symbol: resolution.name_of(id),
                    ..Reference::default()
                };
                misfit.error(reference, Address::new(entry), true)
            })?;
        }
    }
    Ok(())
}

/// One section on its way into memory.
struct SectionWriter<'w, 'a> {
    resolution: &'w Resolution<'a>,
    plan: &'w Plan,
    addresses: &'w Addresses,
    object: &'w Object<'a>,
    section: &'w GraphSection<'a>,
    number: u32,
    address: u64,
    /// Whether relocations of pairs of instructions come in pairs, once that was asked.
    is_paired: OnceCell<bool>,
}

impl SectionWriter<'_, '_> {
    fn write(&self, destination: &mut impl Destination, id: SectionId) -> Result<()> {
        match &self.section.content {
            // Zero already, and untouched memory costs nothing.
            Content::Zeros(_)
                if self.plan.layout.section(id).protection == Protection::ReadWrite =>
            {
                Ok(())
            }
            Content::Zeros(_) => {
                destination.bytes_mut(id).fill(0);
                Ok(())
            }
            Content::Bytes(content) => self.fill(destination.bytes_mut(id), content),
        }
    }

    fn fill(&self, bytes: &mut [u8], content: &[u8]) -> Result<()> {
        bytes.copy_from_slice(content);
        let detours = &self.plan.detours;
        let has_detours = !detours.is_empty();
        let may_be_discarded = self.addresses.has_discarded;
        let ids = self.resolution.targets_of(self.object);
        for (index, relocation) in self.section.relocations.iter().enumerate() {
            if has_detours && detours.contains_key(&(self.number, relocation.offset)) {
                continue;
            }
            let plain = relocation.kind.plain();
            let id = ids[relocation.symbol.0 as usize];
            let symbol = self.addresses.targets[id.0 as usize];
            let place = self.address.wrapping_add(relocation.offset);
            let is_there = !may_be_discarded || self.is_there(id);
            let values = (symbol, relocation.addend, place);
            if !is_there || !plain.write(bytes, relocation.offset, values) {
                self.relocate(bytes, (relocation, index), plain, id)?;
            }
        }
        Ok(())
    }

    fn is_there(&self, id: TargetId) -> bool {
        !matches!(self.resolution.target(id).place, Place::Discarded)
    }

    #[inline(never)]
    fn relocate(
        &self,
        bytes: &mut [u8],
        (relocation, index): (&Relocation, usize),
        plain: &Plain,
        id: TargetId,
    ) -> Result<()> {
        let (row, at) = (plain.row, relocation.offset);
        let write = |to| plain.write(bytes, at, (to, relocation.addend, self.address + at));
        let value = match self.resolution.target(id).place {
            // Only what describes code may refer there: 0 makes it cover nothing that runs.
            Place::Discarded => 0,
            // What is too far away, as libraries of the process are.
            _ if plain.is_by_stub && self.stub(id).is_some_and(write) => return Ok(()),
            _ if self.relax(bytes, (relocation, index), row, id) => return Ok(()),
            _ => {
                let mut terms = self.terms(relocation, row, id);
                terms.subtracted = self.subtracted(index);
                row.formula.value(&terms)
            }
        };
        row.write(bytes, relocation.offset, value)
            .map_err(|misfit| self.does_not_fit(relocation, row, id, misfit))
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
            image: self.addresses.image.into(),
            ..Terms::default()
        };
        if row.formula.asks_for_segment() {
            (terms.segment_number, terms.segment) = self
                .addresses
                .segment(self.addresses.targets[id.0 as usize]);
        }
        match row.formula.term {
            // The stub is bypassed where the symbol itself is in reach.
            Term::L if row.far == Far::Stub && !row.range.contains(row.formula.value(&terms)) => {
                terms.L = self.stub(id).map_or(symbol, Into::into);
            }
            Term::G => {
                let offset = self.plan.entry_offset(id).unwrap_or_default();
                terms.G = (self.addresses.got + offset).into();
            }
            term @ (Term::Tls(_) | Term::TpOff) => {
                let number = self.plan.thread_entries.number(term, id);
                let number = number.unwrap_or_default();
                let offset = number as u64 * ENTRY_SIZE;
                terms.G = (self.addresses.thread_table + offset).into();
                let words = self.addresses.thread_words.get(number);
                terms.TP = words.map_or(0, |words| words[0].cast_signed().into());
            }
            Term::Z => terms.Z = self.size_of(id).into(),
            _ => {}
        }
        terms
    }

    /// The address that the relocation before this one names to be subtracted; 0 if it does not.
    fn subtracted(&self, index: usize) -> i128 {
        let before = self.section.relocations[..index].last();
        let named = before.filter(|before| before.kind.row().formula.term == Term::Subtracted);
        let id = named.map(|named| self.resolution.target_of(self.object, named));
        id.map_or(0, |id| self.addresses.targets[id.0 as usize].into())
    }

    #[inline]
    fn stub(&self, id: TargetId) -> Option<u64> {
        let offset = self.plan.stub_offset(id)?;
        Some(self.addresses.stubs + offset)
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
        misfit: Misfit,
    ) -> Error {
        let reference = self.object.graph.reference(self.section, relocation);
        let address = self.addresses.target(id);
        misfit.error(reference, address, row.formula.is_distance())
    }
}
