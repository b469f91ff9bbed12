//! Symbols: the symbol table, entry by entry, without the auxiliary records between them.
//!
//! A weak external is a name with another symbol that stands in for it. If that is of the same object, the name becomes a weak definition at
//! its place; if it is nothing (absolute 0), a weak reference; and otherwise the graph says that the one name stands for the other (see
//! `Graph::add_alternate`). The kind of search says whether libraries are looked through before.
//!
//! Source: Microsoft, "PE Format", "COFF Symbol Table" and "Auxiliary Format 3: Weak Externals".

use super::directives::Directives;
use super::file::{CoffObject, Loaded};
use super::sections::obstruct;
use crate::error::{Error, Feature, Reference, Result};
use crate::graph::{
    Binding, Definition, Graph, Other, Symbol, SymbolIndex, SymbolKind, Visibility,
};
use object::pe;
use object::read::coff::{CoffHeader, Symbol as _};

/// GCC marks objects so that hold nothing but its own intermediate code.
const INTERMEDIATE_CODE_MARKS: [&str; 2] = ["__gnu_lto_slim", "___gnu_lto_slim"];

/// By which code comes by the thread-local variables of its module.
const THREAD_LOCAL_INDEX: &str = "_tls_index";

/// By number in the file: the symbol of the graph. Auxiliary records are none.
pub(super) type Indices = Vec<Option<SymbolIndex>>;

/// A weak external that its object does not define.
struct Waiting<'a> {
    name: &'a str,
    default: usize,
}

/// Adds every symbol.
pub(super) fn add<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    loaded: &Loaded,
    directives: &Directives<'a>,
) -> Result<Indices> {
    let mut indices = vec![None; object.symbols.len()];
    let mut waiting = Vec::new();
    for (number, symbol) in object.symbols.iter() {
        let name = object.symbol_name(graph, symbol)?;
        check(graph, name, symbol);
        let made = if let Some(weak) = weak_default(object, graph, number, symbol)? {
            convert_weak(graph, object, loaded, (name, weak), &mut waiting)?
        } else {
            let definition = definition(graph, loaded, directives, name, symbol)?;
            convert(name, definition, symbol)
        };
        let index = graph.add_symbol_anywhere(made)?;
        indices[number.0] = Some(index);
    }
    for Waiting { name, default } in waiting {
        let index = indices.get(default).copied().flatten();
        let index = index.ok_or_else(|| no_default(graph, name))?;
        let is_itself = &*graph.symbols()[index.0 as usize].name == name;
        if !is_itself {
            graph.add_alternate(name.into(), Other::Symbol(index));
        }
    }
    Ok(indices)
}

fn no_default(graph: &Graph<'_>, name: &str) -> Error {
    graph.malformed(format!("the weak external {name} has no default"))
}

/// Notes what cannot be linked.
fn check(graph: &mut Graph<'_>, name: &str, symbol: &impl object::read::coff::Symbol) {
    let is_undefined = symbol.section_number() == pe::IMAGE_SYM_UNDEFINED;
    let feature = if INTERMEDIATE_CODE_MARKS.contains(&name) {
        Feature::IntermediateCode
    } else if name == THREAD_LOCAL_INDEX && is_undefined {
        Feature::ThreadLocal
    } else {
        return;
    };
    let reference = Reference {
        object: graph.name().to_owned(),
        symbol: name.to_owned(),
        ..Reference::default()
    };
    obstruct(graph, feature, reference);
}

/// The default of a weak external and how it is searched for.
#[derive(Clone, Copy)]
struct Weak {
    default: usize,
    searches_libraries: bool,
}

fn weak_default<C: CoffHeader>(
    object: &CoffObject<'_, '_, C>,
    graph: &Graph<'_>,
    number: object::SymbolIndex,
    symbol: &C::Symbol,
) -> Result<Option<Weak>> {
    if !symbol.has_aux_weak_external() {
        return Ok(None);
    }
    let auxiliary = object.symbols.aux_weak_external(number);
    let auxiliary = auxiliary.map_err(|error| graph.malformed(error.to_string()))?;
    let search = auxiliary.weak_search_type.get(object::LittleEndian);
    Ok(Some(Weak {
        default: auxiliary.default_symbol().0,
        searches_libraries: search == pe::IMAGE_WEAK_EXTERN_SEARCH_LIBRARY,
    }))
}

/// What a weak external becomes.
fn convert_weak<'a, C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'a, '_, C>,
    loaded: &Loaded,
    (name, weak): (&'a str, Weak),
    waiting: &mut Vec<Waiting<'a>>,
) -> Result<Symbol<'a>> {
    let default = object.symbol(graph, object::SymbolIndex(weak.default))?;
    let section = default.section_number();
    let is_nothing = section == pe::IMAGE_SYM_ABSOLUTE && default.value() == 0;
    let is_own = section.index().is_some() && !default.has_aux_weak_external();
    let reference = Symbol::undefined(name);
    if weak.searches_libraries {
        if is_nothing {
            return Ok(reference.with_binding(Binding::Weak));
        }
        waiting.push(Waiting {
            name,
            default: weak.default,
        });
        return Ok(reference);
    }
    if is_own {
        let definition = in_section(graph, loaded, default)?;
        let symbol = Symbol::new(name, definition).with_binding(Binding::Weak);
        return Ok(symbol.with_kind(kind(default), 0));
    }
    if !is_nothing {
        waiting.push(Waiting {
            name,
            default: weak.default,
        });
    }
    Ok(reference.with_binding(Binding::Weak))
}

fn kind(symbol: &impl object::read::coff::Symbol) -> SymbolKind {
    if symbol.derived_type() == pe::IMAGE_SYM_DTYPE_FUNCTION {
        SymbolKind::Function
    } else if symbol.has_aux_section() && symbol.value() == 0 {
        // It stands for the whole section, and has its name.
        SymbolKind::Section
    } else {
        SymbolKind::Unknown
    }
}

fn convert<'a>(
    name: &'a str,
    definition: Definition,
    symbol: &impl object::read::coff::Symbol,
) -> Symbol<'a> {
    let is_global = matches!(
        symbol.storage_class(),
        pe::IMAGE_SYM_CLASS_EXTERNAL | pe::IMAGE_SYM_CLASS_WEAK_EXTERNAL
    );
    Symbol {
        name: name.into(),
        definition,
        binding: if is_global {
            Binding::Global
        } else {
            Binding::Local
        },
        visibility: Visibility::Default,
        size: 0,
        kind: kind(symbol),
    }
}

fn definition(
    graph: &Graph<'_>,
    loaded: &Loaded,
    directives: &Directives<'_>,
    name: &str,
    symbol: &impl object::read::coff::Symbol,
) -> Result<Definition> {
    let value = symbol.value();
    let is_external = matches!(
        symbol.storage_class(),
        pe::IMAGE_SYM_CLASS_EXTERNAL | pe::IMAGE_SYM_CLASS_WEAK_EXTERNAL
    );
    match symbol.section_number() {
        pe::IMAGE_SYM_UNDEFINED if !is_external => Ok(Definition::Discarded),
        pe::IMAGE_SYM_UNDEFINED if value == 0 => Ok(Definition::Undefined),
        pe::IMAGE_SYM_UNDEFINED => Ok(Definition::Common {
            size: value.into(),
            align: directives.align_of_common(name, value),
        }),
        pe::IMAGE_SYM_ABSOLUTE => Ok(Definition::Absolute(value.into())),
        section if section.index().is_none() => Ok(Definition::Discarded),
        _ => in_section(graph, loaded, symbol),
    }
}

fn in_section(
    graph: &Graph<'_>,
    loaded: &Loaded,
    symbol: &impl object::read::coff::Symbol,
) -> Result<Definition> {
    let number = symbol.section_number().index().unwrap_or_default();
    let index = (number as usize).wrapping_sub(1);
    match loaded.get(index) {
        Some(&Some(section)) => Ok(Definition::Section {
            section,
            offset: symbol.value().into(),
        }),
        Some(None) => Ok(Definition::Discarded),
        None => Err(Error::InvalidIndex {
            object: graph.name().to_owned(),
            what: "section",
            index: number.into(),
            count: loaded.len() as u64,
        }),
    }
}
