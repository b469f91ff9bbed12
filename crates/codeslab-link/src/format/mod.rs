//! Formats: what the bytes of an input are, and the graphs that they become.
//!
//! An object format is one folder here and its lines below: it recognises its files by their first bytes and parses an object to a
//! [`Graph`]. It asks `arch` for the machine that a file names and for the rows behind the relocation types, and knows no machine
//! itself. Archives hold objects of any format. `resolve` opens inputs through this module and never sees which format they had.

pub(crate) mod archive;
mod coff;
mod elf;
mod kept;
mod macho;
mod name;
pub(crate) mod script;
pub(crate) mod thin;
mod unknown;

use crate::arch::native;
use crate::budget::Budget;
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::exports::Exports;
use crate::graph::{AddressOf, Graph};
use crate::input::Input;
use crate::kept::KeptArchive;
use archive::Archive;
use name::{CName, as_it_is};
use std::borrow::Cow;
use std::collections::BTreeMap;
use unknown::Unknown;

/// Makes a copy of an object in which the sections have addresses.
type Placed = fn(&[u8], &AddressOf<'_>) -> Vec<u8>;

/// One format of object files.
struct Format {
    name: &'static str,
    /// Whether these bytes begin like a file of the format.
    recognises: fn(&[u8]) -> bool,
    /// Whether a file that begins with these bytes is a shared library.
    is_shared_library: fn(&[u8]) -> bool,
    parse: for<'a> fn(Cow<'a, str>, &'a [u8], &Budget) -> Result<Graph<'a>>,
    /// The name of C that a name in its files stands for.
    c_name: CName,
    /// The header of a file of no sections and no segments; `None` for a format whose code does not look for one.
    empty: Option<fn() -> Vec<u8>>,
    /// A copy of an object in which the sections have addresses; `None` for a format that has no room for them.
    placed: Option<Placed>,
}

#[rustfmt::skip] // A line for each format.
static FORMATS: [Format; 3] = [
    Format { name: "ELF", recognises: elf::is_elf, is_shared_library: elf::is_shared_library, parse: elf::parse, c_name: as_it_is, empty: Some(elf::empty_header), placed: Some(elf::placed) },
    Format { name: "COFF", recognises: coff::is_coff, is_shared_library: coff::is_library, parse: coff::parse, c_name: as_it_is, empty: None, placed: None },
    Format { name: "Mach-O", recognises: macho::is_macho, is_shared_library: macho::is_library, parse: macho::parse, c_name: macho::c_name, empty: None, placed: None },
];

/// What makes names of C of those in a file that begins like `bytes`.
fn c_name_of(bytes: &[u8]) -> CName {
    let mut formats = FORMATS.iter();
    let format = formats.find(|format| (format.recognises)(bytes));
    format.map_or(as_it_is, |format| format.c_name)
}

/// An input that has been looked at.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Graph(Cow<'a, Graph<'a>>),
    Archive(Archive<'a, 'a>),
    Kept(&'a KeptArchive<'a>),
    Loaded(&'a dyn Exports),
}

/// Tells what an input is, and parses it unless it is an archive.
pub(crate) fn open<'a>(input: Input<'a>, budget: &'a Budget) -> Result<Parsed<'a>> {
    match input {
        Input::Graph(graph) => {
            let symbols = graph.symbols().len() as u64;
            budget.spend(Resource::Symbols, symbols, graph.name())?;
            Ok(Parsed::Graph(Cow::Borrowed(graph)))
        }
        Input::File { name, bytes } => {
            // A file for several machines may hold an archive for each.
            let bytes = macho::part(name, bytes, budget)?;
            if archive::is_archive(bytes) {
                let archive = Archive::open(name, bytes, budget, c_name_of)?;
                return Ok(Parsed::Archive(archive));
            }
            Ok(Parsed::Graph(object(name.into(), bytes, budget)?))
        }
        Input::Parsed(file) => file.open(budget),
        Input::Loaded(loaded) => Ok(Parsed::Loaded(loaded)),
        Input::Path(path) => Err(Error::Unreadable {
            object: path.to_owned(),
            path: path.to_owned(),
            reason: "paths are opened before a link begins".to_owned(),
        }),
    }
}

/// Bytes of a file that tell what kind of file it is.
pub(crate) const HEADER_BYTES: u64 = 64;

/// Whether `bytes` begin like a shared library, which the dynamic linker loads.
pub(crate) fn is_shared_library(bytes: &[u8]) -> bool {
    let formats = FORMATS.iter();
    formats
        .filter(|format| (format.recognises)(bytes))
        .any(|format| (format.is_shared_library)(bytes))
}

/// Whether `bytes` begin like what LLVM writes instead of objects when it shall optimise at link time, bare or in its wrapper.
fn is_bitcode(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(&0x0b17_c0de_u32.to_le_bytes())
}

/// A graph of nothing, which cannot take part: it stands for intermediate code.
fn intermediate(name: Cow<'_, str>) -> Result<Graph<'_>> {
    let reference = Reference {
        object: name.to_string(),
        ..Reference::default()
    };
    let mut graph = Graph::new(name, native()?.architecture());
    graph.obstruct(Error::Unsupported {
        feature: Feature::IntermediateCode,
        reference: Box::new(reference),
    });
    Ok(graph)
}

/// The graph of an object file.
pub(crate) fn object<'a>(
    name: Cow<'a, str>,
    bytes: &'a [u8],
    budget: &Budget,
) -> Result<Cow<'a, Graph<'a>>> {
    let bytes = macho::part(&name, bytes, budget)?;
    budget.spend(Resource::Parsed, bytes.len() as u64, &name)?;
    match FORMATS.iter().find(|format| (format.recognises)(bytes)) {
        Some(format) => (format.parse)(name, bytes, budget).map(Cow::Owned),
        None if is_bitcode(bytes) => intermediate(name).map(Cow::Owned),
        None => Err(Error::UnknownFormat {
            object: name.into_owned(),
            formats: FORMATS.each_ref().map(|format| format.name).join(" or "),
            found: Unknown::of(bytes).name(),
            advice: Unknown::of(bytes).described(),
        }),
    }
}

/// What is at the start of a file of no segments, where code looks for the file that it came from.
pub(crate) fn empty_file() -> Vec<u8> {
    let mut empty = FORMATS.iter().filter_map(|format| format.empty);
    empty.next().map(|empty| empty()).unwrap_or_default()
}

/// What is in such a file for the dynamic linker: an end.
pub(crate) fn empty_dynamic() -> Vec<u8> {
    vec![0; 16]
}

/// The object that a graph was read from, with the address that each of its sections got; `None` for a graph that was never a file.
/// `address_of` knows the sections of the graph by their numbers.
pub(crate) fn placed(
    graph: &Graph<'_>,
    address_of: impl Fn(u32) -> Option<u64>,
) -> Option<Vec<u8>> {
    let origin = graph.origin()?;
    let mut formats = FORMATS.iter();
    let format = formats.find(|format| (format.recognises)(origin))?;
    let placed = format.placed?;
    // By section of the file: which of the graph it became.
    let sections = graph.sections().iter().zip(0..);
    let loaded: BTreeMap<usize, u32> = sections
        .map(|(section, index)| (section.number as usize, index))
        .collect();
    let address_of = |number: usize| address_of(*loaded.get(&number)?);
    Some(placed(origin, &address_of))
}
