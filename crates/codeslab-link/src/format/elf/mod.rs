//! ELF objects become graphs.
//!
//! Everything in an object is a claim: sizes, offsets and indices are believed only as far as the bytes go. What the object
//! asks for and this linker cannot do is noted in the graph as an obstacle, because it matters only if the object takes part. Which
//! machine the object is for decides its relocation types (`arch`); nothing here depends on it otherwise.
//!
//! Source: System V ABI, "Object Files" (<https://gabi.xinuos.com>).

mod file;
mod placed;
mod properties;
mod relocations;
mod sections;
mod symbols;

use crate::arch::native_number;
use crate::budget::Budget;
use crate::error::Result;
use crate::graph::Graph;
use codeslab_runtime::Convention;
use object::elf::ELFMAG;
use std::borrow::Cow;

pub(super) use placed::placed;

/// Whether `bytes` begin like an ELF file.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&ELFMAG)
}

/// Whether an ELF file that begins with `bytes` is for the dynamic linker.
pub(super) fn is_shared_library(bytes: &[u8]) -> bool {
    // e_type, in the byte order of every machine that is linked for.
    let kind = bytes.get(16..18);
    kind == Some(&object::elf::ET_DYN.0.to_le_bytes())
}

/// The header of a shared library of this process's kind, without segments and sections.
pub(super) fn empty_header() -> Vec<u8> {
    const ET_DYN: u16 = 3;
    const SIZE: u16 = 64;
    const SEGMENT: u16 = 56;
    let machine = native_number(object::BinaryFormat::Elf).unwrap_or_default();
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

/// The graph of the object in `bytes`; `name` is what errors call it.
pub(super) fn parse<'a>(name: Cow<'a, str>, bytes: &'a [u8], budget: &Budget) -> Result<Graph<'a>> {
    let object = file::open(&name, bytes, budget)?;
    let mut graph = Graph::new(name, object.types.machine.architecture());
    graph.set_convention(Convention::SystemV);
    graph.reserve(object.allocated, object.symbols.len());
    // For most objects it takes no heap memory.
    let (mut few, mut many) = ([None; file::FEW_SECTIONS], Vec::new());
    let count = object.sections.len();
    let loaded: &mut file::Loaded = if let Some(few) = few.get_mut(..count) {
        few
    } else {
        many.resize(count, None);
        &mut many
    };
    sections::add(&mut graph, &object, loaded)?;
    symbols::add(&mut graph, &object, loaded)?;
    relocations::add(&mut graph, &object, loaded)?;
    if object.has_groups {
        sections::add_groups(&mut graph, &object, loaded)?;
    }
    sections::add_linked_once(&mut graph)?;
    graph.set_origin(bytes.into());
    Ok(graph)
}
