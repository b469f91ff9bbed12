//! What ELF objects say about the fake machine: relocation types by number, as rows.

use super::{CALL_TARGET, DATA_REACH, LOAD_OFFSET, LOW_BITS, PAGE_NUMBER, SKIP_TARGET};
use crate::arch::encoding::{Encoding, Range};
use crate::arch::formula::{
    Formula,
    Origin::P,
    Term::{G, L, S},
    of,
};
use crate::arch::machine::{Table, by_number};
use crate::arch::row::{Far, Far::Error, Far::Placement, Far::Stub, Row};
use codeslab::Architecture;
use object::BinaryFormat;

/// The number by which ELF files name it.
pub(crate) const MACHINE: u16 = 0xfa4e;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::Elf,
    machine: MACHINE as u32,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &[],
    common_sections: &[],
};

const fn row(
    number: u32,
    name: &'static str,
    formula: Formula,
    encoding: Encoding,
    range: Range,
    align: u8,
    far: Far,
) -> Row {
    let architecture = Architecture::Riscv64;
    Row {
        align,
        ..Row::new(architecture, number, name, formula, encoding, range, far)
    }
}

const PAGES: u8 = 12;
const WORD: Encoding = Encoding::Bytes(4);
const LONG: Encoding = Encoding::Bytes(8);

#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 9] = [
    row(  1, "R_FAKE_64",         of(S),                          LONG,        Range::either(64),   1, Error),
    row(  2, "R_FAKE_32",         of(S),                          WORD,        Range::unsigned(32), 1, Placement),
    row(300, "R_FAKE_CALL",       of(L).minus(P),                 CALL_TARGET, Range::signed(28),   4, Stub),
    row(301, "R_FAKE_SKIP",       of(S).minus(P),                 SKIP_TARGET, Range::signed(21),   4, Placement),
    row(302, "R_FAKE_PAGE",       of(S).minus(P).in_pages(PAGES), PAGE_NUMBER, DATA_REACH,          1, Placement),
    row(303, "R_FAKE_LOW",        of(S),                          LOW_BITS,    Range::ANY,          1, Error),
    row(304, "R_FAKE_LOAD",       of(S),                          LOAD_OFFSET, Range::ANY,          8, Error),
    row(305, "R_FAKE_ENTRY_PAGE", of(G).minus(P).in_pages(PAGES), PAGE_NUMBER, DATA_REACH,          1, Error),
    row(306, "R_FAKE_ENTRY_LOAD", of(G),                          LOAD_OFFSET, Range::ANY,          8, Error),
];

static BY_NUMBER: [u8; 307] = by_number(&ROWS);
