//! Objects that a compiler makes, and objects that say what none says.

use super::*;
use codeslab_testing::hostile::elf::{
    ALLOC, CODE, PROGBITS, Section, name_table, object, stored, symbol, symbol_table,
};
use std::process::Command;

const FUNCTION: u8 = 0x12;
const AT: u64 = 0x7f00_0000_1000;

/// A symbol of a function at `value` of section 1, with any size.
fn function(name: u32, value: u64, size: u64) -> [u8; 24] {
    let mut symbol = symbol(name, FUNCTION, 1);
    symbol[8..16].copy_from_slice(&value.to_le_bytes());
    symbol[16..].copy_from_slice(&size.to_le_bytes());
    symbol
}

/// An object of 16 bytes of code that lies at `address`, and these symbols.
fn with_symbols(address: u64, symbols: &[[u8; 24]], names: &[&[u8]]) -> Vec<u8> {
    let code = Section {
        address,
        ..stored(PROGBITS, ALLOC | CODE, vec![0xc3; 16])
    };
    let symbols = symbol_table(3, symbols);
    object(&[code, symbols, name_table(names), name_table(&[])])
}

#[test]
fn a_function_ends_where_its_section_does_whatever_its_symbol_says() {
    let symbols = [
        function(1, 0, 8),
        function(1, 8, u64::MAX),
        function(1, 16, 1),
        function(1, 17, 1),
        function(1, u64::MAX, 2),
        function(1, 0, 0),
    ];
    let found = functions(&with_symbols(AT, &symbols, &[b"f"]));
    let found: Vec<_> = found
        .iter()
        .map(|function| (function.address.value() - AT, function.size))
        .collect();
    assert_eq!(found, [(0, 8), (8, 8)]);
    assert_eq!(functions(&with_symbols(0, &symbols, &[b"f"])), []);
    assert_eq!(
        functions(&with_symbols(u64::MAX, &symbols[1..2], &[b"f"])),
        []
    );
}

#[test]
fn names_that_functions_share_are_read_in_proportion_to_the_object() {
    let long = vec![b'n'; 100_000];
    let object = with_symbols(AT, &vec![function(1, 0, 1); 10_000], &[&long]);
    let names = functions(&object)
        .iter()
        .map(|function| function.name.len())
        .sum::<usize>();
    assert!(names > long.len(), "some are there");
    assert!(names as u64 <= Allowance::of(object.len()).0, "{names}");
}

#[test]
fn lines_of_a_compiler_are_found_in_every_version_that_it_writes() {
    let folder = std::env::temp_dir().join(format!("codeslab-lines-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("folder")).unwrap();
    let source = "int twice(int n) {\n  return n * 2;\n}\n#include \"folder/more.h\"\n";
    std::fs::write(folder.join("source.c"), source).unwrap();
    let more = "\n\nint more(int n) { return n + 1; }\n";
    std::fs::write(folder.join("folder/more.h"), more).unwrap();
    for version in ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
        let options = ["-O1", "-c", version, "source.c", "-o", "object.o"];
        let run = Command::new("cc")
            .args(options)
            .current_dir(&folder)
            .output();
        assert!(
            run.as_ref().is_ok_and(|output| output.status.success()),
            "{run:?}"
        );
        let bytes = std::fs::read(folder.join("object.o")).unwrap();
        let lines = Lines::of(&bytes);
        let all = Function {
            name: String::new(),
            address: Address::new(0),
            size: 1 << 20,
        };
        let found = lines.within(&all);
        let has = |file: &str, number: u32| {
            let path = folder.join(file);
            let path = path.to_str().unwrap();
            found
                .iter()
                .any(|line| &*line.file == path && line.number == number)
        };
        assert!(
            (has("source.c", 2) || has("source.c", 3)) && has("folder/more.h", 3),
            "{version}: {found:?}"
        );
        assert!(found.is_sorted_by_key(|line| line.address), "{version}");
        let none = Function {
            address: Address::new(1 << 30),
            ..all
        };
        assert_eq!(lines.within(&none), []);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// An object whose units all have one program of lines, or one each that begins a byte later.
fn with_units(units: u32, abbreviation: &[u8], program: &[u8]) -> Vec<u8> {
    let mut info = Vec::new();
    for _ in 0..units {
        // Length, version 4, abbreviations at 0, addresses of 8 bytes; the first abbreviation; DW_AT_stmt_list 0.
        info.extend(12_u32.to_le_bytes());
        info.extend([4, 0, 0, 0, 0, 0, 8, 1]);
        info.extend(0_u32.to_le_bytes());
    }
    let named = |name: u32, bytes: Vec<u8>| Section {
        name,
        ..stored(PROGBITS, 0, bytes)
    };
    object(&[
        named(1, info),
        named(13, abbreviation.to_vec()),
        named(27, program.to_vec()),
        name_table(&[b".debug_info", b".debug_abbrev", b".debug_line"]),
    ])
}

/// `DW_TAG_compile_unit` without children, with `DW_AT_stmt_list` of form `DW_FORM_sec_offset`.
const ABBREVIATION: [u8; 8] = [1, 0x11, 0, 0x10, 0x17, 0, 0, 0];

/// A program of version 4 with one folder, `files` in it, and a row at each address from 1 on, each of the next file.
fn program(folder: usize, files: u32) -> Vec<u8> {
    let mut header = vec![1, 1, 1, 0, 1, 10, 0, 1, 1, 1, 1, 0, 0, 0, 1];
    header.extend(vec![b'd'; folder]);
    header.extend([0, 0]);
    for _ in 0..files {
        header.extend(*b"f\0\x01\0\0");
    }
    header.push(0);
    let mut rows = Vec::new();
    for file in 1..=files {
        // DW_LNS_set_file, then a special opcode: one address and no line further.
        let (low, high) = ((file & 0x7f) as u8 | 0x80, (file >> 7) as u8);
        rows.extend([4, low, high & 0x7f, 11]);
    }
    let mut program = 4_u16.to_le_bytes().to_vec();
    program.extend((header.len() as u32).to_le_bytes());
    program.extend([header, rows].concat());
    [(program.len() as u32).to_le_bytes().to_vec(), program].concat()
}

fn everything(lines: &Lines) -> &[Line] {
    lines.within(&Function {
        name: String::new(),
        address: Address::new(0),
        size: u64::MAX,
    })
}

#[test]
fn what_programs_of_lines_share_is_read_in_proportion_to_the_object() {
    let small = with_units(1, &ABBREVIATION, &program(10, 100));
    let lines = Lines::of(&small);
    assert_eq!(everything(&lines).len(), 100, "the object is sound");
    assert_eq!(&*everything(&lines)[7].file, "dddddddddd/f");

    let long_folder = with_units(1, &ABBREVIATION, &program(60_000, 10_000));
    let lines = Lines::of(&long_folder);
    let texts = everything(&lines)
        .iter()
        .map(|line| line.file.len())
        .sum::<usize>();
    assert!(!everything(&lines).is_empty());
    assert!(
        texts as u64 <= Allowance::of(long_folder.len()).0,
        "{texts}"
    );

    let shared = with_units(10_000, &ABBREVIATION, &program(10, 5000));
    assert_eq!(
        everything(&Lines::of(&shared)).len(),
        5000,
        "one program is run once"
    );

    // Attributes of no bytes: DW_FORM_flag_present.
    let mut attributes = ABBREVIATION[..5].to_vec();
    attributes.extend([0x3f, 0x19].repeat(100_000));
    attributes.extend([0, 0, 0]);
    let wide = with_units(100_000, &attributes, &program(10, 10));
    // Without a limit these are ten thousand million attributes.
    assert_eq!(read(&wide), None);
    assert_eq!(read(&small), Some(()));
}

/// Whether all of an object's debug information may be read.
fn read(object: &[u8]) -> Option<()> {
    let dwarf = dwarf(object).unwrap();
    Lines::default().read(&dwarf, &mut Allowance::of(object.len()))
}

#[test]
fn damaged_debug_information_is_left_out() {
    let sound = with_units(3, &ABBREVIATION, &program(10, 100));
    for at in 0..sound.len() {
        for byte in [0, 0xff, sound[at] ^ 0x10] {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            let lines = Lines::of(&bytes);
            assert!(everything(&lines).len() <= 3 * bytes.len());
            functions(&bytes);
        }
        Lines::of(&sound[..at]);
        functions(&sound[..at]);
    }
}
