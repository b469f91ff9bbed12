//! What compilers have in a library of their own, for links that are not given that library; and what linkers make of a file.
//!
//! A library that is given comes first, so libgcc's own objects serve where they are. What is taken from here is one definition for each
//! image, as near to its code as all of the image: code refers to it as to something of its own. Machines have the list (`arch`).

use crate::arch::machine::{Builtin, Machine};
use crate::arch::native_number;
use crate::error::Result;
use crate::graph::{Content, Definition, Graph, GraphSection, Symbol, SymbolKind, Visibility};
use codeslab::Protection::ReadOnly;
use object::BinaryFormat;

/// What describes the file of an image, for code that looks for its own build number or tables there: an image in memory has none, so there
/// is a header of no segments, and a dynamic section of no entries. `ld` has them in every file; as here, a weak reference alone makes none.
#[rustfmt::skip] // A table is read by columns.
static OF_FILES: [Builtin; 2] = [
    Builtin { name: "__ehdr_start", protection: ReadOnly, align: 16, content: header },
    Builtin { name: "_DYNAMIC",     protection: ReadOnly, align: 16, content: end_of_dynamic },
];

/// The object that defines `name`, if compilers have it in a library of their own, or linkers make it.
pub(super) fn take(machine: &dyn Machine, name: &str) -> Result<Option<Graph<'static>>> {
    let mut builtins = machine.builtins().iter().chain(&OF_FILES);
    let builtin = builtins.find(|builtin| builtin.name == name);
    builtin.map(|builtin| graph(machine, builtin)).transpose()
}

/// The header of a shared library of this process's kind, without segments and sections.
fn header() -> Vec<u8> {
    const ET_DYN: u16 = 3;
    const SIZE: u16 = 64;
    const SEGMENT: u16 = 56;
    let machine = native_number(BinaryFormat::Elf).unwrap_or_default();
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(ET_DYN.to_le_bytes());
    bytes.extend((machine as u16).to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.resize(52, 0);
    bytes.extend(SIZE.to_le_bytes());
    bytes.extend(SEGMENT.to_le_bytes());
    bytes.resize(SIZE.into(), 0);
    bytes
}

fn end_of_dynamic() -> Vec<u8> {
    vec![0; 16]
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
