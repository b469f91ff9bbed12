//! A linked object as tools see it: its functions, and the lines of source that their code came from.
//!
//! Its section headers say where each section lies, so what a symbol or a relocation of the debug information means is a number: that of
//! its section, of the symbol, and of the addend. What cannot be read is left out: a profile without lines is better than none, and the
//! object was linked already.

use crate::code::Function;
use addr2line::Context;
use codeslab::Address;
use gimli::{EndianReader, RunTimeEndian};
use object::read::elf::ElfFile64;
use object::{
    LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget, SymbolKind,
};
use std::rc::Rc;

type File<'a> = ElfFile64<'a, LittleEndian>;
type Reader = EndianReader<RunTimeEndian, Rc<[u8]>>;

/// Where code of a line begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) address: u64,
    pub(crate) file: String,
    pub(crate) number: u32,
}

/// The functions of an object, local ones as well, in the order of its symbols.
pub(crate) fn functions(bytes: &[u8]) -> Vec<Function> {
    let Ok(file) = File::parse(bytes) else {
        return Vec::new();
    };
    let function = |symbol: object::read::elf::ElfSymbol64<'_, '_, LittleEndian>| {
        let is_function = symbol.kind() == SymbolKind::Text && symbol.size() > 0;
        let section = file.section_by_index(symbol.section_index()?).ok()?;
        (is_function && section.address() > 0).then(|| Function {
            name: symbol.name().unwrap_or_default().to_owned(),
            address: Address::new(section.address().wrapping_add(symbol.address())),
            size: symbol.size(),
        })
    };
    file.symbols().filter_map(function).collect()
}

/// The lines of an object's debug information.
pub(crate) struct Lines {
    context: Option<Context<Reader>>,
}

impl Lines {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let context = File::parse(bytes).ok().and_then(|file| {
            let section = |id: gimli::SectionId| Ok::<_, gimli::Error>(section(&file, id.name()));
            let dwarf = gimli::Dwarf::load(section).ok()?;
            Context::from_dwarf(dwarf).ok()
        });
        Self { context }
    }

    /// The lines that a function's code came from, by address.
    pub(crate) fn within(&self, function: &Function) -> Vec<Line> {
        let first = function.address.value();
        let end = first.saturating_add(function.size);
        let Some(context) = &self.context else {
            return Vec::new();
        };
        let Ok(locations) = context.find_location_range(first, end) else {
            return Vec::new();
        };
        let line = |(address, _, location): (u64, u64, addr2line::Location<'_>)| {
            Some(Line {
                address,
                file: location.file?.to_owned(),
                number: location.line?,
            })
        };
        locations.filter_map(line).collect()
    }
}

/// A section of debug information with its relocations applied; nothing where there is none.
fn section(file: &File<'_>, name: &str) -> Reader {
    let bytes = file.section_by_name(name).and_then(|section| {
        let mut bytes = section.uncompressed_data().ok()?.into_owned();
        for (offset, relocation) in section.relocations() {
            let value = value(file, &relocation);
            let size = usize::from(relocation.size() / 8);
            let end = (offset as usize).checked_add(size);
            let field = end.and_then(|end| bytes.get_mut(offset as usize..end));
            if let (Some(value), Some(field)) = (value, field)
                && size <= 8
            {
                field.copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
        Some(bytes)
    });
    EndianReader::new(bytes.unwrap_or_default().into(), RunTimeEndian::Little)
}

/// What a relocation stands for. Debug information has absolute ones; others are left as they are.
fn value(file: &File<'_>, relocation: &object::Relocation) -> Option<u64> {
    if relocation.kind() != RelocationKind::Absolute {
        return None;
    }
    let target = match relocation.target() {
        RelocationTarget::Symbol(index) => {
            let symbol = file.symbol_by_index(index).ok()?;
            let section = symbol.section_index();
            let section = section.and_then(|index| file.section_by_index(index).ok());
            let base = section.map_or(0, |section| section.address());
            base.wrapping_add(symbol.address())
        }
        _ => return None,
    };
    Some(target.wrapping_add_signed(relocation.addend()))
}
