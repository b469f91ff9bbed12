//! What Mach-O objects say about x86-64: relocation types by number, as rows.
//!
//! A type says little: how long a field is, and whether it counts from where it stands, other fields of the relocation tell, and two of them
//! in a row make a difference. Each such case that exists has a row. Fields hold their addends, which the format's reader takes out of
//! them. Distances count from the end of an instruction: the field is its last part, or 1, 2 or 4 bytes of an immediate operand follow.
//!
//! Source: `mach-o/x86_64/reloc.h`, whose comments are the document
//! (<https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/x86_64/reloc.h>).

use super::fields::row;
use super::relax;
use crate::arch::encoding::Range;
use crate::arch::formula::{
    Formula,
    Origin::{P, Subtracted},
    Term::{self, G, L, S},
    ThreadEntry::Descriptor,
    of,
};
use crate::arch::machine::address::{DESCRIPTOR, DIFFERENCE, DISTANCE, NARROW};
use crate::arch::machine::{Table, VARIANT, by_number};
use crate::arch::row::{Far::Error, Far::Placement, Far::Stub, Relax, Row};
use object::BinaryFormat;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::MachO,
    // CPU_TYPE_X86_64
    machine: 0x0100_0007,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &[],
    common_sections: &[],
};

const I32: Range = Range::signed(32);
const U32: Range = Range::unsigned(32);
const E64: Range = Range::either(64);

/// The distance of a symbol from `past` bytes behind the start of the field.
const fn distance(past: u8) -> Formula {
    of(S).minus(P).past(past)
}

/// An address in data, as it says.
const fn address(variant: u32) -> u32 {
    variant * VARIANT
}

#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 16] = [
    row(0,                            "X86_64_RELOC_UNSIGNED",                       of(S),                   8, E64, Error),
    row(address(NARROW),              "X86_64_RELOC_UNSIGNED (4 bytes)",             of(S),                   4, U32, Placement),
    row(address(DIFFERENCE),          "X86_64_RELOC_UNSIGNED (difference)",          of(S).minus(Subtracted), 8, E64, Error),
    row(address(DIFFERENCE + NARROW), "X86_64_RELOC_UNSIGNED (difference, 4 bytes)", of(S).minus(Subtracted), 4, I32, Error),
    row(address(DISTANCE),            "X86_64_RELOC_UNSIGNED (distance)",            of(S).minus(P),          8, E64, Error),
    row(address(DISTANCE + NARROW),   "X86_64_RELOC_UNSIGNED (distance, 4 bytes)",   of(S).minus(P),          4, I32, Placement),
    row(address(DESCRIPTOR),          "X86_64_RELOC_UNSIGNED (thread-local)",        of(Term::Tls(Descriptor)), 8, E64, Error),
    row(1, "X86_64_RELOC_SIGNED",     distance(4),                  4, I32, Placement),
    row(2, "X86_64_RELOC_BRANCH",     of(L).minus(P).past(4),       4, I32, Stub),
    Row {
        relax: Some(Relax::Instruction(relax::from_end)),
        ..row(3, "X86_64_RELOC_GOT_LOAD", of(G).minus(P).past(4),   4, I32, Error)
    },
    row(4, "X86_64_RELOC_GOT",        of(G).minus(P).past(4),       4, I32, Error),
    row(5, "X86_64_RELOC_SUBTRACTOR", of(Term::Subtracted),         0, E64, Error),
    row(6, "X86_64_RELOC_SIGNED_1",   distance(5),                  4, I32, Placement),
    row(7, "X86_64_RELOC_SIGNED_2",   distance(6),                  4, I32, Placement),
    row(8, "X86_64_RELOC_SIGNED_4",   distance(8),                  4, I32, Placement),
    // Of the descriptor of a thread-local variable, which is a variable like others.
    Row {
        relax: Some(Relax::Instruction(relax::from_end)),
        ..row(9, "X86_64_RELOC_TLV",  of(G).minus(P).past(4),       4, I32, Error)
    },
];

static BY_NUMBER: [u8; address(DESCRIPTOR) as usize + 1] = by_number(&ROWS);
