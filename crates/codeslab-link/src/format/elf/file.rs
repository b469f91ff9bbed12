//! An ELF file whose tables are found: the checks before anything in it is believed, and its names.
//!
//! It is opened only if it is a relocatable object of a machine that is linked for; what that machine's objects have of their own
//! (relocation types, kinds of common symbols) comes with its [`Types`]. The other files of this folder read the tables and
//! turn them into a graph.

use crate::arch::machine::Machine;
use crate::arch::{Types, by_number, foreign_name, native};
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::graph::{Graph, SectionIndex};
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, SymbolTable};
use object::{BinaryFormat, LittleEndian, SymbolIndex};

pub(super) const ENDIAN: LittleEndian = LittleEndian;

pub(super) type Header = FileHeader64<LittleEndian>;

/// An object whose tables are found, on its way to a graph.
pub(super) struct ElfObject<'a> {
    pub(super) bytes: &'a [u8],
    /// What it is made for.
    pub(super) types: Types,
    pub(super) sections: SectionTable<'a, Header>,
    pub(super) symbols: SymbolTable<'a, Header>,
    pub(super) budget: &'a Budget,
}

/// Which section of the graph a section of the object became; `None` for those that are not loaded.
pub(super) type Loaded = Vec<Option<SectionIndex>>;

/// Opens the object in `bytes`; `name` is what errors call it.
pub(super) fn open<'a>(name: &str, bytes: &'a [u8], budget: &'a Budget) -> Result<ElfObject<'a>> {
    check_identity(name, bytes)?;
    let malformed = |error: object::read::Error| Error::malformed(name, error.to_string());
    let header = Header::parse(bytes).map_err(malformed)?;
    let types = types_of(name, header)?;
    check_type(name, header)?;
    let sections = header.sections(ENDIAN, bytes).map_err(malformed)?;
    let symbols = sections
        .symbols(ENDIAN, bytes, elf::SHT_SYMTAB)
        .map_err(malformed)?;
    let object = ElfObject {
        bytes,
        types,
        sections,
        symbols,
        budget,
    };
    let (sections, symbols) = (object.sections.len() as u64, object.symbols.len() as u64);
    budget.spend(Resource::Steps, sections, name)?;
    budget.spend(Resource::Symbols, symbols, name)?;
    check_overlap(name, &object)?;
    Ok(object)
}

/// Looks at the class and byte order first: a 32-bit or big-endian file has another header altogether.
fn check_identity(name: &str, bytes: &[u8]) -> Result<()> {
    let Some(&[class, data]) = bytes.get(4..6) else {
        let reason = "it ends inside its identification";
        return Err(Error::malformed(name, reason));
    };
    let wrong = match (class, data) {
        (2, 1) => return Ok(()),
        (1, 1) => "a 32-bit machine",
        (1 | 2, 2) => "a big-endian machine",
        _ => {
            let reason = "its class or byte order does not exist";
            return Err(Error::malformed(name, reason));
        }
    };
    Err(wrong_architecture(name, wrong.to_owned()))
}

fn types_of(name: &str, header: &Header) -> Result<Types> {
    let number = header.e_machine(ENDIAN).0;
    by_number(BinaryFormat::Elf, number.into()).ok_or_else(|| {
        let known = foreign_name(BinaryFormat::Elf, number.into());
        let found = known.map_or_else(|| format!("ELF machine {number}"), str::to_owned);
        wrong_architecture(name, found)
    })
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
        format: "ELF",
        found,
    })
}

fn wrong_architecture(name: &str, found: String) -> Error {
    let machine = native().map_or("the machine of this process", Machine::name);
    Error::WrongArchitecture {
        object: name.to_owned(),
        found,
        expected: format!("{machine} (64-bit, little-endian ELF)"),
    }
}

/// Sections that share their bytes would let a small file ask for a large graph and a large image.
fn check_overlap(name: &str, object: &ElfObject<'_>) -> Result<()> {
    let has_bytes = |kind| !matches!(kind, elf::SHT_NULL | elf::SHT_NOBITS);
    let stored = object
        .sections
        .iter()
        .filter(|header| has_bytes(header.sh_type(ENDIAN)));
    let total = stored.fold(0_u64, |sum, header| {
        sum.saturating_add(header.sh_size(ENDIAN))
    });
    if total > object.bytes.len() as u64 {
        return Err(Error::malformed(
            name,
            "its sections are longer than the file",
        ));
    }
    Ok(())
}

impl<'a> ElfObject<'a> {
    /// The name of a section, for graphs and errors alike.
    pub(super) fn section_name(&self, graph: &Graph<'_>, index: usize) -> Result<&'a str> {
        let index = object::SectionIndex(index);
        let name = self
            .sections
            .section(index)
            .and_then(|header| self.sections.section_name(ENDIAN, header))
            .map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        text(graph, name)
    }

    /// The name of a symbol.
    pub(super) fn symbol_name(
        &self,
        graph: &Graph<'_>,
        symbol: &elf::Sym64<LittleEndian>,
    ) -> Result<&'a str> {
        let name = self
            .symbols
            .symbol_name(ENDIAN, symbol)
            .map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        text(graph, name)
    }

    /// The bytes of all names of symbols.
    pub(super) fn symbol_names(&self) -> &'a [u8] {
        let section = self.sections.section(self.symbols.string_section());
        let names = section.and_then(|header| header.data(ENDIAN, self.bytes));
        names.unwrap_or_default()
    }

    /// The index of the section that a symbol lies in, which may be kept in a table of its own.
    pub(super) fn symbol_section(
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

pub(super) fn text<'a>(graph: &Graph<'_>, bytes: &'a [u8]) -> Result<&'a str> {
    /// As much as one reads: writing out what is no text takes long.
    const SHOWN: usize = 100;
    std::str::from_utf8(bytes).map_err(|_| {
        let lossy = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
        graph.malformed(format!("the name {lossy:?} is not UTF-8"))
    })
}
