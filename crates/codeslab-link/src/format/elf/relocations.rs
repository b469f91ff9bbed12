//! Relocations: the tables of the sections that are loaded.
//!
//! Types are looked up by number in the machine's table (`arch`), offsets and addends are taken as they are; the graph checks that fields
//! lie inside their sections. Tables with explicit addends are read, in the usual form and in the compact one (CREL). Types that cannot be applied become obstacles of the graph.

use super::file::{ENDIAN, ElfObject, Header, Loaded};
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::graph::{Graph, Relocation, RelocationKind, SectionIndex, SymbolIndex};
use object::elf;
use object::read::elf::{Crel, CrelIterator, FileHeader, Rela, SectionHeader};

type ElfSection = <Header as FileHeader>::SectionHeader;

/// Adds the relocations of every loaded section.
pub(super) fn add<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    loaded: &Loaded,
) -> Result<()> {
    for header in object.sections.iter() {
        let is_table = matches!(
            header.sh_type(ENDIAN),
            elf::SHT_RELA | elf::SHT_REL | elf::SHT_CREL
        );
        let section = loaded.get(header.sh_info(ENDIAN) as usize).copied();
        if let (true, Some(Some(section))) = (is_table, section) {
            add_table(graph, object, header, section)?;
        }
    }
    Ok(())
}

fn add_table<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    header: &ElfSection,
    section: SectionIndex,
) -> Result<()> {
    if let Some((entries, symbols)) = header
        .crel(ENDIAN, object.bytes)
        .map_err(|error| graph.malformed(error.to_string()))?
    {
        return add_compact(graph, object, entries, symbols, section);
    }
    let entries = header
        .rela(ENDIAN, object.bytes)
        .map_err(|error| graph.malformed(error.to_string()))?;
    let Some((entries, symbols)) = entries else {
        obstruct_format(graph, section);
        return Ok(());
    };
    if symbols != object.symbols.section() {
        return Err(graph.malformed("a relocation table refers to another symbol table"));
    }
    let count = entries.len() as u64;
    object.budget.spend(Resource::Steps, count, graph.name())?;
    let mut unknown = None;
    let relocations = entries.iter().filter_map(|entry| {
        let Some(row) = object.types.row(entry.r_type(ENDIAN, false).0) else {
            unknown.get_or_insert(entry);
            return None;
        };
        Some(Relocation {
            offset: entry.r_offset(ENDIAN),
            kind: RelocationKind::of(row),
            symbol: SymbolIndex(entry.r_sym(ENDIAN, false)),
            addend: entry.r_addend(ENDIAN),
        })
    });
    graph.add_relocations(section, relocations)?;
    if let Some(entry) = unknown {
        let entry = Crel::from_rela(entry, ENDIAN, false);
        obstruct(graph, object, section, entry);
    }
    Ok(())
}

/// Adds a table in compact form (CREL), whose entries take a few bytes each.
fn add_compact<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    entries: CrelIterator<'a>,
    symbols: object::SectionIndex,
    section: SectionIndex,
) -> Result<()> {
    /// What an entry would take in a table that is not compact, in bytes.
    const ENTRY: u64 = 24;
    if symbols != object.symbols.section() {
        return Err(graph.malformed("a relocation table refers to another symbol table"));
    }
    if !entries.is_rela() {
        obstruct_format(graph, section);
        return Ok(());
    }
    let mut relocations = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| graph.malformed(error.to_string()))?;
        object.budget.spend(Resource::Bytes, ENTRY, graph.name())?;
        match object.types.row(entry.r_type.0) {
            Some(row) => relocations.push(Relocation {
                offset: entry.r_offset,
                kind: RelocationKind::of(row),
                symbol: SymbolIndex(entry.r_sym),
                addend: entry.r_addend,
            }),
            None => obstruct(graph, object, section, entry),
        }
    }
    graph.add_relocations(section, relocations)
}

/// Notes a relocation of a type that cannot be applied.
fn obstruct(graph: &mut Graph<'_>, object: &ElfObject<'_, '_>, section: SectionIndex, entry: Crel) {
    if graph.is_obstructed() {
        return;
    }
    let number = entry.r_type.0;
    let known = object.types.table.unsupported(number);
    let name = known.map_or_else(|| format!("type {number}"), |kind| kind.name.to_owned());
    let reference = Box::new(Reference {
        object: graph.name().to_owned(),
        section: graph.sections()[section.0 as usize].name().to_owned(),
        offset: entry.r_offset,
        relocation: name,
        symbol: graph.symbol_name(SymbolIndex(entry.r_sym)),
    });
    graph.obstruct(match known {
        Some(kind) => Error::Unsupported {
            feature: kind.feature,
            reference,
        },
        None => Error::UnknownRelocation { reference },
    });
}

fn obstruct_format(graph: &mut Graph<'_>, section: SectionIndex) {
    if graph.is_obstructed() {
        return;
    }
    let reference = Reference {
        object: graph.name().to_owned(),
        section: graph.sections()[section.0 as usize].name().to_owned(),
        ..Reference::default()
    };
    graph.obstruct(Error::Unsupported {
        feature: Feature::RelocationFormat,
        reference: Box::new(reference),
    });
}
