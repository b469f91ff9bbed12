//! An ELF file whose tables are found: the checks before anything in it is believed, and its names.
//!
//! It is opened only if it is a relocatable object of a machine that is linked for; what that machine's objects have of their own
//! (relocation types, kinds of common symbols) comes with its [`Types`]. The other files of this folder read the tables and
//! turn them into a graph.

use crate::arch::machine::Machine;
use crate::arch::{Types, by_number, foreign_name, native};
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::format::name::name_of;
use crate::graph::{Graph, SectionIndex};
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{BinaryFormat, LittleEndian, SymbolIndex};
use std::borrow::Cow;

pub(super) const ENDIAN: LittleEndian = LittleEndian;

pub(super) type Header = FileHeader64<LittleEndian>;

/// An object whose tables are found, on its way to a graph.
pub(super) struct ElfObject<'a> {
    pub(super) bytes: &'a [u8],
    /// What it is made for.
    pub(super) types: Types,
    pub(super) sections: SectionTable<'a, Header>,
    pub(super) symbols: SymbolTable<'a, Header>,
    /// The names of symbols, one after the other with a zero behind each; `None` if not all of them are UTF-8.
    names: Option<&'a str>,
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
    let names = sections
        .section(symbols.string_section())
        .and_then(|header| header.data(ENDIAN, bytes))
        .unwrap_or_default();
    let object = ElfObject {
        bytes,
        types,
        sections,
        symbols,
        // One look at all of them is cheaper than one at each.
        names: std::str::from_utf8(names).ok(),
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
    pub(super) fn section_name(&self, graph: &Graph<'_>, index: usize) -> Result<Cow<'a, str>> {
        let index = object::SectionIndex(index);
        let name = self
            .sections
            .section(index)
            .and_then(|header| self.sections.section_name(ENDIAN, header))
            .map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        self.text(graph, name)
    }

    /// The name of a symbol.
    #[inline]
    pub(super) fn symbol_name(
        &self,
        graph: &Graph<'_>,
        symbol: &elf::Sym64<LittleEndian>,
    ) -> Result<Cow<'a, str>> {
        let start = symbol.st_name(ENDIAN) as usize;
        let rest = self.names.and_then(|names| names.get(start..));
        let length = rest.and_then(|rest| rest.bytes().position(|byte| byte == 0));
        match (rest, length) {
            (Some(rest), Some(length)) => {
                let name = &rest[..length];
                self.budget.read_name(name.as_bytes(), graph.name())?;
                Ok(Cow::Borrowed(name))
            }
            _ => self.unusual_name(graph, symbol),
        }
    }

    /// The name of a symbol that lies among others that are not UTF-8, or outside of the table.
    #[cold]
    fn unusual_name(
        &self,
        graph: &Graph<'_>,
        symbol: &elf::Sym64<LittleEndian>,
    ) -> Result<Cow<'a, str>> {
        let name = self
            .symbols
            .symbol_name(ENDIAN, symbol)
            .map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        self.text(graph, name)
    }

    /// Whether the name of a symbol has this letter in it. One look at all names: hardly an object has versions.
    pub(super) fn has_in_names(&self, letter: u8) -> bool {
        self.names
            .is_none_or(|names| names.as_bytes().contains(&letter))
    }

    /// A name as text. Names are any bytes; what of them is not UTF-8 is written as in C.
    pub(super) fn text(&self, graph: &Graph<'_>, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
        let text = name_of(bytes);
        if let Cow::Owned(text) = &text {
            let length = text.len() as u64;
            self.budget.spend(Resource::Bytes, length, graph.name())?;
        }
        Ok(text)
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
