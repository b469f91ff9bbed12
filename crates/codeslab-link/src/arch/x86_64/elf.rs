//! What ELF objects say about x86-64: relocation types by number, as rows.
//!
//! Source: System V psABI for AMD64, §4.4 "Relocation", whose table this is (<https://gitlab.com/x86-psABIs/x86-64-ABI>). The names
//! that assemblers and graphs use are those of the psABI, too. G is the address of the entry here and G + GOT there.

use super::fields::row;
use super::relax;
use crate::arch::encoding::Range;
use crate::arch::formula::{
    Origin::{Got as GOT, P},
    Term::{DtpOff, G, Got, L, Nothing, S, Tls, TpOff, Z},
    ThreadEntry::{Descriptor, Module, Offset, Variable},
    of,
};
use crate::arch::machine::{Table, Unsupported, by_number};
use crate::arch::row::{Far::Error, Far::Placement, Far::Stub, Relax, Row};
use crate::error::Feature;
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
static ROWS: [Row; 42] = [
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
    row(17, "R_X86_64_DTPOFF64",   of(DtpOff),        8, E64, Error),
    row(18, "R_X86_64_TPOFF64",    of(TpOff),         8, E64, Error),
    row(19, "R_X86_64_TLSGD",      of(Tls(Variable)).minus(P), 4, I32, Error),
    row(20, "R_X86_64_TLSLD",      of(Tls(Module)).minus(P),   4, I32, Error),
    row(21, "R_X86_64_DTPOFF32",   of(DtpOff),        4, I32, Error),
    Row {
        relax: Some(Relax::Instruction(relax::initial_exec)),
        ..row(22, "R_X86_64_GOTTPOFF", of(Tls(Offset)).minus(P), 4, I32, Error)
    },
    row(23, "R_X86_64_TPOFF32",    of(TpOff),         4, I32, Error),
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
    row(34, "R_X86_64_GOTPC32_TLSDESC", of(Tls(Descriptor)).minus(P), 4, I32, Error),
    row(35, "R_X86_64_TLSDESC_CALL",    of(Nothing),  0, E64, Error),
    relaxed(41, "R_X86_64_GOTPCRELX",     Relax::Instruction(relax::without_rex)),
    relaxed(42, "R_X86_64_REX_GOTPCRELX", Relax::Instruction(relax::with_rex)),
    // The same for instructions of APX, whose prefixes are longer by one to three bytes; they stay as they are.
    row(43, "R_X86_64_CODE_4_GOTPCRELX",       of(G).minus(P),               4, I32, Error),
    row(44, "R_X86_64_CODE_4_GOTTPOFF",        of(Tls(Offset)).minus(P),     4, I32, Error),
    row(45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", of(Tls(Descriptor)).minus(P), 4, I32, Error),
    row(46, "R_X86_64_CODE_5_GOTPCRELX",       of(G).minus(P),               4, I32, Error),
    row(47, "R_X86_64_CODE_5_GOTTPOFF",        of(Tls(Offset)).minus(P),     4, I32, Error),
    row(48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", of(Tls(Descriptor)).minus(P), 4, I32, Error),
    row(49, "R_X86_64_CODE_6_GOTPCRELX",       of(G).minus(P),               4, I32, Error),
    row(50, "R_X86_64_CODE_6_GOTTPOFF",        of(Tls(Offset)).minus(P),     4, I32, Error),
    row(51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", of(Tls(Descriptor)).minus(P), 4, I32, Error),
];

static BY_NUMBER: [u8; 52] = by_number(&ROWS);

const fn thread_local(number: u32, name: &'static str) -> Unsupported {
    Unsupported {
        number,
        name,
        feature: Feature::ThreadLocal,
    }
}

/// What the dynamic linker is asked for by files that are linked already.
static UNSUPPORTED: [Unsupported; 2] = [
    thread_local(16, "R_X86_64_DTPMOD64"),
    thread_local(36, "R_X86_64_TLSDESC"),
];

#[cfg(test)]
mod tests;
