//! Relocations: the tables of the sections that are loaded.
//!
//! Fields hold their addends, which are read out of the section's bytes here: a graph has them beside its fields. Where a type means
//! branches and operands alike, the machine says which it is.

use super::file::{CoffObject, Loaded};
use super::symbols::Indices;
use crate::arch::RowId;
use crate::arch::machine::BRANCHES;
use crate::arch::row::Far;
use crate::error::{Error, Reference, Resource, Result};
use crate::graph::{Content, Graph, Relocation, RelocationKind, SectionIndex};
use object::LittleEndian as LE;
use object::pe::{ImageRelocation, ImageSectionHeader};
use object::read::coff::CoffHeader;
use std::borrow::Cow;

/// Adds the relocations of every loaded section.
pub(super) fn add<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    loaded: &Loaded,
    indices: &Indices,
) -> Result<()> {
    for (header, section) in object.sections.iter().zip(loaded) {
        if let Some(section) = *section {
            add_table(graph, object, header, section, indices)?;
        }
    }
    Ok(())
}

fn add_table<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    header: &'a ImageSectionHeader,
    section: SectionIndex,
    indices: &Indices,
) -> Result<()> {
    let entries = header.coff_relocations(object.bytes);
    let entries = entries.map_err(|error| graph.malformed(error.to_string()))?;
    let count = entries.len() as u64;
    // What the graph holds of an entry is longer than the entry.
    object
        .budget
        .spend(Resource::Bytes, count * 24, graph.name())?;
    let mut relocations = Vec::with_capacity(entries.len());
    let bytes = match &graph.sections()[section.0 as usize].content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::Zeros(_) => Cow::Borrowed(&[][..]),
    };
    for entry in entries {
        // Numbers of addresses in an object begin with that of the section, which is 0.
        let offset = entry.virtual_address.get(LE);
        let start = header.virtual_address.get(LE);
        let offset = u64::from(offset.wrapping_sub(start));
        let Some(row) = row(object, &bytes, entry, offset) else {
            obstruct(graph, section, entry, offset);
            continue;
        };
        let number = entry.symbol_table_index.get(LE);
        let symbol = indices.get(number as usize).copied().flatten();
        let symbol = symbol.ok_or_else(|| no_symbol(graph, number, indices.len()))?;
        relocations.push(Relocation {
            offset,
            kind: RelocationKind::of(row),
            symbol,
            addend: addend(&bytes, offset, row.row().encoding.size()),
        });
    }
    graph.add_relocations(section, relocations)
}

/// What is known of a relocation's type.
fn row<C: CoffHeader>(
    object: &CoffObject<'_, '_, C>,
    bytes: &[u8],
    entry: &ImageRelocation,
    offset: u64,
) -> Option<RowId> {
    let number = u32::from(entry.typ.get(LE).0);
    if number >= BRANCHES {
        return None;
    }
    let row = object.types.row(number)?;
    let machine = object.types.machine;
    if row.row().far == Far::Placement && machine.is_branch(bytes, offset as usize) {
        return object.types.row(number + BRANCHES).or(Some(row));
    }
    Some(row)
}

/// What a field of so many bytes holds, as a signed number; 0 for one that is not there, which the graph refuses.
fn addend(bytes: &[u8], offset: u64, size: u64) -> i64 {
    let field = bytes.get(offset as usize..);
    let field = field.and_then(|rest| rest.get(..size as usize));
    let Some(field) = field.filter(|field| !field.is_empty()) else {
        return 0;
    };
    let is_negative = field.last().is_some_and(|last| *last >= 0x80);
    let mut all = if is_negative { [0xff; 8] } else { [0; 8] };
    all[..field.len()].copy_from_slice(field);
    i64::from_le_bytes(all)
}

fn no_symbol(graph: &Graph<'_>, number: u32, count: usize) -> Error {
    Error::InvalidIndex {
        object: graph.name().to_owned(),
        what: "symbol",
        index: number.into(),
        count: count as u64,
    }
}

/// Notes a relocation of a type that is not known.
fn obstruct(graph: &mut Graph<'_>, section: SectionIndex, entry: &ImageRelocation, offset: u64) {
    if graph.is_obstructed() {
        return;
    }
    let reference = Box::new(Reference {
        object: graph.name().to_owned(),
        section: graph.sections()[section.0 as usize].name().to_owned(),
        offset,
        relocation: format!("type {}", entry.typ.get(LE).0),
        symbol: String::new(),
    });
    graph.obstruct(Error::UnknownRelocation { reference });
}
