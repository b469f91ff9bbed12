//! Compact unwind information (`__LD,__compact_unwind`): what it says becomes an unwind table.
//!
//! It is for the dynamic linker of Apple's systems, which looks it up in files that it loaded; nobody can be told of it for an image. Of
//! unwind tables anybody can. So for each function that `__eh_frame` does not describe, the frame that its number stands for is written as
//! that table would have it, into a section more, which goes the way of all such tables from there.
//!
//! An entry is 32 bytes: the function, how long it is, the number, its personality, and what that reads. Three of them are addresses, which
//! relocations fill in.

use super::file::{ENDIAN, Loaded, MachObject, Section};
use super::sections::obstruct;
use super::symbols::Indices;
use crate::arch::RowId;
use crate::arch::compact::{Compact, CompactForm, Frame};
use crate::arch::machine::{VARIANT, address};
use crate::error::{Feature, Reference, Resource, Result};
use crate::graph::{
    Binding, Content, Definition, Graph, GraphSection, Purpose, Relocation, RelocationKind,
    SectionIndex, Symbol, SymbolIndex,
};
use crate::unwind::describe::{Common, Describer};
use crate::unwind::pointers;
use codeslab::Protection;
use foldhash::fast::RandomState;
use object::macho::{GENERIC_RELOC_VANILLA, RelocationInfo};
use object::read::macho::Section as _;
use std::collections::{HashMap, HashSet};

const NAME: (&[u8], &[u8]) = (b"__LD", b"__compact_unwind");

/// Bytes of an entry, and where in it its parts are.
const ENTRY: usize = 32;
const LENGTH: usize = 8;
const NUMBER: usize = 12;
const PERSONALITY: u64 = 16;
const HANDLED: u64 = 24;

/// A function, or something else in the object: its section, and bytes from the start of that.
type Place = (SectionIndex, u64);

/// What an address in an entry leads to.
#[derive(Clone, Copy, Debug)]
struct Meant {
    symbol: SymbolIndex,
    addend: i64,
}

/// An entry, but for the function.
#[derive(Clone, Copy, Debug)]
struct Entry {
    length: u32,
    number: u32,
    personality: Option<SymbolIndex>,
    handled: Option<Meant>,
}

/// Adds an unwind table for the functions that nothing else describes.
pub(super) fn add(
    graph: &mut Graph<'_>,
    object: &MachObject<'_, '_>,
    loaded: &Loaded,
    indices: &Indices,
) -> Result<()> {
    let is_compact = |section: &&&Section| (section.segment_name(), section.name()) == NAME;
    let sections: Vec<&Section> = object.sections.iter().filter(is_compact).copied().collect();
    if sections.is_empty() {
        return Ok(());
    }
    let types = &object.types;
    let form = types.machine.compact_form();
    let rows = form.and_then(|form| {
        let distance = types.row(address::DISTANCE * VARIANT)?;
        Some((form, distance, types.row(form.got_distance)?))
    });
    let Some((form, distance, got)) = rows else {
        refuse(graph, 0);
        return Ok(());
    };
    let mut table = Table {
        described: described(graph, object)?,
        indices,
        section_symbols: section_symbols(loaded, indices),
        form,
        distance,
        got,
        describer: Describer::new(form),
        commons: HashMap::default(),
        personalities: HashMap::default(),
        relocations: Vec::new(),
    };
    for section in sections {
        table.read(graph, object, section)?;
    }
    table.finish(graph, object)
}

/// Notes that an entry cannot be made use of.
fn refuse(graph: &mut Graph<'_>, offset: u64) {
    let reference = Reference {
        object: graph.name().to_owned(),
        section: "__LD,__compact_unwind".to_owned(),
        offset,
        ..Reference::default()
    };
    obstruct(graph, Feature::CompactUnwind, reference);
}

/// The symbol that stands for each section of the graph.
fn section_symbols(
    loaded: &Loaded,
    indices: &Indices,
) -> HashMap<SectionIndex, SymbolIndex, RandomState> {
    let both = loaded.iter().zip(&indices.sections);
    both.filter_map(|(section, symbol)| Some(((*section)?, (*symbol)?)))
        .collect()
}

/// Where a symbol, and so many bytes behind it, lies in the object.
fn place(graph: &Graph<'_>, meant: Meant) -> Option<Place> {
    match graph.symbols()[meant.symbol.0 as usize].definition {
        Definition::Section { section, offset } => {
            Some((section, offset.checked_add_signed(meant.addend)?))
        }
        _ => None,
    }
}

/// Where the functions begin that unwind tables of the object describe.
fn described(
    graph: &Graph<'_>,
    object: &MachObject<'_, '_>,
) -> Result<HashSet<Place, RandomState>> {
    let mut found = HashSet::default();
    let tables = graph.sections().iter();
    for table in tables.filter(|section| section.purpose == Purpose::UnwindTable) {
        let Content::Bytes(bytes) = &table.content else {
            continue;
        };
        let relocations = table.relocations.iter();
        let steps = bytes.len() as u64 + table.relocations.len() as u64;
        object.budget.spend(Resource::Steps, steps, graph.name())?;
        // The last one at an offset says what is there; one before it what is subtracted.
        let at: HashMap<u64, &Relocation, RandomState> =
            relocations.map(|one| (one.offset, one)).collect();
        let functions = pointers(bytes);
        let functions = functions.iter().filter(|pointer| !pointer.is_for_handler);
        found.extend(functions.filter_map(|pointer| {
            let relocation = at.get(&(pointer.at as u64))?;
            let (symbol, addend) = (relocation.symbol, relocation.addend);
            place(graph, Meant { symbol, addend })
        }));
    }
    Ok(found)
}

/// The table on its way.
struct Table<'t> {
    described: HashSet<Place, RandomState>,
    indices: &'t Indices,
    section_symbols: HashMap<SectionIndex, SymbolIndex, RandomState>,
    form: &'static CompactForm,
    distance: RowId,
    got: RowId,
    describer: Describer,
    /// What functions of each personality have in common.
    commons: HashMap<Option<SymbolIndex>, Common, RandomState>,
    /// The symbols of personalities that entries name by their places.
    personalities: HashMap<Place, SymbolIndex, RandomState>,
    relocations: Vec<Relocation>,
}

impl Table<'_> {
    /// Reads all entries of a section.
    fn read(
        &mut self,
        graph: &mut Graph<'_>,
        object: &MachObject<'_, '_>,
        section: &Section,
    ) -> Result<()> {
        let bytes = object.section_data(graph, section)?;
        let relocations = section.relocations(ENDIAN, object.bytes);
        let relocations = relocations.map_err(|error| graph.malformed(error.to_string()))?;
        let steps = (bytes.len() / ENTRY + relocations.len()) as u64;
        object.budget.spend(Resource::Steps, steps, graph.name())?;
        let mut meant =
            HashMap::with_capacity_and_hasher(relocations.len(), RandomState::default());
        for relocation in relocations {
            let relocation = relocation.info(ENDIAN);
            let at = u64::from(relocation.r_address);
            meant.insert(at, self.meant(graph, object, bytes, &relocation)?);
        }
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(graph.malformed("compact unwind information ends within an entry"));
        }
        for (entry, start) in entries.iter().zip((0_u64..).step_by(ENTRY)) {
            let word = |at: usize| {
                entry[at..]
                    .first_chunk()
                    .map_or(0, |word| u32::from_le_bytes(*word))
            };
            let Some(function) = meant.get(&start) else {
                return Err(graph.malformed("compact unwind information is of no function"));
            };
            let personality = match meant.get(&(start + PERSONALITY)) {
                Some(personality) => Some(self.personality(graph, object, *personality)?),
                None => None,
            };
            let entry = Entry {
                length: word(LENGTH),
                number: word(NUMBER),
                personality,
                handled: meant.get(&(start + HANDLED)).copied(),
            };
            self.describe(graph, *function, &entry, start)?;
        }
        Ok(())
    }

    /// What a relocation says of the address that it fills in.
    fn meant(
        &self,
        graph: &Graph<'_>,
        object: &MachObject<'_, '_>,
        bytes: &[u8],
        relocation: &RelocationInfo,
    ) -> Result<Meant> {
        let at = relocation.r_address as usize;
        let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let is_address = relocation.r_type == GENERIC_RELOC_VANILLA
            && relocation.r_length == 3
            && !relocation.r_pcrel;
        let (Some(field), true) = (field, is_address) else {
            return Err(
                graph.malformed("compact unwind information has a relocation of no address")
            );
        };
        let held = u64::from_le_bytes(*field);
        let start = if relocation.r_extern {
            0
        } else {
            object.start_of(relocation)
        };
        Ok(Meant {
            symbol: self.indices.named(graph, relocation)?,
            addend: held.wrapping_sub(start).cast_signed(),
        })
    }

    /// The symbol of a personality.
    fn personality(
        &mut self,
        graph: &mut Graph<'_>,
        object: &MachObject<'_, '_>,
        meant: Meant,
    ) -> Result<SymbolIndex> {
        let symbol = &graph.symbols()[meant.symbol.0 as usize];
        if meant.addend == 0 && symbol.binding != Binding::Local {
            return Ok(meant.symbol);
        }
        let Some(place) = place(graph, meant) else {
            return Err(graph.malformed("a personality lies outside of its object"));
        };
        if let Some(known) = self.personalities.get(&place) {
            return Ok(*known);
        }
        object.budget.spend(Resource::Symbols, 1, graph.name())?;
        let (section, offset) = place;
        let definition = Definition::Section { section, offset };
        let symbol = Symbol::new("", definition).with_binding(Binding::Local);
        let symbol = graph.add_symbol_anywhere(symbol)?;
        self.personalities.insert(place, symbol);
        Ok(symbol)
    }

    /// Describes a function, unless something does already. `start` is where its entry begins.
    fn describe(
        &mut self,
        graph: &mut Graph<'_>,
        function: Meant,
        entry: &Entry,
        start: u64,
    ) -> Result<()> {
        let Some(place) = place(graph, function) else {
            // It is in a section that is not loaded; what another object defines is not described here.
            let definition = graph.symbols()[function.symbol.0 as usize].definition;
            return if definition == Definition::Discarded {
                Ok(())
            } else {
                Err(graph.malformed("compact unwind information is of a function elsewhere"))
            };
        };
        if entry.handled.is_some() && entry.personality.is_none() {
            let reason = "compact unwind information says what a personality reads, and names none";
            return Err(graph.malformed(reason));
        }
        let code = code(graph, place, entry.length);
        let code = code.ok_or_else(|| graph.malformed("a function is longer than its section"))?;
        let read = (self.form.read)(entry.number, code);
        if entry.length == 0 || !self.described.insert(place) {
            return Ok(());
        }
        match read {
            Some(Compact::Frame(frame)) => self.add(place, entry, &frame),
            Some(Compact::Nothing | Compact::InTable) if entry.handled.is_none() => {}
            _ => refuse(graph, start),
        }
        Ok(())
    }

    /// Adds a function to the table.
    fn add(&mut self, (section, offset): Place, entry: &Entry, frame: &Frame) {
        let Some(&symbol) = self.section_symbols.get(&section) else {
            return;
        };
        let common = self.common(entry.personality);
        let at = self.describer.describe(common, entry.length.into(), frame);
        self.relocate(at.function, self.distance, symbol, offset.cast_signed());
        if let Some(handled) = entry.handled {
            self.relocate(at.handled, self.distance, handled.symbol, handled.addend);
        }
    }

    /// What functions of a personality have in common.
    fn common(&mut self, personality: Option<SymbolIndex>) -> Common {
        if let Some(common) = self.commons.get(&personality) {
            return *common;
        }
        let common = self.describer.common(personality.is_some());
        self.commons.insert(personality, common);
        if let Some((at, symbol)) = common.personality.zip(personality) {
            // The distance counts from the start of the field.
            let past = self.got.row().formula.addend(0).wrapping_neg();
            self.relocate(at, self.got, symbol, past);
        }
        common
    }

    fn relocate(&mut self, offset: u64, row: RowId, symbol: SymbolIndex, addend: i64) {
        self.relocations.push(Relocation {
            offset,
            kind: RelocationKind::of(row),
            symbol,
            addend,
        });
    }

    fn finish(self, graph: &mut Graph<'_>, object: &MachObject<'_, '_>) -> Result<()> {
        let bytes = self.describer.finish();
        if bytes.is_empty() {
            return Ok(());
        }
        let cost = (bytes.len() + self.relocations.len() * size_of::<Relocation>()) as u64;
        object.budget.spend(Resource::Bytes, cost, graph.name())?;
        let content = Content::Bytes(bytes.into());
        let section = GraphSection::new("__TEXT,__eh_frame", Protection::ReadOnly, 8, content);
        let section = graph.add_section(section.describing_code())?;
        graph.add_relocations(section, self.relocations)
    }
}

/// The code of a function; `None` if it is not all code of its section.
fn code<'g>(graph: &'g Graph<'_>, (section, offset): Place, length: u32) -> Option<&'g [u8]> {
    let section = &graph.sections()[section.0 as usize];
    let Content::Bytes(bytes) = &section.content else {
        return None;
    };
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(length as usize)?;
    let is_code = section.protection() == Protection::ReadExecute;
    bytes.get(start..end).filter(|_| is_code)
}
