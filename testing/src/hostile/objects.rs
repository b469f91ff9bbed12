//! Hostile objects.

use super::elf::{
    ALLOC, CODE, PROGBITS, Section, TLS, WRITE, kind, name_table, object, relocation,
    relocation_table, stored, symbol, symbol_table,
};
use super::{Hostile, LINKED};
use std::iter::repeat_n;

#[rustfmt::skip] // A table is read by columns.
pub(super) static ALL: [Hostile; 21] = [
    Hostile { name: "many thread-local sections and symbols", outcome: LINKED, make: thread_local },
    Hostile { name: "many constructors", outcome: LINKED, make: constructors },
    Hostile { name: "sections that share a long name", outcome: "WORK_BUDGET", make: shared_section_name },
    Hostile { name: "symbols that share a long name", outcome: "WORK_BUDGET", make: shared_symbol_name },
    Hostile { name: "symbols whose names end alike", outcome: "WORK_BUDGET", make: shared_ends },
    Hostile { name: "groups that share a long signature", outcome: "WORK_BUDGET", make: shared_signature },
    Hostile { name: "groups that share the long name of a section", outcome: "WORK_BUDGET", make: section_signature },
    Hostile { name: "unknown relocations in a section with a long name", outcome: "UNKNOWN_RELOCATION", make: unknown_relocations },
    Hostile { name: "thread-local relocations in a section with a long name", outcome: "UNDEFINED_SYMBOL", make: thread_local_relocations },
    Hostile { name: "tables without addends for a section with a long name", outcome: "UNSUPPORTED", make: tables_without_addends },
    Hostile { name: "indirect functions in a section with a long name", outcome: LINKED, make: indirect_functions },
    Hostile { name: "undefined symbols in a section with a long name", outcome: "UNDEFINED_SYMBOL", make: undefined_symbols },
    Hostile { name: "relocations of one symbol with a long name", outcome: "UNDEFINED_SYMBOL", make: one_undefined_symbol },
    Hostile { name: "writable code in sections with a long name", outcome: "WORK_BUDGET", make: writable_code },
    Hostile { name: "sections without a type over the same bytes", outcome: LINKED, make: sections_without_type },
    Hostile { name: "code at large alignments", outcome: "WORK_BUDGET", make: aligned_code },
    Hostile { name: "data on a page each", outcome: "WORK_BUDGET", make: aligned_data },
    Hostile { name: "many empty sections", outcome: LINKED, make: empty_sections },
    Hostile { name: "many short names", outcome: LINKED, make: short_names },
    Hostile { name: "many common symbols", outcome: LINKED, make: common_symbols },
    Hostile { name: "a long name that is not text", outcome: LINKED, make: not_text },
];

const FUNCTION: u8 = 0x12;
const LOCAL_INDIRECT: u8 = 0x0a;
const LOCAL_THREAD_LOCAL: u8 = 0x06;
const THREAD_LOCAL: u8 = 0x16;
const UNTYPED: u8 = 0x10;
const SECTION_SYMBOL: u8 = 0x03;

fn long(length: usize) -> Section {
    name_table(&[&vec![b'a'; length]])
}

fn no_names() -> Section {
    name_table(&[])
}

/// Eight bytes of code in a section without a name.
fn code() -> Section {
    stored(PROGBITS, ALLOC | CODE, vec![0xc3; 8])
}

/// The same in a section that has the first name of its table.
fn named_code() -> Section {
    Section { name: 1, ..code() }
}

fn zeros(flags: u64) -> Section {
    Section {
        name: 1,
        kind: kind::NOBITS,
        flags: ALLOC | flags,
        size: 8,
        align: 1,
        ..Section::default()
    }
}

/// `n` times `one`, and these behind it.
fn and(one: Section, n: usize, rest: Vec<Section>) -> Vec<u8> {
    let sections: Vec<Section> = repeat_n(one, n).chain(rest).collect();
    object(&sections)
}

fn thread_local(n: usize) -> Vec<u8> {
    let symbols = vec![symbol(1, LOCAL_THREAD_LOCAL, 1); n];
    let names = n as u32 + 2;
    let rest = vec![
        symbol_table(names, &symbols),
        name_table(&[b"v"]),
        name_table(&[b".tbss"]),
    ];
    and(zeros(TLS | WRITE), n, rest)
}

fn constructors(n: usize) -> Vec<u8> {
    and(zeros(WRITE), n, vec![name_table(&[b".init_array"])])
}

fn shared_section_name(n: usize) -> Vec<u8> {
    and(zeros(WRITE), n, vec![long(64 * n)])
}

fn writable_code(n: usize) -> Vec<u8> {
    and(zeros(WRITE | CODE), n, vec![long(64 * n)])
}

fn shared_symbol_name(n: usize) -> Vec<u8> {
    let symbols = vec![symbol(1, UNTYPED, 1); n];
    object(&[code(), symbol_table(3, &symbols), long(64 * n), no_names()])
}

fn shared_ends(n: usize) -> Vec<u8> {
    let symbols: Vec<_> = (0..n as u32).map(|at| symbol(1 + at, UNTYPED, 1)).collect();
    object(&[code(), symbol_table(3, &symbols), long(64 * n), no_names()])
}

fn group(symbols: u32, signature: u32) -> Section {
    let comdat = 1_u32.to_le_bytes().to_vec();
    Section {
        link: symbols,
        info: signature,
        entry_size: 4,
        ..stored(kind::GROUP, 0, comdat)
    }
}

fn shared_signature(n: usize) -> Vec<u8> {
    let symbols = n as u32 + 1;
    let rest = vec![
        symbol_table(symbols + 1, &[symbol(1, UNTYPED, 0xfff1)]),
        long(64 * n),
        no_names(),
    ];
    and(group(symbols, 1), n, rest)
}

fn section_signature(n: usize) -> Vec<u8> {
    let symbols = n as u32 + 1;
    let own = symbols + 2;
    let rest = vec![
        symbol_table(symbols + 1, &[symbol(0, SECTION_SYMBOL, own as u16)]),
        no_names(),
        named_code(),
        long(64 * n),
    ];
    and(group(symbols, 1), n, rest)
}

/// Relocations for a section of code with a long name. Their symbols have names from `names`.
fn relocated(n: usize, relocations: &[[u8; 24]], symbols: &[[u8; 24]], names: Section) -> Vec<u8> {
    let table = relocation_table(3, 1, relocations);
    object(&[
        named_code(),
        table,
        symbol_table(4, symbols),
        names,
        long(100 * n),
    ])
}

fn unknown_relocations(n: usize) -> Vec<u8> {
    relocated(n, &vec![relocation(250, 0); n], &[], no_names())
}

fn thread_local_relocations(n: usize) -> Vec<u8> {
    // R_X86_64_TPOFF32
    relocated(
        n,
        &vec![relocation(23, 1); n],
        &[symbol(1, THREAD_LOCAL, 0)],
        long(100 * n),
    )
}

fn undefined_symbols(n: usize) -> Vec<u8> {
    let names: Vec<String> = (0..n).map(|number| format!("u{number:07}")).collect();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    let symbols: Vec<_> = (0..n as u32)
        .map(|number| symbol(1 + 9 * number, UNTYPED, 0))
        .collect();
    // R_X86_64_PLT32
    let relocations: Vec<_> = (1..=n as u32).map(|number| relocation(4, number)).collect();
    relocated(n, &relocations, &symbols, name_table(&names))
}

fn one_undefined_symbol(n: usize) -> Vec<u8> {
    // R_X86_64_32
    relocated(
        n,
        &vec![relocation(10, 1); n],
        &[symbol(1, UNTYPED, 0)],
        long(100 * n),
    )
}

fn tables_without_addends(n: usize) -> Vec<u8> {
    let table = Section {
        info: n as u32 + 1,
        link: n as u32 + 2,
        entry_size: 16,
        ..stored(kind::REL, 0, vec![0; 16])
    };
    and(
        table,
        n,
        vec![
            named_code(),
            symbol_table(n as u32 + 3, &[]),
            no_names(),
            long(100 * n),
        ],
    )
}

fn indirect_functions(n: usize) -> Vec<u8> {
    let symbols = vec![symbol(0, LOCAL_INDIRECT, 1); n];
    object(&[
        named_code(),
        symbol_table(3, &symbols),
        no_names(),
        long(100 * n),
    ])
}

fn sections_without_type(n: usize) -> Vec<u8> {
    let size = 64 * n as u64;
    let untyped = Section {
        flags: ALLOC | CODE,
        offset: 0,
        size,
        align: 1,
        ..Section::default()
    };
    and(untyped, n, vec![code(), no_names()])
}

fn aligned_code(n: usize) -> Vec<u8> {
    and(
        Section {
            align: 1 << 20,
            ..stored(PROGBITS, ALLOC | CODE, vec![0xc3])
        },
        n,
        vec![no_names()],
    )
}

fn aligned_data(n: usize) -> Vec<u8> {
    and(
        Section {
            align: 4096,
            ..stored(PROGBITS, ALLOC | WRITE, vec![1])
        },
        n,
        vec![no_names()],
    )
}

fn empty_sections(n: usize) -> Vec<u8> {
    let empty = Section {
        kind: kind::NOBITS,
        flags: ALLOC | WRITE,
        align: 1,
        ..Section::default()
    };
    and(empty, n, vec![no_names()])
}

/// Names of two to four letters, all different.
pub(super) fn short_name(number: usize) -> String {
    let letters: Vec<char> = ('!'..='~').collect();
    let mut name = String::new();
    let mut rest = number;
    while rest > 0 || name.len() < 2 {
        name.push(letters[rest % letters.len()]);
        rest /= letters.len();
    }
    name
}

/// `n` global symbols with the shortest names, whose `st_value` and `st_size` are as given.
fn short_symbols(n: usize, section: u16, value: u64, size: u64) -> Vec<u8> {
    let names: Vec<String> = (0..n).map(short_name).collect();
    let mut at = 1;
    let symbols = names.iter().map(|name| {
        let mut symbol = symbol(at, FUNCTION, section);
        symbol[8..16].copy_from_slice(&value.to_le_bytes());
        symbol[16..].copy_from_slice(&size.to_le_bytes());
        at += name.len() as u32 + 1;
        symbol
    });
    let symbols: Vec<_> = symbols.collect();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    object(&[
        code(),
        symbol_table(3, &symbols),
        name_table(&names),
        no_names(),
    ])
}

fn short_names(n: usize) -> Vec<u8> {
    short_symbols(n, 1, 0, 8)
}

fn common_symbols(n: usize) -> Vec<u8> {
    short_symbols(n, 0xfff2, 8, 8)
}

fn not_text(n: usize) -> Vec<u8> {
    object(&[
        Section {
            name: 1,
            ..named_code()
        },
        name_table(&[&vec![0xff; 64 * n]]),
    ])
}
