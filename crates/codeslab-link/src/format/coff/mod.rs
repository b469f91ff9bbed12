//! COFF objects become graphs: what compilers for Windows write.
//!
//! As in ELF objects, everything is a claim that is believed only as far as the bytes go, and what cannot be done is an obstacle of the
//! graph. Files are of three kinds: objects, objects with more sections than 16 bits can count (`/bigobj`), and the short form of a member
//! of an import library, which says that a library exports a name (`import`). Nothing of it depends on the system that links.
//!
//! Source: Microsoft, "PE Format" (<https://learn.microsoft.com/en-us/windows/win32/debug/pe-format>).

mod comdat;
mod directives;
mod file;
mod import;
mod relocations;
mod sections;
mod symbols;

use crate::arch::{by_number, foreign_name};
use crate::budget::Budget;
use crate::error::{Error, Feature, Reference, Result};
use crate::graph::Graph;
use codeslab_runtime::Convention;
use file::Kind;
use object::BinaryFormat;
use object::pe::{AnonObjectHeaderBigobj, ImageFileHeader};
use object::read::coff::CoffHeader;
use std::borrow::Cow;

/// Whether `bytes` begin like a COFF file: with the number of a machine and no optional header, or with what stands in the place of both.
pub(super) fn is_coff(bytes: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    match (word(0), word(2)) {
        (Some(0), Some(0xffff)) => true,
        (Some(machine), _) => {
            let machine = u32::from(machine);
            let is_known = by_number(BinaryFormat::Coff, machine).is_some()
                || foreign_name(BinaryFormat::Coff, machine).is_some();
            // An executable's header follows another one; an object has none of its kind.
            file::is_executable(bytes) || is_known && word(16) == Some(0)
        }
        (None, _) => false,
    }
}

/// Whether a file that begins with `bytes` is for the system to load.
pub(super) fn is_library(bytes: &[u8]) -> bool {
    file::is_executable(bytes)
}

/// The graph of the object in `bytes`; `name` is what errors call it.
pub(super) fn parse<'a>(name: Cow<'a, str>, bytes: &'a [u8], budget: &Budget) -> Result<Graph<'a>> {
    match file::kind(&name, bytes)? {
        Kind::Object => object::<ImageFileHeader>(name, bytes, budget),
        Kind::BigObject => object::<AnonObjectHeaderBigobj>(name, bytes, budget),
        Kind::Import => import::short(name, bytes, budget),
        Kind::Intermediate => {
            let reference = Reference {
                object: name.to_string(),
                ..Reference::default()
            };
            let mut graph = Graph::new(name, crate::arch::native()?.architecture());
            graph.obstruct(Error::Unsupported {
                feature: Feature::IntermediateCode,
                reference: Box::new(reference),
            });
            Ok(graph)
        }
    }
}

fn object<'a, C: CoffHeader>(
    name: Cow<'a, str>,
    bytes: &'a [u8],
    budget: &Budget,
) -> Result<Graph<'a>> {
    let object = file::open::<C>(&name, bytes, budget)?;
    let mut graph = Graph::new(name, object.types.machine.architecture());
    graph.set_convention(Convention::Windows);
    graph.reserve(object.sections.len(), object.symbols.len());
    let names = sections::names(&graph, &object)?;
    if let Some(import) = import::long(&graph, &object, &names)? {
        return Ok(import);
    }
    let directives = directives::read(&graph, &object, &names)?;
    let loaded = sections::add(&mut graph, &object, &names)?;
    let indices = symbols::add(&mut graph, &object, &loaded, &directives)?;
    relocations::add(&mut graph, &object, &loaded, &indices)?;
    comdat::add(&mut graph, &object, &loaded, &names)?;
    directives::apply(&mut graph, directives)?;
    Ok(graph)
}
