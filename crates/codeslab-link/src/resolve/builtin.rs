//! What compilers have in a library of their own, for links that are not given that library.
//!
//! A library that is given comes first, so libgcc's own objects serve where they are. What is taken from here is one definition for each
//! image, as near to its code as all of the image: code refers to it as to something of its own. Machines have the list (`arch`).

use crate::arch::machine::{Builtin, Machine};
use crate::error::Result;
use crate::graph::{Content, Definition, Graph, GraphSection, Symbol, SymbolKind, Visibility};

/// The object that defines `name`, if compilers have it in a library of their own.
pub(super) fn take(machine: &dyn Machine, name: &str) -> Result<Option<Graph<'static>>> {
    let mut builtins = machine.builtins().iter().copied().flatten();
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
