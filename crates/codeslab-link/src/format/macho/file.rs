//! A Mach-O object whose tables are found: the checks before anything in it is believed, and its names.
//!
//! The other files of this folder read the tables and turn them into a graph.

use crate::arch::{Types, by_number, foreign_name, native};
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::format::name::name_of;
use crate::graph::{Graph, SectionIndex};
use object::macho::{
    self, CpuSubtype, CpuType, MachHeader64, RelocationInfo, Section64, SectionFlags,
};
use object::read::macho::{MachHeader as _, Nlist as _, Section as _, Segment as _, SymbolTable};
use object::{BinaryFormat, LittleEndian};
use std::borrow::Cow;

pub(super) const ENDIAN: LittleEndian = LittleEndian;
pub(super) type Header = MachHeader64<LittleEndian>;
pub(super) type Section = Section64<LittleEndian>;
pub(super) type Nlist = macho::Nlist64<LittleEndian>;

/// An object whose tables are found, on its way to a graph.
pub(super) struct MachObject<'a, 'b> {
    pub(super) bytes: &'a [u8],
    /// What it is made for.
    pub(super) types: Types,
    /// In the order of their numbers, which begin with 1.
    pub(super) sections: Vec<&'a Section>,
    pub(super) symbols: SymbolTable<'a, Header>,
    pub(super) budget: &'b Budget,
}

/// Which section of the graph a section of the object became, by number less 1; `None` for those that are not loaded.
pub(super) type Loaded = Vec<Option<SectionIndex>>;

/// A little-endian word.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Opens the object in `bytes`; `name` is what errors call it.
pub(super) fn open<'a, 'b>(
    name: &str,
    bytes: &'a [u8],
    budget: &'b Budget,
) -> Result<MachObject<'a, 'b>> {
    let malformed = |error: object::read::Error| Error::malformed(name, error.to_string());
    if word(bytes, 0) == Some(macho::MH_MAGIC) {
        return Err(wrong_architecture(name, "a machine of 32 bits".to_owned()));
    }
    let header = Header::parse(bytes, 0).map_err(malformed)?;
    let types = types_of(name, header.cputype(ENDIAN), header.cpusubtype(ENDIAN))?;
    let kind = header.filetype(ENDIAN);
    if kind != macho::MH_OBJECT {
        return Err(Error::NotRelocatable {
            object: name.to_owned(),
            format: "Mach-O",
            found: match kind {
                macho::MH_EXECUTE => "executable".to_owned(),
                macho::MH_DYLIB | macho::MH_BUNDLE => "shared library".to_owned(),
                other => format!("file of type {}", other.0),
            },
        });
    }
    let mut object = MachObject {
        bytes,
        types,
        sections: Vec::new(),
        symbols: SymbolTable::default(),
        budget,
    };
    let mut commands = header.load_commands(ENDIAN, bytes, 0).map_err(malformed)?;
    while let Some(command) = commands.next().map_err(malformed)? {
        budget.spend(Resource::Steps, 1, name)?;
        if let Some((segment, data)) = command.segment_64().map_err(malformed)? {
            let sections = segment.sections(ENDIAN, data).map_err(malformed)?;
            object.sections.extend(sections);
        } else if let Some(table) = command.symtab().map_err(malformed)? {
            object.symbols = table.symbols(ENDIAN, bytes).map_err(malformed)?;
        }
    }
    let (sections, symbols) = (object.sections.len() as u64, object.symbols.len() as u64);
    budget.spend(Resource::Steps, sections, name)?;
    // Each section gets a symbol, too.
    budget.spend(Resource::Symbols, symbols + sections, name)?;
    check_overlap(name, &object)?;
    Ok(object)
}

/// Whether the objects of a machine have rules of their own that are not known here.
pub(super) fn is_foreign(kind: CpuType, subtype: CpuSubtype) -> bool {
    by_number(BinaryFormat::MachO, kind.0).is_none()
        || foreign_name(BinaryFormat::MachO, with_subtype(kind, subtype)).is_some()
}

/// What to call a machine.
pub(super) fn name_of_type(kind: CpuType, subtype: CpuSubtype) -> String {
    let format = BinaryFormat::MachO;
    let known = foreign_name(format, with_subtype(kind, subtype));
    let known = known.or_else(|| foreign_name(format, kind.0));
    let known = known.or_else(|| Some(by_number(format, kind.0)?.machine.name()));
    known.map_or_else(|| format!("Mach-O machine {:#x}", kind.0), str::to_owned)
}

/// A machine and its subtype, whose high byte says other things, in one number.
const fn with_subtype(kind: CpuType, subtype: CpuSubtype) -> u32 {
    kind.0 | (subtype.0 & 0xff) << 16
}

/// What the objects of a machine have of their own.
fn types_of(name: &str, kind: CpuType, subtype: CpuSubtype) -> Result<Types> {
    let types = by_number(BinaryFormat::MachO, kind.0);
    let types = types.filter(|_| !is_foreign(kind, subtype));
    types.ok_or_else(|| wrong_architecture(name, name_of_type(kind, subtype)))
}

fn wrong_architecture(name: &str, found: String) -> Error {
    let machine = native().map_or("the machine of this process", |machine| machine.name());
    Error::WrongArchitecture {
        object: name.to_owned(),
        found,
        expected: format!("{machine} (Mach-O)"),
    }
}

/// Sections that share their bytes would let a small file ask for a large graph and a large image.
fn check_overlap(name: &str, object: &MachObject<'_, '_>) -> Result<()> {
    let sizes = object.sections.iter();
    let sizes = sizes.filter_map(|section| section.file_size(ENDIAN));
    let total = sizes.fold(0_u64, u64::saturating_add);
    if total > object.bytes.len() as u64 {
        return Err(Error::malformed(
            name,
            "its sections are longer than the file",
        ));
    }
    Ok(())
}

impl<'a> MachObject<'a, '_> {
    /// The name of a section, as assemblers write it: segment and section.
    pub(super) fn section_name(&self, graph: &Graph<'_>, section: &Section) -> Result<String> {
        let (segment, name) = (section.segment_name(), section.name());
        let length = (segment.len() + name.len()) as u64;
        self.budget.spend(Resource::Bytes, length, graph.name())?;
        Ok(format!("{},{}", name_of(segment), name_of(name)))
    }

    /// The address that the assembler gave the section that an entry of relocations names.
    pub(super) fn start_of(&self, entry: &RelocationInfo) -> u64 {
        let index = (entry.r_symbolnum as usize).wrapping_sub(1);
        let section = self.sections.get(index);
        section.map_or(0, |section| section.addr(ENDIAN))
    }

    /// The bytes of a section; none for one that is zeros.
    pub(super) fn section_data(&self, graph: &Graph<'_>, section: &Section) -> Result<&'a [u8]> {
        let data = section.data(ENDIAN, self.bytes, section.offset(ENDIAN).into());
        data.map_err(|error| graph.malformed(error.to_string()))
    }

    /// The name of a symbol, as it stands in the file.
    pub(super) fn symbol_name(&self, graph: &Graph<'_>, symbol: &Nlist) -> Result<Cow<'a, str>> {
        let name = symbol.name(ENDIAN, self.symbols.strings());
        let name = name.map_err(|error| graph.malformed(error.to_string()))?;
        self.budget.read_name(name, graph.name())?;
        self.text(graph, name)
    }

    /// The name at an offset of the table of names.
    pub(super) fn string(&self, graph: &Graph<'_>, offset: u64) -> Result<Cow<'a, str>> {
        let offset = u32::try_from(offset).ok();
        let name = offset.and_then(|offset| self.symbols.strings().get(offset).ok());
        let name = name.ok_or_else(|| graph.malformed("a name lies outside of the file"))?;
        self.budget.read_name(name, graph.name())?;
        self.text(graph, name)
    }

    fn text(&self, graph: &Graph<'_>, name: &'a [u8]) -> Result<Cow<'a, str>> {
        let name = name_of(name);
        if let Cow::Owned(name) = &name {
            let length = name.len() as u64;
            self.budget.spend(Resource::Bytes, length, graph.name())?;
        }
        Ok(name)
    }
}

/// The flags of a section.
pub(super) fn flags(section: &Section) -> SectionFlags {
    section.flags(ENDIAN)
}
