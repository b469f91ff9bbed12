//! Symbol files for what has none: functions that were placed by hand, and frames of other compilers.
//!
//! A debugger takes functions from the symbols of such a file, and how to get from a frame to its caller from its `.eh_frame`. One section
//! covers all functions, which come from one allocation.

use crate::arch::FrameRules;
use crate::code::{Function, Region};
use crate::elf::{self, SYMBOL, Section};
use object::elf::{SHF_ALLOC, SHT_PROGBITS, SHT_SYMTAB, STB_GLOBAL, STT_FUNC};

/// The file for functions, which are at least one, on a machine with this ELF number.
pub(crate) fn of_functions(machine: u16, functions: &[Function]) -> Vec<u8> {
    let starts = functions.iter().map(|function| function.address.value());
    let first = starts.min().unwrap_or_default();
    let end = |function: &Function| function.address.value().saturating_add(function.size);
    let last = functions.iter().map(end).max().unwrap_or(first);

    let name_bytes = functions.iter().map(|function| function.name.len() + 1);
    let mut names = Vec::with_capacity(1 + name_bytes.sum::<usize>());
    names.push(0);
    let mut symbols = Vec::with_capacity(SYMBOL * (functions.len() + 1));
    symbols.resize(SYMBOL, 0);
    for function in functions {
        let name = elf::put_name(&mut names, &function.name);
        put_symbol(&mut symbols, name, function, first);
    }
    let symbols = Section {
        name: ".symtab",
        kind: SHT_SYMTAB.0,
        content: symbols,
        // The section of their names; the first symbol that is not local.
        link: 3,
        info: 1,
        entry: SYMBOL as u64,
        ..Section::default()
    };
    let code = Section::code(first, last - first);
    let names = Section::names(".strtab", names);
    elf::file(machine, vec![code, symbols, names])
}

fn put_symbol(symbols: &mut Vec<u8>, name: u32, function: &Function, first: u64) {
    symbols.extend(name.to_le_bytes());
    symbols.extend([(STB_GLOBAL.0 << 4) | STT_FUNC.0, 0]);
    symbols.extend(1_u16.to_le_bytes());
    symbols.extend((function.address.value() - first).to_le_bytes());
    symbols.extend(function.size.to_le_bytes());
}

/// The file for regions of code that keeps frame pointers.
pub(crate) fn of_frames(machine: u16, rules: &FrameRules, regions: &[Region]) -> Vec<u8> {
    let mut frames = common_entry(rules);
    for region in regions {
        put_region(&mut frames, region);
    }
    // The end of the list.
    frames.extend(0_u32.to_le_bytes());
    let code = regions
        .iter()
        .map(|region| Section::code(region.address.value(), region.size));
    let frames = Section {
        name: ".eh_frame",
        kind: SHT_PROGBITS.0,
        flags: SHF_ALLOC.0,
        content: frames,
        ..Section::default()
    };
    elf::file(machine, code.chain([frames]).collect())
}

/// The common information entry (CIE): how every frame is unwound. Format: Linux Standard Base, "Exception Frames".
fn common_entry(rules: &FrameRules) -> Vec<u8> {
    let mut entry = Vec::new();
    entry.extend(0_u32.to_le_bytes());
    // Version 1, no augmentation, code alignment 1, data alignment -8 (as a signed LEB128).
    entry.extend([1, 0, 1, 0x78, rules.return_address]);
    entry.extend(rules.instructions);
    sized(entry)
}

/// The frame description entry (FDE) of a region, with whole addresses.
fn put_region(frames: &mut Vec<u8>, region: &Region) {
    let mut entry = Vec::new();
    // How far back the common entry is, which stands first.
    entry.extend((frames.len() as u32 + 4).to_le_bytes());
    entry.extend(region.address.value().to_le_bytes());
    entry.extend(region.size.to_le_bytes());
    frames.extend(sized(entry));
}

/// An entry with its length before it, padded with instructions that do nothing to a multiple of 8 bytes.
fn sized(mut entry: Vec<u8>) -> Vec<u8> {
    let size = (entry.len() + 4).next_multiple_of(8) - 4;
    entry.resize(size, 0);
    let mut all = (size as u32).to_le_bytes().to_vec();
    all.extend(entry);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::Address;
    use gimli::UnwindSection;
    use object::elf::{EM_X86_64, ET_REL};
    use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
    use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};

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
        let bytes = of_functions(EM_X86_64.0, &functions);
        let file = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
        let code = file
            .elf_section_table()
            .section(object::SectionIndex(1))
            .unwrap();
        assert_eq!(code.sh_addr(LittleEndian), 0x7000_0000);
        assert_eq!(code.sh_size(LittleEndian), 0x50);
        assert_eq!(file.elf_header().e_type(LittleEndian), ET_REL);
        let found: Vec<_> = file
            .symbols()
            .map(|symbol| (symbol.name().unwrap(), symbol.address(), symbol.size()))
            .collect();
        assert_eq!(found, [("second", 0x40, 16), ("first", 0, 32)]);
    }

    #[test]
    fn a_reader_of_unwind_information_finds_the_caller_of_a_frame() {
        let rules = crate::arch::frame_rules(codeslab::Architecture::X86_64).unwrap();
        let region = |address, size| Region {
            address: Address::new(address),
            size,
        };
        let regions = [region(0x1000, 0x100), region(0x9000, 0x10)];
        let bytes = of_frames(EM_X86_64.0, rules, &regions);
        let file = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
        let section = file.section_by_name(".eh_frame").unwrap();
        let frames = gimli::EhFrame::new(section.data().unwrap(), gimli::LittleEndian);
        let bases = gimli::BaseAddresses::default();
        for address in [0x1000, 0x10ff, 0x9008] {
            let mut context = gimli::UnwindContext::new();
            let cie = gimli::EhFrame::cie_from_offset;
            let row = frames.unwind_info_for_address(&bases, &mut context, address, cie);
            let row = row.unwrap();
            // The frame pointer is register 6, the return address 16.
            let cfa = gimli::CfaRule::RegisterAndOffset {
                register: gimli::Register(6),
                offset: 16,
            };
            assert_eq!(*row.cfa(), cfa);
            let saved = |register| row.register(gimli::Register(register));
            assert_eq!(saved(16), gimli::RegisterRule::Offset(-8));
            assert_eq!(saved(6), gimli::RegisterRule::Offset(-16));
        }
        let mut context = gimli::UnwindContext::new();
        let cie = gimli::EhFrame::cie_from_offset;
        let outside = frames.unwind_info_for_address(&bases, &mut context, 0x1100, cie);
        assert!(outside.is_err());
    }
}
