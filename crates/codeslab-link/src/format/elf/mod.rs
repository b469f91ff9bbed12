//! ELF objects become graphs.
//!
//! Everything in an object is a claim: sizes, offsets and indices are believed only as far as the bytes go. What the object
//! asks for and this linker cannot do is noted in the graph as a refusal, because it matters only if the object takes part.
//!
//! Source: System V ABI, "Object Files" (<https://gabi.xinuos.com>), and the psABI of the machine.

mod relocations;
mod sections;
mod symbols;

use crate::arch;
use crate::error::{Error, Result};
use crate::graph::{Graph, SectionIndex};
use codeslab::Architecture;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, SymbolTable};
use object::{LittleEndian, SymbolIndex};
use std::borrow::Cow;

const ENDIAN: LittleEndian = LittleEndian;

type Header = FileHeader64<LittleEndian>;

/// An object whose tables are found, on its way to a graph.
struct Object<'a> {
    bytes: &'a [u8],
    sections: SectionTable<'a, Header>,
    symbols: SymbolTable<'a, Header>,
}

/// Which section of the graph a section of the object became; `None` for those that are not loaded.
type Loaded = Vec<Option<SectionIndex>>;

/// Whether `bytes` begin like an ELF file.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// The graph of the object in `bytes`; `name` is what errors call it.
pub(crate) fn parse<'a>(name: Cow<'a, str>, bytes: &'a [u8]) -> Result<Graph<'a>> {
    let (header, machine) = open(&name, bytes)?;
    let mut graph = Graph::new(name, machine);
    let object = tables(&graph, header, bytes)?;
    graph.reserve(object.sections.len(), object.symbols.len());
    let loaded = sections::add(&mut graph, &object)?;
    symbols::add(&mut graph, &object, &loaded)?;
    relocations::add(&mut graph, &object, &loaded)?;
    sections::add_groups(&mut graph, &object, &loaded)?;
    Ok(graph)
}

/// The header of an object that can be linked, and the machine that it is for.
fn open<'a>(name: &str, bytes: &'a [u8]) -> Result<(&'a Header, Architecture)> {
    check_identity(name, bytes)?;
    let header = Header::parse(bytes).map_err(|error| malformed(name, error.to_string()))?;
    let machine =
        arch::of_elf(header.e_machine(ENDIAN)).map_err(|found| wrong_architecture(name, found))?;
    check_type(name, header)?;
    Ok((header, machine))
}

fn tables<'a>(graph: &Graph<'_>, header: &Header, bytes: &'a [u8]) -> Result<Object<'a>> {
    let malformed = |error: object::read::Error| graph.malformed(error.to_string());
    let sections = header.sections(ENDIAN, bytes).map_err(malformed)?;
    let symbols = sections
        .symbols(ENDIAN, bytes, elf::SHT_SYMTAB)
        .map_err(malformed)?;
    let object = Object {
        bytes,
        sections,
        symbols,
    };
    check_overlap(graph, &object)?;
    Ok(object)
}

/// Looks at the class and byte order first: a 32-bit or big-endian file has another header altogether.
fn check_identity(name: &str, bytes: &[u8]) -> Result<()> {
    let Some(&[class, data]) = bytes.get(4..6) else {
        return Err(malformed(name, "it ends inside its identification"));
    };
    let wrong = match (class, data) {
        (2, 1) => return Ok(()),
        (1, 1) => "a 32-bit machine",
        (1 | 2, 2) => "a big-endian machine",
        _ => return Err(malformed(name, "its class or byte order does not exist")),
    };
    Err(wrong_architecture(name, wrong.to_owned()))
}

fn check_type(name: &str, header: &Header) -> Result<()> {
    let found = match header.e_type(ENDIAN) {
        elf::ET_REL => return Ok(()),
        elf::ET_EXEC => "executable".to_owned(),
        elf::ET_DYN => "shared object".to_owned(),
        elf::ET_CORE => "core dump".to_owned(),
        other => other.0.to_string(),
    };
    Err(Error::NotRelocatable {
        object: name.to_owned(),
        found,
    })
}

fn malformed(name: &str, reason: impl Into<String>) -> Error {
    Error::Malformed {
        object: name.to_owned(),
        reason: reason.into(),
    }
}

fn wrong_architecture(name: &str, found: String) -> Error {
    Error::WrongArchitecture {
        object: name.to_owned(),
        found,
        expected: arch::ELF_EXPECTED,
    }
}

/// Sections that share their bytes would let a small file ask for a large graph and a large image.
fn check_overlap(graph: &Graph<'_>, object: &Object<'_>) -> Result<()> {
    let has_bytes = |kind| !matches!(kind, elf::SHT_NULL | elf::SHT_NOBITS);
    let stored = object
        .sections
        .iter()
        .filter(|header| has_bytes(header.sh_type(ENDIAN)));
    let total = stored.fold(0_u64, |sum, header| {
        sum.saturating_add(header.sh_size(ENDIAN))
    });
    if total > object.bytes.len() as u64 {
        return Err(graph.malformed("its sections are longer than the file"));
    }
    Ok(())
}

impl<'a> Object<'a> {
    /// The name of a section, for graphs and errors alike.
    fn section_name(&self, graph: &Graph<'_>, index: usize) -> Result<&'a str> {
        let index = object::SectionIndex(index);
        let name = self
            .sections
            .section(index)
            .and_then(|header| self.sections.section_name(ENDIAN, header))
            .map_err(|error| graph.malformed(error.to_string()))?;
        text(graph, name)
    }

    /// The name of a symbol.
    fn symbol_name(&self, graph: &Graph<'_>, symbol: &elf::Sym64<LittleEndian>) -> Result<&'a str> {
        let name = self
            .symbols
            .symbol_name(ENDIAN, symbol)
            .map_err(|error| graph.malformed(error.to_string()))?;
        text(graph, name)
    }

    /// The index of the section that a symbol lies in, which may be kept in a table of its own.
    fn symbol_section(
        &self,
        graph: &Graph<'_>,
        symbol: &elf::Sym64<LittleEndian>,
        index: usize,
    ) -> Result<Option<usize>> {
        self.symbols
            .symbol_section(ENDIAN, symbol, SymbolIndex(index))
            .map(|section| section.map(|section| section.0))
            .map_err(|error| graph.malformed(error.to_string()))
    }
}

fn text<'a>(graph: &Graph<'_>, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| {
        let lossy = String::from_utf8_lossy(bytes);
        graph.malformed(format!("the name {lossy:?} is not UTF-8"))
    })
}
