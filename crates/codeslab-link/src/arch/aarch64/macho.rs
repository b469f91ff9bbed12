//! What Mach-O objects say about 64-bit Arm: relocation types by number, as rows.
//!
//! A type says little: how long a field in data is, other fields of the relocation tell, two of them in a row make a difference, and what an
//! instruction does with the low bits of an address has to be read off the instruction. Each such case has a row. Fields in data hold their
//! addends, which the format's reader takes out of them; instructions have theirs in a relocation of its own.
//!
//! Source: `mach-o/arm64/reloc.h`
//! (<https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/arm64/reloc.h>).

use super::instructions::{BRANCH, LOW_1, LOW_2, LOW_4, LOW_8, LOW_16, PAGE, PAGE_REACH, row};
use crate::arch::encoding::{Encoding, Range};
use crate::arch::formula::{
    Origin::{P, Subtracted},
    Term::{self, G, L, Nothing, S},
    ThreadEntry::Descriptor,
    of,
};
use crate::arch::machine::address::{DESCRIPTOR, DIFFERENCE, DISTANCE, NARROW};
use crate::arch::machine::{Table, VARIANT, by_number};
use crate::arch::row::{Far::Error, Far::Placement, Far::Stub, Row};
use object::BinaryFormat;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::MachO,
    // CPU_TYPE_ARM64
    machine: 0x0100_000c,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &[],
    common_sections: &[],
};

/// An address in data, as it says.
const fn address(variant: u32) -> u32 {
    variant * VARIANT
}

/// The low bits of an address in an instruction that takes so many bytes from there.
const fn low(bytes: u32) -> u32 {
    4 + bytes.trailing_zeros() * VARIANT
}

/// Pages of `adrp`.
const PAGES: u8 = 12;

const B0: Encoding = Encoding::Bytes(0);
const B4: Encoding = Encoding::Bytes(4);
const B8: Encoding = Encoding::Bytes(8);
const ANY: Range = Range::ANY;
const I28: Range = Range::signed(28);
const I32: Range = Range::signed(32);
const E32: Range = Range::either(32);
const E64: Range = Range::either(64);

#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 21] = [
    row(0,                            "ARM64_RELOC_UNSIGNED",                       of(S),                         B8,     E64,        1, Error),
    row(address(NARROW),              "ARM64_RELOC_UNSIGNED (4 bytes)",             of(S),                         B4,     E32,        1, Placement),
    row(address(DIFFERENCE),          "ARM64_RELOC_UNSIGNED (difference)",          of(S).minus(Subtracted),       B8,     E64,        1, Error),
    row(address(DIFFERENCE + NARROW), "ARM64_RELOC_UNSIGNED (difference, 4 bytes)", of(S).minus(Subtracted),       B4,     I32,        1, Error),
    row(address(DISTANCE),            "ARM64_RELOC_UNSIGNED (distance)",            of(S).minus(P),                B8,     E64,        1, Error),
    row(address(DISTANCE + NARROW),   "ARM64_RELOC_UNSIGNED (distance, 4 bytes)",   of(S).minus(P),                B4,     I32,        1, Placement),
    row(address(DESCRIPTOR),          "ARM64_RELOC_UNSIGNED (thread-local)",        of(Term::Tls(Descriptor)),     B8,     E64,        1, Error),
    row(1,       "ARM64_RELOC_SUBTRACTOR",          of(Term::Subtracted),          B0,     E64,        1,  Error),
    row(2,       "ARM64_RELOC_BRANCH26",            of(L).minus(P),                BRANCH, I28,        4,  Stub),
    row(3,       "ARM64_RELOC_PAGE21",              of(S).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1,  Placement),
    row(low(1),  "ARM64_RELOC_PAGEOFF12",           of(S),                         LOW_1,  ANY,        1,  Error),
    row(low(2),  "ARM64_RELOC_PAGEOFF12 (2 bytes)", of(S),                         LOW_2,  ANY,        2,  Error),
    row(low(4),  "ARM64_RELOC_PAGEOFF12 (4 bytes)", of(S),                         LOW_4,  ANY,        4,  Error),
    row(low(8),  "ARM64_RELOC_PAGEOFF12 (8 bytes)", of(S),                         LOW_8,  ANY,        8,  Error),
    row(low(16), "ARM64_RELOC_PAGEOFF12 (16 bytes)", of(S),                        LOW_16, ANY,        16, Error),
    row(5,       "ARM64_RELOC_GOT_LOAD_PAGE21",     of(G).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1,  Error),
    row(6,       "ARM64_RELOC_GOT_LOAD_PAGEOFF12",  of(G),                         LOW_8,  ANY,        8,  Error),
    row(7,       "ARM64_RELOC_POINTER_TO_GOT",      of(G).minus(P),                B4,     I32,        1,  Error),
    // Of the descriptor of a thread-local variable, which is a variable like others.
    row(8,       "ARM64_RELOC_TLVP_LOAD_PAGE21",    of(G).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1,  Error),
    row(9,       "ARM64_RELOC_TLVP_LOAD_PAGEOFF12", of(G),                         LOW_8,  ANY,        8,  Error),
    // Its number of a symbol is the addend of the next.
    row(10,      "ARM64_RELOC_ADDEND",              of(Nothing),                   B0,     E64,        1,  Error),
];

static BY_NUMBER: [u8; address(DESCRIPTOR) as usize + 1] = by_number(&ROWS);
