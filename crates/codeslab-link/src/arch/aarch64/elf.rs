//! What ELF objects say about 64-bit Arm: relocation types by number, as rows.
//!
//! Source: ELF for the Arm 64-bit Architecture, §5.7 "Relocation" (<https://github.com/ARM-software/abi-aa/blob/main/aaelf64/aaelf64.rst>).
//! Names and ranges are those of its tables. `GDAT(S)` is the entry of a symbol in the GOT; types whose names end in `NC` take some bits
//! of a value that others check.

use super::instructions::{
    BRANCH, LOW_1, LOW_2, LOW_4, LOW_8, LOW_16 as LOW16, PAGE, PAGE_REACH, bits, row,
};
use super::relax::load_from_entry;
use crate::arch::encoding::{Encoding, Piece, Range};
use crate::arch::formula::{
    Origin::{Got as GOT, GotPage, P},
    Term::{DtpOff, G, L, Nothing, S, Tls, TpOff},
    ThreadEntry::{Descriptor, Module, Offset, Variable},
    of,
};
use crate::arch::machine::{Table, Unsupported, by_number};
use crate::arch::row::{Far::Error, Far::Placement, Far::Stub, Relax, Row};
use crate::error::Feature;
use object::BinaryFormat;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::Elf,
    // EM_AARCH64
    machine: 183,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &UNSUPPORTED,
    common_sections: &[],
};

/// Pages of `adrp`.
const PAGES: u8 = 12;

const B0: Encoding = Encoding::Bytes(0);
const B2: Encoding = Encoding::Bytes(2);
const B4: Encoding = Encoding::Bytes(4);
const B8: Encoding = Encoding::Bytes(8);
/// `b.cond`, `cbz` and `ldr` of a literal, `tbz`.
const COND: Encoding = bits(&[Piece::new(2, 5, 19)]);
const TEST: Encoding = bits(&[Piece::new(2, 5, 14)]);
/// `adr`
const ADR: Encoding = bits(&[Piece::new(0, 29, 2), Piece::new(2, 5, 19)]);
/// `add` with a number that is shifted by 12.
const HIGH: Encoding = bits(&[Piece::new(12, 10, 12)]);
/// `ldr` with an offset of up to 32 KiB.
const LOW15: Encoding = bits(&[Piece::new(3, 10, 12)]);
/// `movz` and `movk`: sixteen bits of a value.
const MOV0: Encoding = bits(&[Piece::new(0, 5, 16)]);
const MOV1: Encoding = bits(&[Piece::new(16, 5, 16)]);
const MOV2: Encoding = bits(&[Piece::new(32, 5, 16)]);
const MOV3: Encoding = bits(&[Piece::new(48, 5, 16)]);
/// `movz` or, for what is negative, `movn`.
const MOVN0: Encoding = signed(&[Piece::new(0, 5, 16)]);
const MOVN1: Encoding = signed(&[Piece::new(16, 5, 16)]);
const MOVN2: Encoding = signed(&[Piece::new(32, 5, 16)]);

const fn signed(pieces: &'static [Piece]) -> Encoding {
    /// The bit that is 1 in `movz` and 0 in `movn`.
    const POSITIVE: u8 = 30;
    Encoding::SignedBits {
        size: 4,
        pieces,
        positive: POSITIVE,
    }
}

/// A row for one of two instructions that are rewritten together.
const fn half(row: Row, relax: Relax) -> Row {
    Row {
        relax: Some(relax),
        ..row
    }
}

const ANY: Range = Range::ANY;
const I16: Range = Range::signed(16);
const I17: Range = Range::signed(17);
const I21: Range = Range::signed(21);
const I28: Range = Range::signed(28);
const I32: Range = Range::signed(32);
const I33: Range = Range::signed(33);
const I49: Range = Range::signed(49);
const U12: Range = Range::unsigned(12);
const U15: Range = Range::unsigned(15);
const U16: Range = Range::unsigned(16);
const U24: Range = Range::unsigned(24);
const U32: Range = Range::unsigned(32);
const U48: Range = Range::unsigned(48);
const E16: Range = Range::either(16);
const E32: Range = Range::either(32);
const E64: Range = Range::either(64);

/// Every row. Fields of 32 bits, and pages, bind the placement of the image; narrower ones do where the code has nothing else.
#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 100] = [
    row(  0, "R_AARCH64_NONE",   of(Nothing),     B0, E64, 1, Error),
    row(257, "R_AARCH64_ABS64",  of(S),           B8, E64, 1, Error),
    row(258, "R_AARCH64_ABS32",  of(S),           B4, E32, 1, Placement),
    row(259, "R_AARCH64_ABS16",  of(S),           B2, E16, 1, Error),
    row(260, "R_AARCH64_PREL64", of(S).minus(P),  B8, E64, 1, Error),
    // The document lets it be read as unsigned, too; what reads it (.eh_frame, tables of switches) does not.
    row(261, "R_AARCH64_PREL32", of(S).minus(P),  B4, I32, 1, Placement),
    row(262, "R_AARCH64_PREL16", of(S).minus(P),  B2, I16, 1, Error),
    row(263, "R_AARCH64_MOVW_UABS_G0",    of(S), MOV0, U16, 1, Error),
    row(264, "R_AARCH64_MOVW_UABS_G0_NC", of(S), MOV0, ANY, 1, Error),
    row(265, "R_AARCH64_MOVW_UABS_G1",    of(S), MOV1, U32, 1, Error),
    row(266, "R_AARCH64_MOVW_UABS_G1_NC", of(S), MOV1, ANY, 1, Error),
    row(267, "R_AARCH64_MOVW_UABS_G2",    of(S), MOV2, U48, 1, Error),
    row(268, "R_AARCH64_MOVW_UABS_G2_NC", of(S), MOV2, ANY, 1, Error),
    row(269, "R_AARCH64_MOVW_UABS_G3",    of(S), MOV3, ANY, 1, Error),
    row(270, "R_AARCH64_MOVW_SABS_G0",    of(S), MOVN0, I17, 1, Error),
    row(271, "R_AARCH64_MOVW_SABS_G1",    of(S), MOVN1, I33, 1, Error),
    row(272, "R_AARCH64_MOVW_SABS_G2",    of(S), MOVN2, I49, 1, Error),
    row(273, "R_AARCH64_LD_PREL_LO19",        of(S).minus(P),                 COND,   I21,        4, Placement),
    row(274, "R_AARCH64_ADR_PREL_LO21",       of(S).minus(P),                 ADR,    I21,        1, Placement),
    row(275, "R_AARCH64_ADR_PREL_PG_HI21",    of(S).minus(P).in_pages(PAGES), PAGE,   PAGE_REACH, 1, Placement),
    row(276, "R_AARCH64_ADR_PREL_PG_HI21_NC", of(S).minus(P).in_pages(PAGES), PAGE,   ANY,        1, Error),
    row(277, "R_AARCH64_ADD_ABS_LO12_NC",     of(S),                          LOW_1,  ANY,        1, Error),
    row(278, "R_AARCH64_LDST8_ABS_LO12_NC",   of(S),                          LOW_1,  ANY,        1, Error),
    row(279, "R_AARCH64_TSTBR14",             of(S).minus(P),                 TEST,   I16,        4, Placement),
    row(280, "R_AARCH64_CONDBR19",            of(S).minus(P),                 COND,   I21,        4, Placement),
    row(282, "R_AARCH64_JUMP26",              of(L).minus(P),                 BRANCH, I28,        4, Stub),
    row(283, "R_AARCH64_CALL26",              of(L).minus(P),                 BRANCH, I28,        4, Stub),
    row(284, "R_AARCH64_LDST16_ABS_LO12_NC",  of(S),                          LOW_2,  ANY,        2, Error),
    row(285, "R_AARCH64_LDST32_ABS_LO12_NC",  of(S),                          LOW_4,  ANY,        4, Error),
    row(286, "R_AARCH64_LDST64_ABS_LO12_NC",  of(S),                          LOW_8,  ANY,        8, Error),
    row(287, "R_AARCH64_MOVW_PREL_G0",    of(S).minus(P), MOVN0, I17, 1, Error),
    row(288, "R_AARCH64_MOVW_PREL_G0_NC", of(S).minus(P), MOV0,  ANY, 1, Error),
    row(289, "R_AARCH64_MOVW_PREL_G1",    of(S).minus(P), MOVN1, I33, 1, Error),
    row(290, "R_AARCH64_MOVW_PREL_G1_NC", of(S).minus(P), MOV1,  ANY, 1, Error),
    row(291, "R_AARCH64_MOVW_PREL_G2",    of(S).minus(P), MOVN2, I49, 1, Error),
    row(292, "R_AARCH64_MOVW_PREL_G2_NC", of(S).minus(P), MOV2,  ANY, 1, Error),
    row(293, "R_AARCH64_MOVW_PREL_G3",    of(S).minus(P), MOV3,  ANY, 1, Error),
    row(299, "R_AARCH64_LDST128_ABS_LO12_NC", of(S),                          LOW16,  ANY,        16, Error),
    row(307, "R_AARCH64_GOTREL64",            of(S).minus(GOT),               B8,     E64,        1, Error),
    row(308, "R_AARCH64_GOTREL32",            of(S).minus(GOT),               B4,     I32,        1, Error),
    row(309, "R_AARCH64_GOT_LD_PREL19",       of(G).minus(P),                 COND,   I21,        4, Error),
    row(310, "R_AARCH64_LD64_GOTOFF_LO15",    of(G).minus(GOT),               LOW15,  U15,        8, Error),
    half(row(311, "R_AARCH64_ADR_GOT_PAGE",     of(G).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1, Error), Relax::First(load_from_entry)),
    half(row(312, "R_AARCH64_LD64_GOT_LO12_NC", of(G),                          LOW_8, ANY,        8, Error), Relax::Second(load_from_entry)),
    row(313, "R_AARCH64_LD64_GOTPAGE_LO15",   of(G).minus(GotPage),           LOW15,  U15,        8, Error),
    row(314, "R_AARCH64_PLT32",               of(L).minus(P),                 B4,     I32,        1, Stub),
    row(315, "R_AARCH64_GOTPCREL32",          of(G).minus(P),                 B4,     I32,        1, Error),
    // Thread-local variables: general dynamic without descriptors, and local dynamic.
    row(512, "R_AARCH64_TLSGD_ADR_PREL21",    of(Tls(Variable)).minus(P),                 ADR,   I21,        1, Error),
    row(513, "R_AARCH64_TLSGD_ADR_PAGE21",    of(Tls(Variable)).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1, Error),
    row(514, "R_AARCH64_TLSGD_ADD_LO12_NC",   of(Tls(Variable)),                          LOW_1, ANY,        1, Error),
    row(517, "R_AARCH64_TLSLD_ADR_PREL21",    of(Tls(Module)).minus(P),                   ADR,   I21,        1, Error),
    row(518, "R_AARCH64_TLSLD_ADR_PAGE21",    of(Tls(Module)).minus(P).in_pages(PAGES),   PAGE,  PAGE_REACH, 1, Error),
    row(519, "R_AARCH64_TLSLD_ADD_LO12_NC",   of(Tls(Module)),                            LOW_1, ANY,        1, Error),
    row(523, "R_AARCH64_TLSLD_MOVW_DTPREL_G2",    of(DtpOff), MOVN2, I49, 1, Error),
    row(524, "R_AARCH64_TLSLD_MOVW_DTPREL_G1",    of(DtpOff), MOVN1, I33, 1, Error),
    row(525, "R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC", of(DtpOff), MOV1,  ANY, 1, Error),
    row(526, "R_AARCH64_TLSLD_MOVW_DTPREL_G0",    of(DtpOff), MOVN0, I17, 1, Error),
    row(527, "R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC", of(DtpOff), MOV0,  ANY, 1, Error),
    row(528, "R_AARCH64_TLSLD_ADD_DTPREL_HI12",       of(DtpOff), HIGH,  U24, 1, Error),
    row(529, "R_AARCH64_TLSLD_ADD_DTPREL_LO12",       of(DtpOff), LOW_1, U12, 1, Error),
    row(530, "R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC",    of(DtpOff), LOW_1, ANY, 1, Error),
    row(531, "R_AARCH64_TLSLD_LDST8_DTPREL_LO12",     of(DtpOff), LOW_1, U12, 1, Error),
    row(532, "R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC",  of(DtpOff), LOW_1, ANY, 1, Error),
    row(533, "R_AARCH64_TLSLD_LDST16_DTPREL_LO12",    of(DtpOff), LOW_2, U12, 2, Error),
    row(534, "R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC", of(DtpOff), LOW_2, ANY, 2, Error),
    row(535, "R_AARCH64_TLSLD_LDST32_DTPREL_LO12",    of(DtpOff), LOW_4, U12, 4, Error),
    row(536, "R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC", of(DtpOff), LOW_4, ANY, 4, Error),
    row(537, "R_AARCH64_TLSLD_LDST64_DTPREL_LO12",    of(DtpOff), LOW_8, U12, 8, Error),
    row(538, "R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC", of(DtpOff), LOW_8, ANY, 8, Error),
    // Initial exec: an entry says the distance from the thread pointer.
    row(541, "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21",   of(Tls(Offset)).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1, Error),
    row(542, "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC", of(Tls(Offset)),                          LOW_8, ANY,        8, Error),
    row(543, "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19",    of(Tls(Offset)).minus(P),                 COND,  I21,        4, Error),
    // Local exec: code has that distance in itself.
    row(544, "R_AARCH64_TLSLE_MOVW_TPREL_G2",    of(TpOff), MOVN2, I49, 1, Error),
    row(545, "R_AARCH64_TLSLE_MOVW_TPREL_G1",    of(TpOff), MOVN1, I33, 1, Error),
    row(546, "R_AARCH64_TLSLE_MOVW_TPREL_G1_NC", of(TpOff), MOV1,  ANY, 1, Error),
    row(547, "R_AARCH64_TLSLE_MOVW_TPREL_G0",    of(TpOff), MOVN0, I17, 1, Error),
    row(548, "R_AARCH64_TLSLE_MOVW_TPREL_G0_NC", of(TpOff), MOV0,  ANY, 1, Error),
    row(549, "R_AARCH64_TLSLE_ADD_TPREL_HI12",       of(TpOff), HIGH,  U24, 1, Error),
    row(550, "R_AARCH64_TLSLE_ADD_TPREL_LO12",       of(TpOff), LOW_1, U12, 1, Error),
    row(551, "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC",    of(TpOff), LOW_1, ANY, 1, Error),
    row(552, "R_AARCH64_TLSLE_LDST8_TPREL_LO12",     of(TpOff), LOW_1, U12, 1, Error),
    row(553, "R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC",  of(TpOff), LOW_1, ANY, 1, Error),
    row(554, "R_AARCH64_TLSLE_LDST16_TPREL_LO12",    of(TpOff), LOW_2, U12, 2, Error),
    row(555, "R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC", of(TpOff), LOW_2, ANY, 2, Error),
    row(556, "R_AARCH64_TLSLE_LDST32_TPREL_LO12",    of(TpOff), LOW_4, U12, 4, Error),
    row(557, "R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC", of(TpOff), LOW_4, ANY, 4, Error),
    row(558, "R_AARCH64_TLSLE_LDST64_TPREL_LO12",    of(TpOff), LOW_8, U12, 8, Error),
    row(559, "R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC", of(TpOff), LOW_8, ANY, 8, Error),
    // Descriptors, and marks on the instructions that use them.
    row(560, "R_AARCH64_TLSDESC_LD_PREL19",  of(Tls(Descriptor)).minus(P),                 COND,  I21,        4, Error),
    row(561, "R_AARCH64_TLSDESC_ADR_PREL21", of(Tls(Descriptor)).minus(P),                 ADR,   I21,        1, Error),
    row(562, "R_AARCH64_TLSDESC_ADR_PAGE21", of(Tls(Descriptor)).minus(P).in_pages(PAGES), PAGE,  PAGE_REACH, 1, Error),
    row(563, "R_AARCH64_TLSDESC_LD64_LO12",  of(Tls(Descriptor)),                          LOW_8, ANY,        8, Error),
    row(564, "R_AARCH64_TLSDESC_ADD_LO12",   of(Tls(Descriptor)),                          LOW_1, ANY,        1, Error),
    row(567, "R_AARCH64_TLSDESC_LDR",        of(Nothing), B0, E64, 1, Error),
    row(568, "R_AARCH64_TLSDESC_ADD",        of(Nothing), B0, E64, 1, Error),
    row(569, "R_AARCH64_TLSDESC_CALL",       of(Nothing), B0, E64, 1, Error),
    row(570, "R_AARCH64_TLSLE_LDST128_TPREL_LO12",     of(TpOff),  LOW16, U12, 16, Error),
    row(571, "R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC",  of(TpOff),  LOW16, ANY, 16, Error),
    row(572, "R_AARCH64_TLSLD_LDST128_DTPREL_LO12",    of(DtpOff), LOW16, U12, 16, Error),
    row(573, "R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC", of(DtpOff), LOW16, ANY, 16, Error),
];

static BY_NUMBER: [u8; 574] = by_number(&ROWS);

const fn thread_local(number: u32, name: &'static str) -> Unsupported {
    Unsupported {
        number,
        name,
        feature: Feature::ThreadLocal,
    }
}

/// Thread-local variables of the large code model, and what the dynamic linker is asked for by files that are linked already.
static UNSUPPORTED: [Unsupported; 12] = [
    thread_local(515, "R_AARCH64_TLSGD_MOVW_G1"),
    thread_local(516, "R_AARCH64_TLSGD_MOVW_G0_NC"),
    thread_local(520, "R_AARCH64_TLSLD_MOVW_G1"),
    thread_local(521, "R_AARCH64_TLSLD_MOVW_G0_NC"),
    thread_local(522, "R_AARCH64_TLSLD_LD_PREL19"),
    thread_local(539, "R_AARCH64_TLSIE_MOVW_GOTTPREL_G1"),
    thread_local(540, "R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC"),
    thread_local(565, "R_AARCH64_TLSDESC_OFF_G1"),
    thread_local(566, "R_AARCH64_TLSDESC_OFF_G0_NC"),
    thread_local(1028, "R_AARCH64_TLS_DTPMOD"),
    thread_local(1029, "R_AARCH64_TLS_DTPREL"),
    thread_local(1031, "R_AARCH64_TLSDESC"),
];

#[cfg(test)]
mod tests;
