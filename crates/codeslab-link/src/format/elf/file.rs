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
pub(super) struct ElfObject<'a, 'b> {
    pub(super) bytes: &'a [u8],
    /// What it is made for.
    pub(super) types: Types,
    pub(super) sections: SectionTable<'a, Header>,
    pub(super) symbols: SymbolTable<'a, Header>,
    /// The names of symbols, one after the other with a zero behind each; `None` if not all of them are UTF-8.
    names: Option<&'a str>,
    /// The same for the names of sections.
    section_names: Option<&'a str>,
    /// How many sections may be loaded, at most.
    pub(super) allocated: usize,
    /// Whether there are groups.
    pub(super) has_groups: bool,
    pub(super) budget: &'b Budget,
}

/// Which section of the graph a section of the object became; `None` for those that are not loaded.
pub(super) type Loaded = [Option<SectionIndex>];

/// So many sections most objects have at most.
pub(super) const FEW_SECTIONS: usize = 32;

/// Opens the object in `bytes`; `name` is what errors call it.
pub(super) fn open<'a, 'b>(
    name: &str,
    bytes: &'a [u8],
    budget: &'b Budget,
) -> Result<ElfObject<'a, 'b>> {
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
    let section_names = header
        .shstrndx(ENDIAN, bytes)
        .and_then(|index| sections.section(object::SectionIndex(index as usize)))
        .and_then(|header| header.data(ENDIAN, bytes))
        .unwrap_or_default();
    let mut object = ElfObject {
        bytes,
        types,
        sections,
        symbols,
        // One look at all of them is cheaper than one at each.
        names: std::str::from_utf8(names).ok(),
        section_names: std::str::from_utf8(section_names).ok(),
        allocated: 0,
        has_groups: false,
        budget,
    };
    let (sections, symbols) = (object.sections.len() as u64, object.symbols.len() as u64);
    budget.spend(Resource::Steps, sections, name)?;
    budget.spend(Resource::Symbols, symbols, name)?;
    survey(name, &mut object)?;
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

/// Looks at all sections once: what there is to expect of them. Sections that share their bytes would let a small file ask for a large graph
/// and a large image.
fn survey(name: &str, object: &mut ElfObject<'_, '_>) -> Result<()> {
    let mut total = 0_u64;
    for header in object.sections.iter() {
        let kind = header.sh_type(ENDIAN);
        if !matches!(kind, elf::SHT_NULL | elf::SHT_NOBITS) {
            total = total.saturating_add(header.sh_size(ENDIAN));
        }
        object.allocated += usize::from(header.sh_flags(ENDIAN).contains(elf::SHF_ALLOC));
        object.has_groups |= kind == elf::SHT_GROUP;
    }
    if total > object.bytes.len() as u64 {
        return Err(Error::malformed(
            name,
            "its sections are longer than the file",
        ));
    }
    Ok(())
}

/// The name that begins at `start` among names that are all text.
#[inline]
fn name_in(names: Option<&str>, start: u32) -> Option<&str> {
    let rest = names?.get(start as usize..)?;
    rest.get(..end_of(rest.as_bytes())?)
}

/// Where the first zero is. Names are short: eight bytes at a time are looked at.
#[inline]
fn end_of(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest byte that is zero has its high bit here, and no byte below it.
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    rest.iter().position(|byte| *byte == 0).map(|end| at + end)
}

impl<'a> ElfObject<'a, '_> {
    /// The name of a section, for graphs and errors alike.
    pub(super) fn section_name(&self, graph: &Graph<'_>, index: usize) -> Result<Cow<'a, str>> {
        let index = object::SectionIndex(index);
        let header = self
            .sections
            .section(index)
            .map_err(|error| graph.malformed(error.to_string()))?;
        if let Some(name) = name_in(self.section_names, header.sh_name(ENDIAN)) {
            self.budget.read_name(name.as_bytes(), graph.name())?;
            return Ok(Cow::Borrowed(name));
        }
        let name = self
            .sections
            .section_name(ENDIAN, header)
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
        match name_in(self.names, symbol.st_name(ENDIAN)) {
            Some(name) => {
                self.budget.read_name(name.as_bytes(), graph.name())?;
                Ok(Cow::Borrowed(name))
            }
            None => self.unusual_name(graph, symbol),
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
        // All of them, since it is in none of most objects: there are instructions for many bytes at once.
        let found = |found: u8, byte: u8| found | u8::from(byte == letter);
        self.names
            .is_none_or(|names| names.bytes().fold(0, found) != 0)
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

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn a_name_ends_with_its_first_zero() {
        for length in 0..40 {
            let mut bytes = vec![0x80; length];
            assert_eq!(end_of(&bytes), None);
            bytes.extend([0, 1, 0, 0xff, 0, 0, 0, 0, 0]);
            for start in 0..=length {
                assert_eq!(end_of(&bytes[start..]), Some(length - start));
            }
            let one = vec![1; length];
            assert_eq!(end_of(&one), None, "{length}");
        }
    }
}
