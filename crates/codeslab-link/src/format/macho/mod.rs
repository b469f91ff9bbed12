//! Mach-O objects become graphs: what compilers for Apple's systems write.
//!
//! As in the other formats, everything is a claim that is believed only as far as the bytes go, and what cannot be done is an obstacle of the
//! graph. Three things are peculiar to the format. Symbols and unnamed places alike are told by addresses, as if the sections lay one behind
//! the other in one address space; only what relocations say survives when they are placed. Names of C begin with an underscore, which
//! is taken off (`name`). And several files for one machine each may be in one (`universal`). Nothing of it depends on the system that links.
//!
//! Sections are placed as they are and never cut at their symbols, so what lies between two symbols stays together, whatever the object says
//! of it.
//!
//! Source: `mach-o/loader.h`, `mach-o/nlist.h` and `mach-o/reloc.h`
//! (<https://github.com/apple-oss-distributions/xnu/tree/main/EXTERNAL_HEADERS/mach-o>).

mod compact;
mod file;
mod name;
mod relocations;
mod sections;
mod symbols;
mod universal;
mod unwind;

use crate::budget::Budget;
use crate::error::Result;
use crate::graph::Graph;
use object::macho::{self, FileType};
use std::borrow::Cow;

pub(super) use name::c_name;
pub(super) use universal::part;

/// Whether `bytes` begin like a Mach-O file of a little-endian machine.
pub(super) fn is_macho(bytes: &[u8]) -> bool {
    let magic = file::word(bytes, 0);
    matches!(magic, Some(macho::MH_MAGIC_64 | macho::MH_MAGIC))
}

/// Whether a file that begins with `bytes` is for the system to load.
pub(super) fn is_library(bytes: &[u8]) -> bool {
    const FILE_TYPE: usize = 12;
    let kind = file::word(bytes, FILE_TYPE).map(FileType);
    matches!(kind, Some(macho::MH_DYLIB | macho::MH_BUNDLE))
}

/// The graph of the object in `bytes`; `name` is what errors call it.
pub(super) fn parse<'a>(name: Cow<'a, str>, bytes: &'a [u8], budget: &Budget) -> Result<Graph<'a>> {
    let object = file::open(&name, bytes, budget)?;
    let mut graph = Graph::new(name, object.types.machine.architecture());
    if object.types.machine.landing_pad_property().is_some() {
        // The format has no mark for code that has them.
        graph.set_without_landing_pads();
    }
    let sections = object.sections.len();
    graph.reserve(sections, object.symbols.len() + sections);
    let loaded = sections::add(&mut graph, &object)?;
    let indices = symbols::add(&mut graph, &object, &loaded)?;
    relocations::add(&mut graph, &object, &loaded, &indices)?;
    compact::add(&mut graph, &object, &loaded, &indices)?;
    Ok(graph)
}
