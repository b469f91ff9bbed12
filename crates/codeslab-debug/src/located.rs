//! A linked object as tools see it: its functions, and the lines of source that their code came from.
//!
//! Its section headers say where each section lies, so what a symbol or a relocation of the debug information means is a number: that of
//! its section, of the symbol, and of the addend. What cannot be read is left out: a profile without lines is better than none, and the
//! object was linked already.
//!
//! The linker has not looked at debug information, and a symbol may say any size. So a function ends where its section does, and what is
//! read is in proportion to the object: see [`Allowance`].

use crate::code::Function;
use codeslab::Address;
use gimli::{AttributeValue, Dwarf, EndianReader, Reader as _, RunTimeEndian, Section as _};
use object::read::elf::{ElfFile64, ElfSymbol64};
use object::{
    LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget, SymbolKind,
};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

type File<'a> = ElfFile64<'a, LittleEndian>;
type Reader = EndianReader<RunTimeEndian, Rc<[u8]>>;
type Program = gimli::IncompleteLineProgram<Reader>;

/// How many bytes may be read again and again, or written, for an object. Names, abbreviations and programs of lines may be shared by all that
/// refers to them, and functions may overlap: a megabyte could say a terabyte. No compiler comes near this.
#[derive(Debug)]
pub(crate) struct Allowance(u64);

impl Allowance {
    /// That of an object of so many bytes.
    pub(crate) const fn of(length: usize) -> Self {
        Self((length as u64).saturating_mul(16).saturating_add(1 << 20))
    }

    /// Takes `amount`, if so much is left.
    pub(crate) fn take(&mut self, amount: u64) -> Option<()> {
        self.0 = self.0.checked_sub(amount)?;
        Some(())
    }
}

/// Where code of a line begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) address: u64,
    pub(crate) file: Rc<str>,
    pub(crate) number: u32,
}

/// The functions of an object, local ones as well, in the order of its symbols.
pub(crate) fn functions(bytes: &[u8]) -> Vec<Function> {
    let Ok(file) = File::parse(bytes) else {
        return Vec::new();
    };
    let mut allowance = Allowance::of(bytes.len());
    let functions = file.symbols().filter_map(|symbol| {
        let (address, size) = place(&file, &symbol)?;
        let name = symbol.name().unwrap_or_default();
        allowance.take(name.len() as u64)?;
        Some(Function {
            name: name.to_owned(),
            address,
            size,
        })
    });
    functions.collect()
}

/// Where the code of a function is, and how many bytes of it are in its section.
fn place(file: &File<'_>, symbol: &ElfSymbol64<'_, '_, LittleEndian>) -> Option<(Address, u64)> {
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let start = Some(section.address()).filter(|start| *start > 0)?;
    let rest = section.size().checked_sub(symbol.address())?;
    let size = symbol.size().min(rest);
    let is_function = symbol.kind() == SymbolKind::Text && size > 0;
    let address = start.checked_add(symbol.address())?;
    is_function.then_some((Address::new(address), size))
}

/// The lines of an object's debug information, by address.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Vec<Line>,
}

impl Lines {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut lines = Self::default();
        if let Some(dwarf) = dwarf(bytes) {
            // What was read before something that cannot be is as good as without it.
            let _ = lines.read(&dwarf, &mut Allowance::of(bytes.len()));
            lines.lines.sort_by_key(|line| line.address);
        }
        lines
    }

    /// The lines that a function's code came from.
    pub(crate) fn within(&self, function: &Function) -> &[Line] {
        let first = function.address.value();
        let end = first.saturating_add(function.size);
        let before = |address| self.lines.partition_point(|line| line.address < address);
        &self.lines[before(first)..before(end)]
    }

    /// Reads the programs of all units, each once.
    fn read(&mut self, dwarf: &Dwarf<Reader>, allowance: &mut Allowance) -> Option<()> {
        let mut seen = HashSet::new();
        let mut units = dwarf.units();
        while let Ok(Some(unit)) = units.next() {
            // An abbreviation may have as many attributes as there are bytes, of which a unit needs none.
            let abbreviations = dwarf.debug_abbrev.reader().len();
            allowance.take(abbreviations.saturating_sub(unit.debug_abbrev_offset().0) as u64)?;
            let Some((offset, folder)) = root(dwarf, &unit) else {
                continue;
            };
            if !seen.insert(offset.0) {
                continue;
            }
            let program = dwarf
                .debug_line
                .program(offset, unit.address_size(), folder, None);
            if let Ok(program) = program {
                allowance.take(program.header().unit_length() as u64)?;
                self.run(dwarf, program, allowance)?;
            }
        }
        Some(())
    }

    /// Runs a program of lines: each byte of it makes one row at most.
    fn run(
        &mut self,
        dwarf: &Dwarf<Reader>,
        program: Program,
        allowance: &mut Allowance,
    ) -> Option<()> {
        let mut files = HashMap::new();
        let mut rows = program.rows();
        // Within a sequence, what comes later at an address counts.
        let mut last: Option<u64> = None;
        while let Ok(Some((header, row))) = rows.next_row() {
            if row.end_sequence() {
                last = None;
                continue;
            }
            let address = row.address();
            if last == Some(address) {
                self.lines.pop();
            }
            last = None;
            let Some(number) = row.line().and_then(|line| u32::try_from(line.get()).ok()) else {
                continue;
            };
            let file = match files.entry(row.file_index()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let path = path(dwarf, header, row.file_index());
                    allowance.take(path.as_ref().map_or(0, |path| path.len() as u64))?;
                    new.insert(path)
                }
            };
            if let Some(file) = file {
                let file = Rc::clone(file);
                self.lines.push(Line {
                    address,
                    file,
                    number,
                });
                last = Some(address);
            }
        }
        Some(())
    }
}

/// Where a unit's program of lines is, and the folder that it was compiled in.
fn root(
    dwarf: &Dwarf<Reader>,
    unit: &gimli::UnitHeader<Reader>,
) -> Option<(gimli::DebugLineOffset, Option<Reader>)> {
    let abbreviations = unit.abbreviations(&dwarf.debug_abbrev).ok()?;
    let mut entries = unit.entries(&abbreviations);
    let (_, root) = entries.next_dfs().ok()??;
    let program = root.attr_value(gimli::DW_AT_stmt_list).ok()??;
    let AttributeValue::DebugLineRef(program) = program else {
        return None;
    };
    let folder = root.attr_value(gimli::DW_AT_comp_dir).ok()?;
    Some((program, folder.and_then(|folder| text(dwarf, folder))))
}

fn text(dwarf: &Dwarf<Reader>, value: AttributeValue<Reader>) -> Option<Reader> {
    match value {
        AttributeValue::String(text) => Some(text),
        AttributeValue::DebugStrRef(offset) => dwarf.debug_str.get_str(offset).ok(),
        AttributeValue::DebugLineStrRef(offset) => dwarf.debug_line_str.get_str(offset).ok(),
        _ => None,
    }
}

/// The path of a file of a program, from the root where the program says so much.
fn path(
    dwarf: &Dwarf<Reader>,
    header: &gimli::LineProgramHeader<Reader>,
    index: u64,
) -> Option<Rc<str>> {
    let file = header.file(index)?;
    // The folder that was compiled in is number 0, which others are relative to.
    let own = (file.directory_index() != 0)
        .then(|| file.directory(header))
        .flatten();
    let parts = [header.directory(0), own, Some(file.path_name())];
    let mut path = String::new();
    for part in parts.into_iter().flatten() {
        let part = text(dwarf, part)?;
        let part = part.to_string_lossy().ok()?;
        if part.starts_with('/') {
            path.clear();
        } else if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(&part);
    }
    Some(path.into())
}

/// The debug information of an object.
fn dwarf(bytes: &[u8]) -> Option<Dwarf<Reader>> {
    let file = File::parse(bytes).ok()?;
    let section = |id: gimli::SectionId| Ok::<_, gimli::Error>(section(&file, id.name()));
    Dwarf::load(section).ok()
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

#[cfg(test)]
mod tests;
