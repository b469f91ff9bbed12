//! Symbols: the symbol table, entry by entry. A symbol has the same index in the graph, so relocations need no translation.
//!
//! Numbers in the place of a section say that a symbol is undefined, absolute or common; machines have further ones for common symbols.
//! The mark of intermediate code becomes an obstacle of the graph.

use super::file::{ENDIAN, ElfObject, Header, Loaded};
use crate::error::{Error, Feature, Reference, Result};
use crate::graph::{Binding, Definition, Graph, Symbol, SymbolKind, Visibility};
use object::SymbolIndex;
use object::elf;
use object::read::elf::{FileHeader, Sym};

/// GCC marks objects so that hold nothing but its own intermediate code.
const INTERMEDIATE_CODE_MARK: &str = "__gnu_lto_slim";

type ElfSymbol = <Header as FileHeader>::Sym;

/// Adds every symbol.
pub(super) fn add<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    loaded: &Loaded,
) -> Result<()> {
    if object.has_in_names(b'@') {
        graph.set_versions();
    }
    for (index, symbol) in object.symbols.iter().enumerate() {
        let symbol = if index == 0 {
            // Relocations without a symbol name this one; S is 0 for them.
            Symbol::new("", Definition::Absolute(0)).with_binding(Binding::Local)
        } else {
            convert(graph, object, loaded, symbol, index)?
        };
        graph.add_symbol_anywhere(symbol)?;
    }
    Ok(())
}

#[inline]
fn convert<'a>(
    graph: &mut Graph<'a>,
    object: &ElfObject<'a, '_>,
    loaded: &Loaded,
    symbol: &ElfSymbol,
    index: usize,
) -> Result<Symbol<'a>> {
    let name = object.symbol_name(graph, symbol)?;
    let definition = definition(graph, object, loaded, symbol, index)?;
    if name == INTERMEDIATE_CODE_MARK {
        obstruct(graph, object, Feature::IntermediateCode, index, &name);
    }
    Ok(Symbol {
        name,
        definition,
        binding: binding(graph, symbol)?,
        visibility: match symbol.st_visibility() {
            elf::STV_HIDDEN | elf::STV_INTERNAL => Visibility::Hidden,
            elf::STV_PROTECTED => Visibility::Protected,
            _ => Visibility::Default,
        },
        size: symbol.st_size(ENDIAN),
        kind: match symbol.st_type() {
            elf::STT_FUNC => SymbolKind::Function,
            elf::STT_GNU_IFUNC => SymbolKind::IndirectFunction,
            elf::STT_TLS => SymbolKind::ThreadLocal,
            elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Data,
            elf::STT_SECTION => SymbolKind::Section,
            _ => SymbolKind::Unknown,
        },
    })
}

fn binding(graph: &Graph<'_>, symbol: &ElfSymbol) -> Result<Binding> {
    match symbol.st_bind() {
        elf::STB_LOCAL => Ok(Binding::Local),
        // Unique ones come in COMDAT groups, which already leave one of them.
        elf::STB_GLOBAL | elf::STB_GNU_UNIQUE => Ok(Binding::Global),
        elf::STB_WEAK => Ok(Binding::Weak),
        other => Err(graph.malformed(format!("symbol binding {} does not exist", other.0))),
    }
}

#[inline]
fn definition(
    graph: &Graph<'_>,
    object: &ElfObject<'_, '_>,
    loaded: &Loaded,
    symbol: &ElfSymbol,
    index: usize,
) -> Result<Definition> {
    let value = symbol.st_value(ENDIAN);
    let number = symbol.st_shndx(ENDIAN);
    if let Some(&Some(section)) = loaded.get(usize::from(number.0))
        && number.0 < elf::SHN_LORESERVE
    {
        let offset = value;
        return Ok(Definition::Section { section, offset });
    }
    match number {
        elf::SHN_UNDEF => return Ok(Definition::Undefined),
        elf::SHN_ABS => return Ok(Definition::Absolute(value)),
        common if is_common(object, common) => {
            return Ok(Definition::Common {
                size: symbol.st_size(ENDIAN),
                align: value.max(1),
            });
        }
        _ => {}
    }
    let section = object
        .symbol_section(graph, symbol, index)?
        .ok_or_else(|| graph.malformed(format!("symbol {index} lies in a reserved section")))?;
    match loaded.get(section) {
        Some(&Some(section)) => Ok(Definition::Section {
            section,
            offset: value,
        }),
        Some(None) => Ok(Definition::Discarded),
        None => Err(Error::InvalidIndex {
            object: graph.name().to_owned(),
            what: "section",
            index: section as u64,
            count: loaded.len() as u64,
        }),
    }
}

fn is_common(object: &ElfObject<'_, '_>, section: elf::SymbolSection) -> bool {
    section == elf::SHN_COMMON || object.types.table.common_sections.contains(&section.0)
}

fn obstruct(
    graph: &mut Graph<'_>,
    object: &ElfObject<'_, '_>,
    feature: Feature,
    index: usize,
    name: &str,
) {
    if graph.is_obstructed() {
        return;
    }
    let symbol = object.symbols.symbol(SymbolIndex(index)).ok();
    let section = symbol.and_then(|symbol| object.symbol_section(graph, symbol, index).ok()?);
    let section = section.and_then(|section| object.section_name(graph, section).ok());
    let reference = Reference {
        object: graph.name().to_owned(),
        section: section.unwrap_or_default().into_owned(),
        offset: symbol.map_or(0, |symbol| symbol.st_value(ENDIAN)),
        relocation: String::new(),
        symbol: name.to_owned(),
    };
    graph.obstruct(Error::Unsupported {
        feature,
        reference: Box::new(reference),
    });
}
