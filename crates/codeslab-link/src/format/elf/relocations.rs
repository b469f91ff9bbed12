//! The relocation tables of the sections that are loaded.

use super::{ENDIAN, Header, Loaded, Object};
use crate::arch::formula::RelocationKind;
use crate::arch::linked;
use crate::error::{Error, Feature, Reference, Result};
use crate::graph::{Graph, Relocation, SectionIndex, SymbolIndex};
use object::elf;
use object::read::elf::{FileHeader, Rela, SectionHeader};

type ElfSection = <Header as FileHeader>::SectionHeader;
type ElfRela = <Header as FileHeader>::Rela;

/// Adds the relocations of every loaded section.
pub(super) fn add<'a>(graph: &mut Graph<'a>, object: &Object<'a>, loaded: &Loaded) -> Result<()> {
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
    object: &Object<'a>,
    header: &ElfSection,
    section: SectionIndex,
) -> Result<()> {
    let entries = header
        .rela(ENDIAN, object.bytes)
        .map_err(|error| graph.malformed(error.to_string()))?;
    let Some((entries, symbols)) = entries else {
        refuse_format(graph, section);
        return Ok(());
    };
    if symbols != object.symbols.section() {
        return Err(graph.malformed("a relocation table refers to another symbol table"));
    }
    let mut relocations = Vec::with_capacity(entries.len());
    for entry in entries {
        match RelocationKind::from_number(entry.r_type(ENDIAN, false).0) {
            Some(kind) => relocations.push(Relocation {
                offset: entry.r_offset(ENDIAN),
                kind,
                symbol: SymbolIndex(entry.r_sym(ENDIAN, false)),
                addend: entry.r_addend(ENDIAN),
            }),
            None => refuse_type(graph, section, entry),
        }
    }
    graph.add_relocations(section, relocations)
}

fn refuse_type(graph: &mut Graph<'_>, section: SectionIndex, entry: &ElfRela) {
    let number = entry.r_type(ENDIAN, false);
    let thread_local = linked::elf_thread_local_name(number);
    let reference = Box::new(Reference {
        object: graph.name().to_owned(),
        section: graph.sections()[section.0 as usize].name().to_owned(),
        offset: entry.r_offset(ENDIAN),
        relocation: thread_local.map_or_else(|| format!("type {}", number.0), str::to_owned),
        symbol: graph.symbol_name(SymbolIndex(entry.r_sym(ENDIAN, false))),
    });
    graph.refuse(match thread_local {
        Some(_) => Error::Unsupported {
            feature: Feature::ThreadLocal,
            reference,
        },
        None => Error::UnknownRelocation { reference },
    });
}

fn refuse_format(graph: &mut Graph<'_>, section: SectionIndex) {
    let reference = Reference {
        object: graph.name().to_owned(),
        section: graph.sections()[section.0 as usize].name().to_owned(),
        ..Reference::default()
    };
    graph.refuse(Error::Unsupported {
        feature: Feature::RelocationFormat,
        reference: Box::new(reference),
    });
}
