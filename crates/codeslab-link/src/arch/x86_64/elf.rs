//! What ELF objects say about x86-64: relocation types by number, as rows.
//!
//! Source: System V psABI for AMD64, §4.4 "Relocation", whose table this is (<https://gitlab.com/x86-psABIs/x86-64-ABI>). The names
//! that assemblers and graphs use are those of the psABI, too. G is the address of the entry here and G + GOT there.

use super::relax;
use crate::arch::encoding::{Encoding, Range};
use crate::arch::formula::{
    Formula,
    Origin::{Got as GOT, P},
    Term::{G, Got, L, Nothing, S, Z},
    of,
};
use crate::arch::machine::{Table, Unsupported, by_number};
use crate::arch::row::{Far, Far::Error, Far::Placement, Far::Stub, Relax, Row};
use crate::error::Feature;
use codeslab::Architecture;
use object::BinaryFormat;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::Elf,
    // EM_X86_64
    machine: 62,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &UNSUPPORTED,
    // SHN_X86_64_LCOMMON: may lie far away in the medium code model; here everything is near.
    common_sections: &[0xff02],
};

const fn row(
    number: u32,
    name: &'static str,
    formula: Formula,
    size: u8,
    range: Range,
    far: Far,
) -> Row {
    Row {
        architecture: Architecture::X86_64,
        number,
        name,
        formula,
        encoding: Encoding::Bytes(size),
        range,
        align: 1,
        far,
        relax: None,
    }
}

const fn relaxed(number: u32, name: &'static str, relax: Relax) -> Row {
    Row {
        relax: Some(relax),
        ..row(number, name, of(G).minus(P), 4, I32, Error)
    }
}

const I8: Range = Range::signed(8);
const I16: Range = Range::signed(16);
const I32: Range = Range::signed(32);
const U32: Range = Range::unsigned(32);
const E8: Range = Range::either(8);
const E16: Range = Range::either(16);
const E64: Range = Range::either(64);

/// Every row. 32-bit fields for addresses and distances bind the placement of the image; wider ones reach everything; narrower ones
/// reach so little that no placement helps.
#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 24] = [
    row( 0, "R_X86_64_NONE",       of(Nothing),       0, E64, Error),
    row( 1, "R_X86_64_64",         of(S),             8, E64, Error),
    row( 2, "R_X86_64_PC32",       of(S).minus(P),    4, I32, Placement),
    row( 3, "R_X86_64_GOT32",      of(G).minus(GOT),  4, I32, Error),
    row( 4, "R_X86_64_PLT32",      of(L).minus(P),    4, I32, Stub),
    row( 9, "R_X86_64_GOTPCREL",   of(G).minus(P),    4, I32, Error),
    row(10, "R_X86_64_32",         of(S),             4, U32, Placement),
    row(11, "R_X86_64_32S",        of(S),             4, I32, Placement),
    row(12, "R_X86_64_16",         of(S),             2, E16, Error),
    row(13, "R_X86_64_PC16",       of(S).minus(P),    2, I16, Error),
    row(14, "R_X86_64_8",          of(S),             1, E8,  Error),
    row(15, "R_X86_64_PC8",        of(S).minus(P),    1, I8,  Error),
    row(24, "R_X86_64_PC64",       of(S).minus(P),    8, E64, Error),
    row(25, "R_X86_64_GOTOFF64",   of(S).minus(GOT),  8, E64, Error),
    row(26, "R_X86_64_GOTPC32",    of(Got).minus(P),  4, I32, Error),
    row(27, "R_X86_64_GOT64",      of(G).minus(GOT),  8, E64, Error),
    row(28, "R_X86_64_GOTPCREL64", of(G).minus(P),    8, E64, Error),
    row(29, "R_X86_64_GOTPC64",    of(Got).minus(P),  8, E64, Error),
    row(30, "R_X86_64_GOTPLT64",   of(G).minus(GOT),  8, E64, Error),
    row(31, "R_X86_64_PLTOFF64",   of(L).minus(GOT),  8, E64, Error),
    row(32, "R_X86_64_SIZE32",     of(Z),             4, U32, Error),
    row(33, "R_X86_64_SIZE64",     of(Z),             8, E64, Error),
    relaxed(41, "R_X86_64_GOTPCRELX",     relax::without_rex),
    relaxed(42, "R_X86_64_REX_GOTPCRELX", relax::with_rex),
];

static BY_NUMBER: [u8; 43] = by_number(&ROWS);

const fn thread_local(number: u32, name: &'static str) -> Unsupported {
    Unsupported {
        number,
        name,
        feature: Feature::ThreadLocal,
    }
}

static UNSUPPORTED: [Unsupported; 11] = [
    thread_local(16, "R_X86_64_DTPMOD64"),
    thread_local(17, "R_X86_64_DTPOFF64"),
    thread_local(18, "R_X86_64_TPOFF64"),
    thread_local(19, "R_X86_64_TLSGD"),
    thread_local(20, "R_X86_64_TLSLD"),
    thread_local(21, "R_X86_64_DTPOFF32"),
    thread_local(22, "R_X86_64_GOTTPOFF"),
    thread_local(23, "R_X86_64_TPOFF32"),
    thread_local(34, "R_X86_64_GOTPC32_TLSDESC"),
    thread_local(35, "R_X86_64_TLSDESC_CALL"),
    thread_local(36, "R_X86_64_TLSDESC"),
];

#[cfg(test)]
mod tests;
