//! A COFF file whose tables are found: the checks before anything in it is believed, and its names.
//!
//! The other files of this folder read the tables and turn them into a graph. They are generic over the header, because the symbols of large
//! objects have longer entries; what else differs the `object` crate knows.

use crate::arch::{Types, by_number, foreign_name, native};
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::graph::{Graph, SectionIndex};
use object::pe::{self, ImageSectionHeader, ImportObjectHeader};
use object::read::coff::{CoffHeader, SectionTable, SymbolTable, anon_object_class_id};
use object::{BinaryFormat, LittleEndian as LE, SymbolIndex};

/// An object whose tables are found, on its way to a graph.
pub(super) struct CoffObject<'a, 'b, C: CoffHeader> {
    pub(super) bytes: &'a [u8],
    /// What it is made for.
    pub(super) types: Types,
    pub(super) sections: SectionTable<'a>,
    pub(super) symbols: SymbolTable<'a, &'a [u8], C>,
    /// When it was made, in seconds, as it says.
    pub(super) timestamp: u32,
    pub(super) budget: &'b Budget,
}

/// Which section of the graph a section of the object became, by number less 1; `None` for those that are not loaded.
pub(super) type Loaded = Vec<Option<SectionIndex>>;

/// What a file of the format is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Object,
    /// Its header has room for more sections.
    BigObject,
    /// A member of an import library in short form.
    Import,
    /// Microsoft's compilers' own form (`/GL`).
    Intermediate,
}

/// Whether `bytes` begin like an executable or a library, which are for the system to load.
pub(super) fn is_executable(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ")
}

/// Tells what a file is.
pub(super) fn kind(name: &str, bytes: &[u8]) -> Result<Kind> {
    if is_executable(bytes) {
        return Err(Error::NotRelocatable {
            object: name.to_owned(),
            format: "PE",
            found: "executable or shared library".to_owned(),
        });
    }
    if !bytes.starts_with(&[0, 0, 0xff, 0xff]) {
        return Ok(Kind::Object);
    }
    if ImportObjectHeader::parse(bytes, &mut 0).is_ok() {
        return Ok(Kind::Import);
    }
    let class = anon_object_class_id(bytes);
    let class = class.map_err(|error| Error::malformed(name, error.to_string()))?;
    if class == pe::ANON_OBJECT_HEADER_BIGOBJ_CLASS_ID {
        return Ok(Kind::BigObject);
    }
    Ok(Kind::Intermediate)
}

/// Opens the object in `bytes`; `name` is what errors call it.
pub(super) fn open<'a, 'b, C: CoffHeader>(
    name: &str,
    bytes: &'a [u8],
    budget: &'b Budget,
) -> Result<CoffObject<'a, 'b, C>> {
    let malformed = |error: object::read::Error| Error::malformed(name, error.to_string());
    let mut end = 0;
    let header = C::parse(bytes, &mut end).map_err(malformed)?;
    let types = types_of(name, header.machine())?;
    if header
        .characteristics()
        .contains(pe::IMAGE_FILE_EXECUTABLE_IMAGE)
    {
        return Err(Error::NotRelocatable {
            object: name.to_owned(),
            format: "COFF",
            found: "executable".to_owned(),
        });
    }
    let sections = header.sections(bytes, end).map_err(malformed)?;
    let symbols = header.symbols(bytes).map_err(malformed)?;
    let object = CoffObject {
        bytes,
        types,
        sections,
        symbols,
        timestamp: timestamp::<C>(bytes),
        budget,
    };
    let (sections, symbols) = (object.sections.len() as u64, object.symbols.len() as u64);
    budget.spend(Resource::Steps, sections, name)?;
    budget.spend(Resource::Symbols, symbols, name)?;
    check_overlap(name, &object)?;
    Ok(object)
}

/// The field behind the number of sections in one header, and behind the machine in the other.
fn timestamp<C: CoffHeader>(bytes: &[u8]) -> u32 {
    let at = if C::is_type_bigobj() { 8 } else { 4 };
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u32::from_le_bytes(*field))
}

/// What the objects of a machine have of their own.
pub(super) fn types_of(name: &str, machine: pe::Machine) -> Result<Types> {
    let number = u32::from(machine.0);
    by_number(BinaryFormat::Coff, number).ok_or_else(|| {
        let known = foreign_name(BinaryFormat::Coff, number);
        let found = known.map_or_else(|| format!("COFF machine {number:#x}"), str::to_owned);
        let machine = native().map_or("the machine of this process", |machine| machine.name());
        Error::WrongArchitecture {
            object: name.to_owned(),
            found,
            expected: format!("{machine} (COFF)"),
        }
    })
}

/// Sections that share their bytes would let a small file ask for a large graph and a large image.
fn check_overlap<C: CoffHeader>(name: &str, object: &CoffObject<'_, '_, C>) -> Result<()> {
    let sizes = object.sections.iter();
    let sizes = sizes.filter_map(ImageSectionHeader::coff_file_range);
    let total = sizes.fold(0_u64, |sum, (_, size)| sum + u64::from(size));
    if total > object.bytes.len() as u64 {
        return Err(Error::malformed(
            name,
            "its sections are longer than the file",
        ));
    }
    Ok(())
}

impl<'a, C: CoffHeader> CoffObject<'a, '_, C> {
    /// The name of a section.
    pub(super) fn section_name(
        &self,
        graph: &Graph<'_>,
        header: &'a ImageSectionHeader,
    ) -> Result<&'a str> {
        let name = header.name(self.symbols.strings());
        let name = name.map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        text(graph, name)
    }

    /// The bytes of a section; none for one that is zeros.
    pub(super) fn section_data(
        &self,
        graph: &Graph<'_>,
        name: &str,
        header: &ImageSectionHeader,
    ) -> Result<&'a [u8]> {
        let data = header.coff_data(self.bytes);
        data.map_err(|()| graph.malformed(format!("section {name} lies outside of the file")))
    }

    /// The name of a symbol.
    pub(super) fn symbol_name(&self, graph: &Graph<'_>, symbol: &'a C::Symbol) -> Result<&'a str> {
        let name = object::read::coff::Symbol::name(symbol, self.symbols.strings());
        let name = name.map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        text(graph, name)
    }

    /// The symbol with this number in the file.
    pub(super) fn symbol(&self, graph: &Graph<'_>, index: SymbolIndex) -> Result<&'a C::Symbol> {
        let symbol = self.symbols.symbol(index);
        symbol.map_err(|error| graph.malformed(error.to_string()))
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

/// The flags of a section.
pub(super) fn flags(header: &ImageSectionHeader) -> pe::SectionFlags {
    header.characteristics.get(LE)
}
