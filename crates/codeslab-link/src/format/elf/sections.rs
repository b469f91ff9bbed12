//! Sections: which of an object's are loaded and with which protection, and which of them a COMDAT group keeps together.
//!
//! What a section is for follows from its flags, its type and, as in every linker, its name: `.init_array` means constructors whatever
//! else the header says. Debug information is not loaded. A section that asks for something that is not supported becomes an obstacle of
//! the graph, with the symbol that would have to be taken care of.

use super::file::{ENDIAN, ElfObject, Header, Loaded};
use super::properties;
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::graph::{
    Content, Graph, GraphSection, Moment, Priority, Purpose, Relocations, SectionIndex,
};
use codeslab::Protection;
use object::elf;
use object::read::elf::{FileHeader, Rela, SectionHeader, Sym};
use std::borrow::Cow;

const CODE: Protection = Protection::ReadExecute;

type ElfSection = <Header as FileHeader>::SectionHeader;

enum Fate {
    Load(Protection),
    /// Pointers to functions; constant once they are relocated.
    LoadFunctions(Purpose),
    Drop,
    Obstruct(Feature),
    ObstructWritableCode,
}

/// Adds the sections that are loaded.
pub(super) fn add<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    loaded: &mut Loaded,
) -> Result<()> {
    let mut note = None;
    for (index, header) in object.sections.iter().enumerate() {
        // One without a type is a place in the table and nothing else: what it says of itself means nothing.
        let is_section = header.sh_type(ENDIAN) != elf::SHT_NULL;
        let flags = header.sh_flags(ENDIAN);
        if !is_section || !flags.contains(elf::SHF_ALLOC) {
            if is_section && flags.contains(elf::SHF_EXECINSTR) {
                check_stack(graph, object, index)?;
            }
            continue;
        }
        let name = object.section_name(graph, index)?;
        match fate(&name, header) {
            Fate::Load(protection) => {
                let purpose = match &*name {
                    ".eh_frame" => Purpose::UnwindTable,
                    ".init" if protection == CODE => Purpose::Fragment(Moment::Start),
                    ".fini" if protection == CODE => Purpose::Fragment(Moment::End),
                    _ => Purpose::Plain,
                };
                let section = (index, name, header);
                loaded[index] = Some(load(graph, object, section, protection, purpose)?);
            }
            Fate::LoadFunctions(purpose) => {
                let protection = Protection::ReadOnly;
                let section = (index, name, header);
                loaded[index] = Some(load(graph, object, section, protection, purpose)?);
            }
            // Of several the first counts: reading all of them would take longer than the object is long.
            Fate::Drop if name == properties::NOTE => {
                note.get_or_insert_with(|| header.data(ENDIAN, object.bytes).unwrap_or_default());
            }
            Fate::Drop => {}
            // The first reason is enough, and telling it takes a search.
            Fate::Obstruct(_) | Fate::ObstructWritableCode if graph.is_obstructed() => {}
            Fate::Obstruct(feature) => obstruct(graph, object, feature, index, &name)?,
            Fate::ObstructWritableCode => graph.obstruct(Error::WritableCode {
                object: graph.name().to_owned(),
                section: name.into_owned(),
            }),
        }
    }
    if let Some(property) = object.types.machine.landing_pad_property()
        && !properties::has_lowest_bit(note.unwrap_or_default(), property)
    {
        graph.set_without_landing_pads();
    }
    Ok(())
}

/// Refuses what says that it executes code on its stack: memory that is both writable and executable. What says nothing is assembler
/// input whose author did not think of it, and does not.
fn check_stack(graph: &mut Graph<'_>, object: &ElfObject<'_, '_>, index: usize) -> Result<()> {
    let name = object.section_name(graph, index)?;
    if name == ".note.GNU-stack" && !graph.is_obstructed() {
        let reference = Reference {
            object: graph.name().to_owned(),
            section: name.into_owned(),
            ..Reference::default()
        };
        graph.obstruct(Error::Unsupported {
            feature: Feature::ExecutableStack,
            reference: Box::new(reference),
        });
    }
    Ok(())
}

fn fate(name: &str, header: &ElfSection) -> Fate {
    let flags = header.sh_flags(ENDIAN);
    // Notes about the object itself are for static linkers and loaders of files.
    if flags.contains(elf::SHF_EXCLUDE) || name == properties::NOTE {
        return Fate::Drop;
    }
    if flags.contains(elf::SHF_COMPRESSED) {
        return Fate::Obstruct(Feature::CompressedSection);
    }
    // Packed relative relocations are for files that are linked already.
    if header.sh_type(ENDIAN) == elf::SHT_RELR {
        return Fate::Obstruct(Feature::RelocationFormat);
    }
    if flags.contains(elf::SHF_TLS) {
        return Fate::Load(Protection::ReadWrite);
    }
    if let Some(purpose) = functions(name, header) {
        return if header.sh_size(ENDIAN) == 0 {
            Fate::Drop
        } else {
            Fate::LoadFunctions(purpose)
        };
    }
    let is_zeros = header.sh_type(ENDIAN) == elf::SHT_NOBITS;
    match (
        flags.contains(elf::SHF_EXECINSTR),
        flags.contains(elf::SHF_WRITE),
    ) {
        (true, true) => Fate::ObstructWritableCode,
        (true, false) => Fate::Load(Protection::ReadExecute),
        // Zeros that may be written cost nothing until then; constant ones would have to be filled in.
        (false, _) if is_zeros => Fate::Load(Protection::ReadWrite),
        (false, true) if !is_constant_after_relocation(name) => Fate::Load(Protection::ReadWrite),
        (false, _) => Fate::Load(Protection::ReadOnly),
    }
}

/// Marked writable only because a dynamic linker has to relocate them; here that is over before anything runs.
fn is_constant_after_relocation(name: &str) -> bool {
    name.strip_prefix(".data.rel.ro")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a section is for that holds pointers to functions: by its type, or by its name as in objects of old compilers.
fn functions(name: &str, header: &ElfSection) -> Option<Purpose> {
    /// `ld` counts the numbers of .ctors down from this.
    const LAST: u32 = 65535;
    // How all names begin that say so, behind the dot. Hardly another section has such a name, and this is asked of each.
    let may_say = matches!(name.get(1..3), Some("pr" | "in" | "fi" | "ct" | "dt"));
    let is_typed = matches!(
        header.sh_type(ENDIAN),
        elf::SHT_PREINIT_ARRAY | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY
    );
    if !is_typed && !may_say {
        return None;
    }
    let (stem, rest) = match name.strip_prefix('.').unwrap_or_default().split_once('.') {
        Some((stem, rest)) => (stem, Some(rest)),
        None => (name.strip_prefix('.').unwrap_or_default(), None),
    };
    let (moment, is_reversed) = match (header.sh_type(ENDIAN), stem) {
        (elf::SHT_PREINIT_ARRAY, _) | (_, "preinit_array") => (Moment::BeforeAll, false),
        (_, "ctors") => (Moment::Start, true),
        (_, "dtors") => (Moment::End, true),
        (elf::SHT_INIT_ARRAY, _) | (_, "init_array") => (Moment::Start, false),
        (elf::SHT_FINI_ARRAY, _) | (_, "fini_array") => (Moment::End, false),
        _ => return None,
    };
    let number = rest.and_then(|rest| rest.parse::<u32>().ok());
    let number = number.map(|number| {
        if is_reversed {
            LAST.saturating_sub(number)
        } else {
            number
        }
    });
    Some(Purpose::Functions {
        moment,
        priority: number.map_or(Priority::NONE, Priority),
        is_reversed,
    })
}

fn load<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    (index, name, header): (usize, Cow<'a, str>, &ElfSection),
    protection: Protection,
    purpose: Purpose,
) -> Result<SectionIndex> {
    let content = if header.sh_type(ENDIAN) == elf::SHT_NOBITS {
        if protection == Protection::ReadExecute && header.sh_size(ENDIAN) > 0 {
            return Err(graph.malformed(format!("section {name} is code without bytes")));
        }
        Content::Zeros(header.sh_size(ENDIAN))
    } else {
        let bytes = header
            .data(ENDIAN, object.bytes)
            .map_err(|error| graph.malformed(format!("section {name}: {error}")))?;
        Content::Bytes(bytes.into())
    };
    // 0 means the same as 1.
    let align = header.sh_addralign(ENDIAN).max(1);
    let flags = header.sh_flags(ENDIAN);
    graph.add_section_in_place(GraphSection {
        // `ld` leaves these alone as well: what they say of code that is left out is never looked up.
        may_lose: name.starts_with(".gcc_except_table"),
        name,
        protection,
        align,
        content,
        relocations: Relocations::default(),
        group: None,
        purpose,
        is_thread_local: flags.contains(elf::SHF_TLS),
        is_retained: flags.contains(elf::SHF_GNU_RETAIN),
        number: index as u32,
    })
}

fn obstruct(
    graph: &mut Graph<'_>,
    object: &ElfObject<'_, '_>,
    feature: Feature,
    index: usize,
    name: &str,
) -> Result<()> {
    let looked_at = object.symbols.len() + object.sections.len();
    object
        .budget
        .spend(Resource::Steps, looked_at as u64, graph.name())?;
    let (offset, symbol) = first_relocation_of(graph, object, index).unwrap_or_default();
    let reference = Reference {
        object: graph.name().to_owned(),
        section: name.to_owned(),
        offset,
        relocation: String::new(),
        symbol,
    };
    graph.obstruct(Error::Unsupported {
        feature,
        reference: Box::new(reference),
    });
    Ok(())
}

/// The first relocation of a section, to say which function it would call.
fn first_relocation_of(
    graph: &Graph<'_>,
    object: &ElfObject<'_, '_>,
    section: usize,
) -> Option<(u64, String)> {
    let table = object.sections.iter().find(|header| {
        header.sh_type(ENDIAN) == elf::SHT_RELA && header.sh_info(ENDIAN) as usize == section
    })?;
    let (entries, _) = table.rela(ENDIAN, object.bytes).ok()??;
    let first = entries.first()?;
    let symbol = object.symbols.symbol(first.symbol(ENDIAN, false)?).ok()?;
    let name = if symbol.st_type() == elf::STT_SECTION {
        let section = usize::from(symbol.st_shndx(ENDIAN).index()?);
        object.section_name(graph, section)
    } else {
        object.symbol_name(graph, symbol)
    };
    Some((first.r_offset(ENDIAN), name.ok()?.into_owned()))
}

/// Adds the COMDAT groups. Other groups only say that their sections belong together, which here they do anyway.
pub(super) fn add_groups<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    loaded: &Loaded,
) -> Result<()> {
    for header in object.sections.iter() {
        let group = header
            .group(ENDIAN, object.bytes)
            .map_err(|error| graph.malformed(error.to_string()))?;
        let Some((flags, members)) = group else {
            continue;
        };
        if !flags.contains(elf::GRP_COMDAT) {
            continue;
        }
        let name = signature(graph, object, header)?;
        let count = members.len() as u64;
        object.budget.spend(Resource::Steps, count, graph.name())?;
        let mut sections = Vec::with_capacity(members.len());
        for member in members {
            let index = member.get(ENDIAN) as usize;
            let section = loaded
                .get(index)
                .ok_or_else(|| graph.malformed(format!("group {name} has no section {index}")))?;
            sections.extend(*section);
        }
        graph.add_group(name, &sections)?;
    }
    Ok(())
}

/// Adds groups for sections of the time before there were any: of those with one name that begins with `.gnu.linkonce.`, the first counts.
pub(super) fn add_linked_once(graph: &mut Graph<'_>) -> Result<()> {
    let count = graph.sections().len();
    for index in 0..count {
        let section = &graph.sections()[index];
        if section.group.is_none() && section.name.starts_with(".gnu.linkonce.") {
            let name = section.name.clone();
            graph.add_group(name, &[SectionIndex(index as u32)])?;
        }
    }
    Ok(())
}

/// A group is called like a symbol, or like a section where that symbol is a section's.
fn signature<'a>(
    graph: &Graph<'_>,
    object: &ElfObject<'a, '_>,
    header: &ElfSection,
) -> Result<Cow<'a, str>> {
    let index = object::SymbolIndex(header.sh_info(ENDIAN) as usize);
    let symbol = object
        .symbols
        .symbol(index)
        .map_err(|error| graph.malformed(format!("group signature: {error}")))?;
    if symbol.st_type() == elf::STT_SECTION {
        return match object.symbol_section(graph, symbol, index.0)? {
            Some(section) => object.section_name(graph, section),
            None => Ok(Cow::Borrowed("")),
        };
    }
    object.symbol_name(graph, symbol)
}
