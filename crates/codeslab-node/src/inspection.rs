//! Looking into inputs of a link, for people who want to know what is in a file and why it is refused, and at how calls are made here.
#![allow(unsafe_code)] // It reads memory of JavaScript's.

use crate::enums::NativeProtection;
use crate::environment;
use crate::error::Error;
use crate::inputs::Inputs;
use crate::memory::count;
use crate::node_api::Scope;
use crate::throw::OrThrow;
use codeslab_link::{Binding, Content, Definition, Graph, Inspected, Symbol, SymbolKind};
use napi::Env;
use napi_derive::napi;
use std::collections::BTreeMap;

/// An object, or what is in the place of one.
#[napi(object, object_from_js = false)]
pub struct NativeInspected {
    pub name: String,
    pub architecture: Option<String>,
    /// Why it cannot be linked, and the code of that.
    pub refusal: Option<String>,
    pub refusal_code: Option<String>,
    pub sections: Vec<NativeInspectedSection>,
    pub symbols: Vec<NativeInspectedSymbol>,
    pub relocations: Vec<NativeInspectedRelocation>,
    /// How many relocations there are of each type.
    pub relocation_types: Vec<NativeRelocationCount>,
}

/// A section.
#[napi(object, object_from_js = false)]
pub struct NativeInspectedSection {
    pub name: String,
    pub protection: NativeProtection,
    pub size: f64,
    pub align: f64,
    pub is_zero_filled: bool,
    pub is_thread_local: bool,
    pub relocations: f64,
}

/// A symbol.
#[napi(object, object_from_js = false)]
pub struct NativeInspectedSymbol {
    pub name: String,
    #[napi(ts_type = "'function' | 'data' | 'thread-local' | 'indirect-function' | 'unknown'")]
    pub kind: &'static str,
    #[napi(ts_type = "'local' | 'global' | 'weak'")]
    pub binding: &'static str,
    #[napi(ts_type = "'undefined' | 'section' | 'absolute' | 'common' | 'discarded'")]
    pub definition: &'static str,
    /// The name of its section.
    pub section: Option<String>,
    /// Bytes from the start of its section.
    pub offset: f64,
    pub size: f64,
}

/// A relocation.
#[napi(object, object_from_js = false)]
pub struct NativeInspectedRelocation {
    pub section: String,
    pub offset: f64,
    pub kind: String,
    pub symbol: String,
    pub addend: f64,
}

/// Relocations of one type.
#[napi(object, object_from_js = false)]
pub struct NativeRelocationCount {
    pub kind: String,
    pub count: f64,
}

/// Shows what is in inputs: every object of every archive, as it was read. `with_relocations` lists all relocations, which may be many.
#[napi]
pub fn inspect_inputs(
    env: Env,
    #[napi(ts_arg_type = "Array<string | number | Uint8Array | ExternalObject<ParsedInput>>")]
    inputs: Inputs<'_>,
    with_relocations: bool,
) -> napi::Result<Vec<NativeInspected>> {
    let inputs = inputs.listed();
    // SAFETY: `inspect` runs no JavaScript, and it is the last that uses the bytes.
    let contents = unsafe { inputs.contents(Scope::of(&env)) }?;
    let inspect = || {
        let graphs = inputs.graphs(&contents)?;
        let mut all = Vec::new();
        codeslab_link::inspect(&inputs.borrow(&contents, &graphs), |object| {
            all.push(NativeInspected::of(object, with_relocations));
        })?;
        Ok::<_, Error>(all)
    };
    let all = inspect();
    drop(contents);
    all.or_throw(env)
}

impl NativeInspected {
    fn of(object: Inspected<'_>, with_relocations: bool) -> Self {
        let graph = object.graph;
        let sections = || graph.iter().flat_map(|graph| graph.sections());
        let symbols = graph.iter().flat_map(|graph| {
            let named = graph
                .symbols()
                .iter()
                .filter(|symbol| !symbol.name.is_empty());
            named.map(|symbol| NativeInspectedSymbol::of(graph, symbol))
        });
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for relocation in sections().flat_map(codeslab_link::GraphSection::relocations) {
            *counts.entry(relocation.kind.name()).or_default() += 1;
        }
        let relocation_types = counts
            .into_iter()
            .map(|(kind, number)| NativeRelocationCount {
                kind: kind.to_owned(),
                count: count(number),
            });
        let relocations = graph.filter(|_| with_relocations).map(relocations_of);
        Self {
            name: object.name.to_owned(),
            architecture: graph.map(|graph| graph.architecture().to_string()),
            refusal: object.refusal.map(ToString::to_string),
            refusal_code: object.refusal.map(|refusal| refusal.code().to_owned()),
            sections: sections().map(NativeInspectedSection::from).collect(),
            symbols: symbols.collect(),
            relocations: relocations.unwrap_or_default(),
            relocation_types: relocation_types.collect(),
        }
    }
}

impl From<&codeslab_link::GraphSection<'_>> for NativeInspectedSection {
    fn from(section: &codeslab_link::GraphSection<'_>) -> Self {
        Self {
            name: section.name().to_owned(),
            protection: section.protection().into(),
            size: count(section.content().size()),
            align: count(section.align()),
            is_zero_filled: matches!(section.content(), Content::Zeros(_)),
            is_thread_local: section.is_thread_local(),
            relocations: count(section.relocations().len() as u64),
        }
    }
}

impl NativeInspectedSymbol {
    fn of(graph: &Graph<'_>, symbol: &Symbol<'_>) -> Self {
        let section = |index: codeslab_link::SectionIndex| {
            let section = graph.sections().get(index.0 as usize);
            section.map(|section| section.name().to_owned())
        };
        let (definition, section, offset, size) = match symbol.definition {
            Definition::Undefined => ("undefined", None, 0, symbol.size),
            Definition::Section {
                section: index,
                offset,
            } => ("section", section(index), offset, symbol.size),
            Definition::Absolute(value) => ("absolute", None, value, symbol.size),
            Definition::Common { size, .. } => ("common", None, 0, size),
            Definition::Discarded => ("discarded", None, 0, symbol.size),
        };
        Self {
            name: symbol.name.clone().into_owned(),
            kind: match symbol.kind {
                SymbolKind::Function => "function",
                SymbolKind::Data => "data",
                SymbolKind::ThreadLocal => "thread-local",
                SymbolKind::IndirectFunction => "indirect-function",
                _ => "unknown",
            },
            binding: match symbol.binding {
                Binding::Local => "local",
                Binding::Global => "global",
                Binding::Weak => "weak",
            },
            definition,
            section,
            offset: count(offset),
            size: count(size),
        }
    }
}

fn relocations_of(graph: &Graph<'_>) -> Vec<NativeInspectedRelocation> {
    let sections = graph.sections().iter();
    let relocations = sections.flat_map(|section| {
        let of_section = section.relocations().iter();
        of_section.map(move |relocation| (section, relocation))
    });
    let relocations = relocations.map(|(section, relocation)| NativeInspectedRelocation {
        section: section.name().to_owned(),
        offset: count(relocation.offset),
        kind: relocation.kind.name().to_owned(),
        symbol: graph.symbol_name(relocation.symbol),
        #[expect(
            clippy::cast_precision_loss,
            reason = "no addend of a compiler is that large"
        )]
        addend: relocation.addend as f64,
    });
    relocations.collect()
}

/// Whether functions of this environment are called by V8 itself, and not through Node-API.
#[napi]
pub fn has_fast_calls(env: Env) -> napi::Result<bool> {
    Ok(environment::fast_calls(env)?.is_some())
}
