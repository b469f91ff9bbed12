//! What compilers have in a library of their own, for links that are not given that library; and what linkers make of a file.
//!
//! A library that is given comes first, so libgcc's own objects serve where they are. What is taken from here is one definition for each
//! image, as near to its code as all of the image: code refers to it as to something of its own. Machines have the list (`arch`).

use crate::arch::machine::{Builtin, Machine};
use crate::error::Result;
use crate::format;
use crate::graph::{Content, Definition, Graph, GraphSection, Symbol, SymbolKind, Visibility};
use codeslab::Protection::ReadOnly;

/// What describes the file of an image, for code that looks for its own build number or tables there: an image in memory has none, so there
/// is a header of no segments, and a dynamic section of no entries. `ld` has them in every file; as here, a weak reference alone makes none.
#[rustfmt::skip] // A table is read by columns.
static OF_FILES: [Builtin; 2] = [
    Builtin { name: "__ehdr_start", protection: ReadOnly, align: 16, content: format::empty_file },
    Builtin { name: "_DYNAMIC",     protection: ReadOnly, align: 16, content: format::empty_dynamic },
];

/// The object that defines `name`, if compilers have it in a library of their own, or linkers make it.
pub(super) fn take(machine: &dyn Machine, name: &str) -> Result<Option<Graph<'static>>> {
    let of_machine = machine.builtins().iter().copied().flatten();
    let mut builtins = of_machine.chain(&OF_FILES);
    let builtin = builtins.find(|builtin| builtin.name == name);
    builtin.map(|builtin| graph(machine, builtin)).transpose()
}

fn graph(machine: &dyn Machine, builtin: &'static Builtin) -> Result<Graph<'static>> {
    let bytes = (builtin.content)();
    let size = bytes.len() as u64;
    let mut graph = Graph::new("codeslab", machine.architecture());
    let section = graph.add_section(GraphSection::new(
        builtin.name,
        builtin.protection,
        builtin.align,
        Content::Bytes(bytes.into()),
    ))?;
    let definition = Definition::Section { section, offset: 0 };
    let symbol = Symbol::new(builtin.name, definition);
    graph.add_symbol(
        symbol
            .with_kind(SymbolKind::Unknown, size)
            .with_visibility(Visibility::Hidden),
    )?;
    Ok(graph)
}
