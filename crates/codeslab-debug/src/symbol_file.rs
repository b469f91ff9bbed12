//! An ELF file for functions that were placed by hand: a section header where they lie, a symbol for each, no bytes of code.
//!
//! Debuggers read it from memory and the code from the process. Its type is that of an object file (`ET_REL`), so symbols count from their
//! section, and the section's address is where it was placed. One section covers all functions, which come from one allocation.

use crate::code::Function;
use object::elf;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;
/// Section headers: none, code, symbols, names of symbols, names of sections.
const SECTIONS: usize = 5;
const SECTION_NAMES: &[u8] = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
/// Where the names of the sections begin in it, in their order.
const NAME_OFFSETS: [u32; SECTIONS] = [0, 1, 7, 15, 23];

/// The file for functions, which are at least one, on a machine with this ELF number.
pub(crate) fn symbol_file(machine: u16, functions: &[Function]) -> Vec<u8> {
    let first = functions
        .iter()
        .map(|function| function.address.value())
        .min();
    let first = first.unwrap_or_default();
    let end = |function: &Function| function.address.value().saturating_add(function.size);
    let last = functions.iter().map(end).max().unwrap_or(first);

    let mut names = vec![0];
    let mut symbols = vec![0; SYMBOL];
    for function in functions {
        let name = names.len() as u32;
        names.extend(function.name.bytes().filter(|byte| *byte != 0));
        names.push(0);
        put_symbol(&mut symbols, name, function, first);
    }

    let symbols_at = (HEADER + SECTIONS * SECTION_HEADER) as u64;
    let names_at = symbols_at + symbols.len() as u64;
    let section_names_at = names_at + names.len() as u64;
    let mut file = header(machine);
    let sections = [
        Section::default(),
        Section {
            kind: elf::SHT_NOBITS.0,
            flags: elf::SHF_ALLOC.0 | elf::SHF_EXECINSTR.0,
            address: first,
            size: last - first,
            ..Section::default()
        },
        Section {
            kind: elf::SHT_SYMTAB.0,
            offset: symbols_at,
            size: symbols.len() as u64,
            // The table of their names; the first symbol that is not local.
            link: 3,
            info: 1,
            entry: SYMBOL as u64,
            ..Section::default()
        },
        Section::text(names_at, names.len()),
        Section::text(section_names_at, SECTION_NAMES.len()),
    ];
    for (section, name) in sections.iter().zip(NAME_OFFSETS) {
        section.put(&mut file, name);
    }
    file.extend(symbols);
    file.extend(names);
    file.extend(SECTION_NAMES);
    file
}

fn header(machine: u16) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER + SECTIONS * SECTION_HEADER);
    file.extend(elf::ELFMAG);
    // 64 bits, little-endian, version 1, and padding.
    file.extend([2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(elf::ET_REL.0.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    // No entry point, no program headers; section headers follow at once.
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend((HEADER as u64).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for half in [HEADER, 0, 0, SECTION_HEADER, SECTIONS, SECTIONS - 1] {
        file.extend((half as u16).to_le_bytes());
    }
    file
}

fn put_symbol(symbols: &mut Vec<u8>, name: u32, function: &Function, first: u64) {
    let info = (elf::STB_GLOBAL.0 << 4) | elf::STT_FUNC.0;
    symbols.extend(name.to_le_bytes());
    symbols.extend([info, 0]);
    symbols.extend(1_u16.to_le_bytes());
    symbols.extend((function.address.value() - first).to_le_bytes());
    symbols.extend(function.size.to_le_bytes());
}

#[derive(Default)]
struct Section {
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    entry: u64,
}

impl Section {
    fn text(offset: u64, size: usize) -> Self {
        Self {
            kind: elf::SHT_STRTAB.0,
            offset,
            size: size as u64,
            ..Self::default()
        }
    }

    fn put(&self, file: &mut Vec<u8>, name: u32) {
        file.extend(name.to_le_bytes());
        file.extend(self.kind.to_le_bytes());
        for word in [self.flags, self.address, self.offset, self.size] {
            file.extend(word.to_le_bytes());
        }
        file.extend(self.link.to_le_bytes());
        file.extend(self.info.to_le_bytes());
        // Alignment, and the size of an entry.
        file.extend(1_u64.to_le_bytes());
        file.extend(self.entry.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::Address;
    use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
    use object::{LittleEndian, Object, ObjectSymbol};

    #[test]
    fn a_reader_of_elf_finds_each_function_where_it_is() {
        let function = |name: &str, address, size| Function {
            name: name.to_owned(),
            address: Address::new(address),
            size,
        };
        let functions = [
            function("second", 0x7000_0040, 16),
            function("first", 0x7000_0000, 32),
        ];
        let bytes = symbol_file(elf::EM_X86_64.0, &functions);
        let file = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
        let code = file
            .elf_section_table()
            .section(object::SectionIndex(1))
            .unwrap();
        assert_eq!(code.sh_addr(LittleEndian), 0x7000_0000);
        assert_eq!(code.sh_size(LittleEndian), 0x50);
        assert_eq!(file.elf_header().e_type(LittleEndian), elf::ET_REL);
        let found: Vec<_> = file
            .symbols()
            .map(|symbol| (symbol.name().unwrap(), symbol.address(), symbol.size()))
            .collect();
        assert_eq!(found, [("second", 0x40, 16), ("first", 0, 32)]);
    }
}
