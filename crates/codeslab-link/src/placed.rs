//! What debuggers and profilers want of a linked image: each object with the addresses that its sections got.
//!
//! An object that was a file is that file with addresses in it, so its symbols, lines and unwind information can be read from it. A graph
//! that an embedder built has symbols only: those in code become functions. This is made on request
//! ([`LinkOptions::keep_objects`](crate::LinkOptions::keep_objects)), because it copies the inputs.

use crate::apply::Addresses;
use crate::error::{Resource, Result};
use crate::format;
use crate::graph::{Definition, Graph, Symbol};
use crate::resolve::{Object, Resolution};
use codeslab::{Address, Protection};

/// An object of an image, as debuggers want it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlacedObject {
    /// The object file, with the address of each section in its section header; those that were left out are not said to be loaded.
    File(Vec<u8>),
    /// The functions of a graph that was no file.
    Functions(Vec<PlacedFunction>),
}

/// A function of a graph, local ones as well.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PlacedFunction {
    /// Its name.
    pub name: String,
    /// Its first byte.
    pub address: Address,
    /// Its size in bytes; up to the next symbol, or to the end of its section, where the graph does not say.
    pub size: u64,
}

/// All objects that take part.
pub(crate) fn objects(
    resolution: &Resolution<'_>,
    addresses: &Addresses,
) -> Result<Vec<PlacedObject>> {
    let place = |object: &Object<'_>| {
        let graph = &*object.graph;
        // Sections of threads have no address, only an offset.
        let is_shared = |section: u32| !graph.sections()[section as usize].is_thread_local;
        let address_of = |section: u32| {
            let number = is_shared(section).then_some(object.first_section + section)?;
            addresses.section(number)
        };
        let length = graph.origin().map_or(0, <[u8]>::len);
        resolution
            .budget
            .spend(Resource::Bytes, length as u64, graph.name())?;
        let file = format::placed(graph, address_of).map(PlacedObject::File);
        Ok(file.unwrap_or_else(|| PlacedObject::Functions(functions(graph, address_of))))
    };
    let objects = resolution.objects.iter();
    objects
        .filter(|object| !object.is_made)
        .map(place)
        .collect()
}

/// A symbol in code.
struct Entry<'g> {
    section: u32,
    offset: u64,
    /// Where its section ends.
    end: u64,
    symbol: &'g Symbol<'g>,
}

/// The symbols in code, each up to the next one unless it has a size.
fn functions(graph: &Graph<'_>, address_of: impl Fn(u32) -> Option<u64>) -> Vec<PlacedFunction> {
    let mut entries: Vec<_> = graph
        .symbols()
        .iter()
        .filter_map(|symbol| entry(graph, symbol))
        .collect();
    entries.sort_by_key(|entry| (entry.section, entry.offset));
    let nexts = entries.iter().skip(1).map(Some).chain([None]);
    let function = |(entry, next): (&Entry<'_>, Option<&Entry<'_>>)| {
        let next = next.filter(|next| next.section == entry.section);
        let end = next.map_or(entry.end, |next| next.offset);
        let size = match entry.symbol.size {
            0 => end - entry.offset,
            // A symbol may say any size.
            size => size.min(entry.end - entry.offset),
        };
        let address = Address::new(address_of(entry.section)? + entry.offset);
        (size > 0).then(|| PlacedFunction {
            name: entry.symbol.name.clone().into_owned(),
            address,
            size,
        })
    };
    entries.iter().zip(nexts).filter_map(function).collect()
}

fn entry<'g>(graph: &'g Graph<'_>, symbol: &'g Symbol<'_>) -> Option<Entry<'g>> {
    let Definition::Section { section, offset } = symbol.definition else {
        return None;
    };
    let within = &graph.sections()[section.0 as usize];
    let is_code = within.protection == Protection::ReadExecute;
    (is_code && !symbol.name.is_empty()).then(|| Entry {
        section: section.0,
        offset,
        end: within.content.size(),
        symbol,
    })
}
