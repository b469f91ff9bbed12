//! Symbols: the symbol table, entry by entry, without what it has for debuggers; and a symbol for each section, behind all others.
//!
//! Sizes are not told. A symbol says in its description whether it is weak, as a definition (another may take its place) or as a reference
//! (it may be missing). One that another symbol stands for (`N_INDR`) is an alternate, and a function that says that it is a resolver is an
//! indirect one.
//!
//! Source: `mach-o/nlist.h`.

use super::file::{ENDIAN, Loaded, MachObject, Nlist};
use super::name::c_name;
use crate::error::{Error, Resource, Result};
use crate::graph::{
    Binding, Definition, Graph, Other, SectionIndex, Symbol, SymbolIndex, SymbolKind, Visibility,
};
use codeslab::Protection;
use object::macho::{self, RelocationInfo, SymbolDesc};
use object::read::macho::{Nlist as _, Section as _};
use std::borrow::Cow;

/// Which symbols of the graph those of the object became.
pub(super) struct Indices {
    /// By number in the file. What is for debuggers is none.
    pub(super) symbols: Vec<Option<SymbolIndex>>,
    /// By number less 1: the symbol that stands for a section.
    pub(super) sections: Vec<Option<SymbolIndex>>,
}

impl Indices {
    /// The symbol that an entry of relocations names, or that of its section.
    pub(super) fn named(&self, graph: &Graph<'_>, entry: &RelocationInfo) -> Result<SymbolIndex> {
        let number = entry.r_symbolnum as usize;
        let (what, all, index) = if entry.r_extern {
            ("symbol", &self.symbols, number)
        } else {
            ("section", &self.sections, number.wrapping_sub(1))
        };
        let symbol = all.get(index).copied().flatten();
        symbol.ok_or_else(|| Error::InvalidIndex {
            object: graph.name().to_owned(),
            what,
            index: number as u64,
            count: all.len() as u64,
        })
    }
}

/// Adds every symbol.
pub(super) fn add<'a>(
    graph: &mut Graph<'a>,
    object: &MachObject<'a, '_>,
    loaded: &Loaded,
) -> Result<Indices> {
    let mut symbols = Vec::with_capacity(object.symbols.len());
    for symbol in object.symbols.iter() {
        if symbol.n_type().is_stab() {
            symbols.push(None);
            continue;
        }
        let name = name(graph, object, symbol)?;
        let definition = definition(graph, object, loaded, symbol)?;
        if symbol.n_type().typ() == macho::N_INDR {
            let other = object.string(graph, symbol.n_value(ENDIAN))?;
            let other = spent(graph, object, c_name(other))?;
            graph.add_alternate(name.clone(), Other::Name(other));
        }
        let made = convert(graph, name, definition, symbol);
        symbols.push(Some(graph.add_symbol_anywhere(made)?));
    }
    let mut sections = Vec::with_capacity(loaded.len());
    for section in loaded {
        let definition = match *section {
            Some(section) => Definition::Section { section, offset: 0 },
            None => Definition::Discarded,
        };
        let symbol = Symbol::new("", definition).with_binding(Binding::Local);
        let symbol = symbol.with_kind(SymbolKind::Section, 0);
        sections.push(Some(graph.add_symbol_anywhere(symbol)?));
    }
    Ok(Indices { symbols, sections })
}

/// What embedders and other objects call a symbol.
fn name<'a>(
    graph: &Graph<'_>,
    object: &MachObject<'a, '_>,
    symbol: &Nlist,
) -> Result<Cow<'a, str>> {
    let name = object.symbol_name(graph, symbol)?;
    let is_labels = !symbol.n_type().is_ext() && !name.starts_with('_');
    if is_labels {
        return Ok(name);
    }
    spent(graph, object, c_name(name))
}

/// Takes what a copy of a name costs, which the table of all names copies once more.
fn spent<'a>(
    graph: &Graph<'_>,
    object: &MachObject<'_, '_>,
    name: Cow<'a, str>,
) -> Result<Cow<'a, str>> {
    if let Cow::Owned(name) = &name {
        let cost = 2 * name.len() as u64;
        object.budget.spend(Resource::Bytes, cost, graph.name())?;
    }
    Ok(name)
}

fn convert<'a>(
    graph: &Graph<'_>,
    name: Cow<'a, str>,
    definition: Definition,
    symbol: &Nlist,
) -> Symbol<'a> {
    let kind = symbol.n_type();
    let says = symbol.n_desc(ENDIAN);
    let is_defined = !matches!(
        definition,
        Definition::Undefined | Definition::Common { .. }
    );
    let is_weak = says.contains(if is_defined {
        macho::N_WEAK_DEF
    } else {
        macho::N_WEAK_REF
    });
    Symbol {
        name,
        definition,
        binding: match (kind.is_ext(), is_weak) {
            (false, _) => Binding::Local,
            (true, false) => Binding::Global,
            (true, true) => Binding::Weak,
        },
        visibility: if kind.contains(macho::N_PEXT) {
            Visibility::Hidden
        } else {
            Visibility::Default
        },
        size: 0,
        kind: kind_of(graph, definition, says),
    }
}

fn kind_of(graph: &Graph<'_>, definition: Definition, says: SymbolDesc) -> SymbolKind {
    let Definition::Section { section, .. } = definition else {
        return SymbolKind::Unknown;
    };
    let SectionIndex(section) = section;
    let section = &graph.sections()[section as usize];
    if section.is_thread_local() {
        return SymbolKind::ThreadLocal;
    }
    match section.protection() {
        Protection::ReadExecute if says.contains(macho::N_SYMBOL_RESOLVER) => {
            SymbolKind::IndirectFunction
        }
        Protection::ReadExecute => SymbolKind::Function,
        Protection::ReadOnly | Protection::ReadWrite => SymbolKind::Data,
    }
}

fn definition(
    graph: &Graph<'_>,
    object: &MachObject<'_, '_>,
    loaded: &Loaded,
    symbol: &Nlist,
) -> Result<Definition> {
    let value = symbol.n_value(ENDIAN);
    let kind = symbol.n_type();
    match kind.typ() {
        macho::N_ABS => Ok(Definition::Absolute(value)),
        macho::N_SECT => in_section(graph, object, loaded, symbol),
        macho::N_UNDF | macho::N_INDR if !kind.is_ext() => Ok(Definition::Discarded),
        macho::N_UNDF if value > 0 => Ok(Definition::Common {
            size: value,
            align: 1 << (symbol.n_desc(ENDIAN).0 >> 8 & 0xf),
        }),
        macho::N_UNDF | macho::N_INDR => Ok(Definition::Undefined),
        other => Err(graph.malformed(format!("symbol type {:#x} does not exist", other.0))),
    }
}

fn in_section(
    graph: &Graph<'_>,
    object: &MachObject<'_, '_>,
    loaded: &Loaded,
    symbol: &Nlist,
) -> Result<Definition> {
    let index = usize::from(symbol.n_sect()).wrapping_sub(1);
    match (loaded.get(index), object.sections.get(index)) {
        (Some(&Some(section)), Some(within)) => Ok(Definition::Section {
            section,
            offset: symbol.n_value(ENDIAN).wrapping_sub(within.addr(ENDIAN)),
        }),
        (Some(None), Some(_)) => Ok(Definition::Discarded),
        _ => Err(Error::InvalidIndex {
            object: graph.name().to_owned(),
            what: "section",
            index: symbol.n_sect().into(),
            count: loaded.len() as u64,
        }),
    }
}
