//! Hostile archives.

use super::archive::{
    HEADER_SIZE, MAGIC, archive, bsd_index, coff_index, gnu_index, header, member,
};
use super::elf::{Section, defining, name_table, object, symbol, symbol_table};
use super::objects::short_name;
use super::{Hostile, LINKED};

#[rustfmt::skip] // A table is read by columns.
pub(super) static ALL: [Hostile; 9] = [
    Hostile { name: "members that share a long name", outcome: "WORK_BUDGET", make: shared_name },
    Hostile { name: "indexed members that share a long name", outcome: "WORK_BUDGET", make: indexed_shared_name },
    Hostile { name: "members that lie in each other", outcome: "WORK_BUDGET", make: overlapping },
    Hostile { name: "an index whose symbols share a long name", outcome: "WORK_BUDGET", make: shared_index_name },
    Hostile { name: "an index of many short names", outcome: LINKED, make: short_index },
    Hostile { name: "an index of one name again and again", outcome: LINKED, make: repeated_index },
    Hostile { name: "long names without an end", outcome: "MALFORMED", make: endless_names },
    Hostile { name: "an index whose names have no end", outcome: "MALFORMED", make: endless_index },
    Hostile { name: "an index that leads into the middle of members", outcome: "MALFORMED", make: wrong_index },
];

fn long_names(n: usize) -> Vec<u8> {
    member("//", &[&vec![b'a'; 256 * n], &b"/\n"[..]].concat())
}

fn shared_name(n: usize) -> Vec<u8> {
    let members = (0..n).map(|number| member("/0", &defining(&short_name(number), &[])));
    let all: Vec<Vec<u8>> = std::iter::once(long_names(n)).chain(members).collect();
    archive(&all)
}

/// `f` and `n - 1` other names.
fn names_from_f(n: usize) -> Vec<String> {
    let others = (1..n).map(short_name);
    std::iter::once("f".to_owned()).chain(others).collect()
}

/// Names, one behind the other, each with a zero byte.
fn terminated(names: &[String]) -> Vec<u8> {
    names
        .iter()
        .flat_map(|name| format!("{name}\0").into_bytes())
        .collect()
}

/// Each member needs the next: `f` the first, and so on.
fn indexed_shared_name(n: usize) -> Vec<u8> {
    let names = names_from_f(n + 1);
    let needing = |pair: &[String]| member("/0", &defining(&pair[0], &[&pair[1]]));
    let members: Vec<Vec<u8>> = names.windows(2).map(needing).collect();
    let names = terminated(&names[..n]);
    let table = long_names(n);
    let first = MAGIC.len() + gnu_index(&vec![0; n], &names).len() + table.len();
    let offsets = members.iter().scan(first, |at, member| {
        let offset = *at as u32;
        *at += member.len();
        Some(offset)
    });
    let index = gnu_index(&offsets.collect::<Vec<_>>(), &names);
    let all: Vec<Vec<u8>> = [index, table].into_iter().chain(members).collect();
    archive(&all)
}

/// Bytes from one of the members that lie in each other to the next: their headers, rounded up to whole symbols.
const STEP: usize = 144;

/// `f` needs `n` members, each of which is a header and reaches to the end of the archive. Behind the headers lie symbols that are all
/// the same, so that each member finds as many as there are headers at one distance from its own start, wherever that is.
fn overlapping(n: usize) -> Vec<u8> {
    let names = names_from_f(n + 1);
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let needing = member("f.o/", &defining("f", &others));
    let names = terminated(&names);
    let start = MAGIC.len() + gnu_index(&vec![0; n + 1], &names).len();
    let first = start + needing.len();
    let overlapping = (0..n).map(|number| (first + number * STEP) as u32);
    let offsets: Vec<u32> = std::iter::once(start as u32).chain(overlapping).collect();
    let symbols = symbol(0, 0x10, 0).repeat(2 * n * STEP / 24);
    let tables = headers_of_equal_symbols(n);
    let end = n * STEP + symbols.len();
    let mut bytes = archive(&[gnu_index(&offsets, &names), needing]);
    for number in 0..n {
        let before_tables = end - number * STEP - HEADER_SIZE;
        bytes.extend(header(&format!("m{number}/"), before_tables + tables.len()));
        bytes.extend(file_header(before_tables));
        bytes.resize(first + (number + 1) * STEP, 0);
    }
    bytes.extend(symbols);
    bytes.extend(tables);
    bytes
}

/// The ELF header of an object whose section headers lie at `tables`.
fn file_header(tables: usize) -> Vec<u8> {
    let mut header = object(&[name_table(&[]), name_table(&[])]);
    header.truncate(64);
    header[40..48].copy_from_slice(&(tables as u64).to_le_bytes());
    header
}

/// Section headers: nothing, a table of symbols that lies behind `n` headers and is as long as they are, and its names: the first bytes
/// of a symbol, which are zero.
fn headers_of_equal_symbols(n: usize) -> Vec<u8> {
    let distance = (n * STEP).next_multiple_of(24) + STEP - HEADER_SIZE;
    let at = |section: Section, size: usize| Section {
        bytes: None,
        offset: distance as u64,
        size: size as u64,
        ..section
    };
    let symbols = at(symbol_table(2, &[]), n * STEP - STEP);
    let names = at(name_table(&[]), 4);
    let object = object(&[symbols, names]);
    object[object.len() - 3 * 64..].to_vec()
}

/// Where the only member begins behind an index of this size.
fn behind(index: &[u8]) -> u32 {
    (MAGIC.len() + index.len()) as u32
}

fn shared_index_name(n: usize) -> Vec<u8> {
    let names = [&vec![b'a'; 64 * n][..], b"\0"].concat();
    let offset = behind(&bsd_index(&vec![(0, 0); n], &names));
    archive(&[
        bsd_index(&vec![(0, offset); n], &names),
        member("m.o/", &defining("f", &[])),
    ])
}

fn short_index(n: usize) -> Vec<u8> {
    let names = terminated(&names_from_f(n));
    let offset = behind(&coff_index(0, n as u32, &names));
    archive(&[
        coff_index(offset, n as u32, &names),
        member("m.o/", &defining("f", &[])),
    ])
}

fn repeated_index(n: usize) -> Vec<u8> {
    let names = b"f\0".repeat(n);
    let offset = behind(&gnu_index(&vec![0; n], &names));
    archive(&[
        gnu_index(&vec![offset; n], &names),
        member("m.o/", &defining("f", &[])),
    ])
}

fn endless_names(n: usize) -> Vec<u8> {
    let table = member("//", &vec![b'a'; 256 * n]);
    let members = (0..n).map(|_| member("/0", &defining("f", &[])));
    let all: Vec<Vec<u8>> = std::iter::once(table).chain(members).collect();
    archive(&all)
}

fn endless_index(n: usize) -> Vec<u8> {
    archive(&[
        bsd_index(&vec![(0, 0); n], &vec![b'a'; 64 * n]),
        member("m.o/", &defining("f", &[])),
    ])
}

fn wrong_index(n: usize) -> Vec<u8> {
    let names = b"f\0".repeat(n);
    let offset = behind(&gnu_index(&vec![0; n], &names)) + 2;
    archive(&[
        gnu_index(&vec![offset; n], &names),
        member("m.o/", &defining("f", &[])),
    ])
}
