//! Rows as data: which bytes a relocation leaves behind in an instruction, and which values are too large for it.
//!
//! The instructions are those that GNU's assembler writes for the operands; limits and alignments are those of the document.

use super::ROWS;
use crate::arch::formula::Terms;
use crate::arch::row::{Misfit, Row};

fn row(name: &str) -> &'static Row {
    let name = format!("R_AARCH64_{name}");
    ROWS.iter().find(|row| row.name == name).expect(&name)
}

/// Terms that tell every formula apart.
const TERMS: Terms = Terms {
    S: 0x1_2345,
    A: 8,
    P: 0x8764,
    L: 0x9000,
    G: 0xa018,
    GOT: 0xa008,
    Z: 0x55,
    TP: 0x40,
    image: 0,
    segment: 0,
    segment_number: 0,
    subtracted: 0,
};

/// The document's table: number, name, and the value for the terms above.
#[rustfmt::skip] // A table is read by columns.
const VALUES: [(u32, &str, i128); 41] = [
    (257, "ABS64",  0x1_234d), (258, "ABS32",  0x1_234d), (259, "ABS16", 0x1_234d),
    (260, "PREL64", 0x9be9),   (261, "PREL32", 0x9be9),   (262, "PREL16", 0x9be9),
    (263, "MOVW_UABS_G0", 0x1_234d), (264, "MOVW_UABS_G0_NC", 0x1_234d), (269, "MOVW_UABS_G3", 0x1_234d),
    (270, "MOVW_SABS_G0", 0x1_234d), (271, "MOVW_SABS_G1", 0x1_234d), (272, "MOVW_SABS_G2", 0x1_234d),
    (287, "MOVW_PREL_G0", 0x9be9), (290, "MOVW_PREL_G1_NC", 0x9be9), (293, "MOVW_PREL_G3", 0x9be9),
    (273, "LD_PREL_LO19", 0x9be9), (274, "ADR_PREL_LO21", 0x9be9),
    (275, "ADR_PREL_PG_HI21", 0xa000), (276, "ADR_PREL_PG_HI21_NC", 0xa000),
    (277, "ADD_ABS_LO12_NC", 0x1_234d), (278, "LDST8_ABS_LO12_NC", 0x1_234d), (284, "LDST16_ABS_LO12_NC", 0x1_234d),
    (285, "LDST32_ABS_LO12_NC", 0x1_234d), (286, "LDST64_ABS_LO12_NC", 0x1_234d), (299, "LDST128_ABS_LO12_NC", 0x1_234d),
    (279, "TSTBR14", 0x9be9), (280, "CONDBR19", 0x9be9), (282, "JUMP26", 0x8a4), (283, "CALL26", 0x8a4), (314, "PLT32", 0x8a4),
    (307, "GOTREL64", 0x8345), (309, "GOT_LD_PREL19", 0x18bc), (310, "LD64_GOTOFF_LO15", 0x18),
    (311, "ADR_GOT_PAGE", 0x2000), (312, "LD64_GOT_LO12_NC", 0xa020), (313, "LD64_GOTPAGE_LO15", 0x20), (315, "GOTPCREL32", 0x18bc),
    (541, "TLSIE_ADR_GOTTPREL_PAGE21", 0x2000), (549, "TLSLE_ADD_TPREL_HI12", 0x48), (528, "TLSLD_ADD_DTPREL_HI12", 0x1_234d),
    (562, "TLSDESC_ADR_PAGE21", 0x2000),
];

#[test]
fn a_row_has_the_number_and_the_formula_of_its_type() {
    for (number, name, value) in VALUES {
        let row = row(name);
        assert_eq!(row.number, number, "{name}");
        assert_eq!(row.formula.value(&TERMS), value, "{name}");
    }
}

#[rustfmt::skip] // A table is read by columns.
const INSTRUCTIONS: [(&str, u32, i128, u32); 34] = [
    // b .+4; bl .-4; b.eq .+8; cbz x1, .-8; tbz w1, #3, .+16; tbnz x2, #33, .-4
    ("JUMP26",   0x1400_0000, 4,  0x1400_0001), ("CALL26",   0x9400_0000, -4, 0x97ff_ffff),
    ("CONDBR19", 0x5400_0000, 8,  0x5400_0040), ("CONDBR19", 0xb400_0001, -8, 0xb4ff_ffc1),
    ("TSTBR14",  0x3618_0001, 16, 0x3618_0081), ("TSTBR14",  0xb708_0002, -4, 0xb70f_ffe2),
    // ldr x3, .+0x100; adr x4, .+0x12345; adr x4, .-1
    ("LD_PREL_LO19",  0x5800_0003, 0x100,    0x5800_0803),
    ("ADR_PREL_LO21", 0x1000_0004, 0x1_2345, 0x3009_1a24), ("ADR_PREL_LO21", 0x1000_0004, -1, 0x70ff_ffe4),
    // adrp x0, .+0x12345000; adrp x0, .-0x1000
    ("ADR_PREL_PG_HI21",    0x9000_0000, 0x1234_5000, 0xb009_1a20), ("ADR_PREL_PG_HI21", 0x9000_0000, -0x1000, 0xf0ff_ffe0),
    ("ADR_PREL_PG_HI21_NC", 0x9000_0000, 0x1_1234_5000, 0xb089_1a20),
    ("ADR_GOT_PAGE",        0x9000_0000, 0x5000, 0xb000_0020),
    // add x0, x0, #0x678; ldrb w1, [x0, #0x679]; ldrh w1, [x0, #0x67a]; ldr w1, [x0, #0x67c]; ldr x1, [x0, #0x678]; ldr q1, [x0, #0x670]
    ("ADD_ABS_LO12_NC",     0x9100_0000, 0x1234_5678, 0x9119_e000), ("LDST8_ABS_LO12_NC",   0x3940_0001, 0x5679, 0x3959_e401),
    ("LDST16_ABS_LO12_NC",  0x7940_0001, 0x567a, 0x794c_f401),      ("LDST32_ABS_LO12_NC",  0xb940_0001, 0x567c, 0xb946_7c01),
    ("LDST64_ABS_LO12_NC",  0xf940_0001, 0x5678, 0xf943_3c01),      ("LDST128_ABS_LO12_NC", 0x3dc0_0001, 0x5670, 0x3dc1_9c01),
    // ldr x1, [x0, #0x678]; ldr x1, [x0, #0x7ff8], whose offset may take 15 bits
    ("LD64_GOT_LO12_NC",    0xf940_0001, 0x5678, 0xf943_3c01),      ("LD64_GOTPAGE_LO15",   0xf940_0001, 0x7ff8, 0xf97f_fc01),
    // movz x5, #0x1234, with each shift
    ("MOVW_UABS_G0", 0xd280_0005, 0x1234, 0xd282_4685),             ("MOVW_UABS_G1", 0xd2a0_0005, 0x1234_ffff, 0xd2a2_4685),
    ("MOVW_UABS_G2", 0xd2c0_0005, 0x1234 << 32, 0xd2c2_4685),       ("MOVW_UABS_G3", 0xd2e0_0005, 0x1234 << 48, 0xd2e2_4685),
    ("MOVW_UABS_G0_NC", 0xf280_0005, 0x9999_1234, 0xf282_4685),
    // movz and movn, whichever it was
    ("MOVW_SABS_G0", 0xd280_0005, -0x1235, 0x9282_4685),            ("MOVW_SABS_G0", 0x9280_0005, 0x1234, 0xd282_4685),
    ("MOVW_PREL_G1", 0xd2a0_0005, -0x1234_0001, 0x92a2_4685),       ("MOVW_PREL_G2", 0x92c0_0005, 0x1234 << 32, 0xd2c2_4685),
    // add x0, x0, #0x123, lsl #12; add x0, x0, #0x456; ldr x1, [x0, #0x458]
    ("TLSLE_ADD_TPREL_HI12", 0x9140_0000, 0x12_3456, 0x9144_8c00),  ("TLSLE_ADD_TPREL_LO12_NC", 0x9100_0000, 0x12_3456, 0x9111_5800),
    ("TLSLE_LDST64_TPREL_LO12_NC", 0xf940_0001, 0x12_3458, 0xf942_2c01),
    ("TLSDESC_LD64_LO12", 0xf940_0001, 0x5678, 0xf943_3c01),
];

#[test]
fn a_value_goes_into_an_instruction_as_the_assembler_would_put_it() {
    for (name, before, value, after) in INSTRUCTIONS {
        let mut bytes = [[0x11; 4], before.to_le_bytes(), [0x22; 4]].concat();
        assert_eq!(row(name).write(&mut bytes, 4, value), Ok(()), "{name}");
        let written = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        assert_eq!(
            written, after,
            "{name} {value:#x}: {written:#x} instead of {after:#x}"
        );
        assert_eq!(
            (&bytes[..4], &bytes[8..]),
            (&[0x11; 4][..], &[0x22; 4][..]),
            "{name}"
        );
    }
}

const fn signed(bits: u32) -> (i128, i128) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

const fn unsigned(bits: u32) -> (i128, i128) {
    (0, (1 << bits) - 1)
}

/// The least and the greatest value that a type may have, before alignment.
#[rustfmt::skip] // A table is read by columns.
const LIMITS: [(&str, (i128, i128)); 33] = [
    ("ABS64",  (-(1 << 63), (1 << 64) - 1)), ("ABS32",  (-(1 << 31), (1 << 32) - 1)), ("ABS16", (-(1 << 15), (1 << 16) - 1)),
    ("PREL64", (-(1 << 63), (1 << 64) - 1)), ("PREL32", signed(32)), ("PREL16", signed(16)),
    ("CALL26", signed(28)), ("JUMP26", signed(28)), ("CONDBR19", signed(21)), ("TSTBR14", signed(16)), ("PLT32", signed(32)),
    ("LD_PREL_LO19", signed(21)), ("ADR_PREL_LO21", signed(21)), ("ADR_PREL_PG_HI21", signed(33)), ("ADR_GOT_PAGE", signed(33)),
    ("GOT_LD_PREL19", signed(21)), ("LD64_GOTPAGE_LO15", unsigned(15)), ("LD64_GOTOFF_LO15", unsigned(15)), ("GOTPCREL32", signed(32)),
    ("MOVW_UABS_G0", unsigned(16)), ("MOVW_UABS_G1", unsigned(32)), ("MOVW_UABS_G2", unsigned(48)),
    ("MOVW_SABS_G0", signed(17)), ("MOVW_SABS_G1", signed(33)), ("MOVW_SABS_G2", signed(49)),
    ("MOVW_PREL_G0", signed(17)), ("MOVW_PREL_G1", signed(33)), ("MOVW_PREL_G2", signed(49)),
    ("TLSLE_ADD_TPREL_HI12", unsigned(24)), ("TLSLE_ADD_TPREL_LO12", unsigned(12)), ("TLSLD_ADD_DTPREL_HI12", unsigned(24)),
    ("TLSIE_LD_GOTTPREL_PREL19", signed(21)), ("TLSDESC_ADR_PAGE21", signed(33)),
];

#[test]
fn a_field_holds_the_values_of_its_row_and_not_one_more() {
    for (name, (least, greatest)) in LIMITS {
        let row = row(name);
        let align = i128::from(row.align);
        for value in [least, greatest / align * align] {
            assert_eq!(
                row.write(&mut [0; 8], 0, value),
                Ok(()),
                "{name}: {value:#x}"
            );
        }
        for (value, limit) in [(least - 1, least), (greatest + 1, greatest)] {
            let mut bytes = [0x11; 8];
            let refused = Err(Misfit::Range { value, limit });
            assert_eq!(row.write(&mut bytes, 0, value), refused, "{name}");
            assert_eq!(bytes, [0x11; 8], "{name}");
        }
    }
}

#[test]
fn types_that_check_nothing_take_the_bits_that_they_want_from_any_value() {
    for row in ROWS.iter().filter(|row| row.name.ends_with("_NC")) {
        for value in [i128::from(i64::MIN), 0, i128::from(u64::MAX) - 15] {
            let value = value / 16 * 16;
            assert_eq!(
                row.write(&mut [0; 4], 0, value),
                Ok(()),
                "{} {value:#x}",
                row.name
            );
        }
    }
}

#[test]
fn an_operand_that_leaves_out_low_bits_is_refused_where_they_are_not_zero() {
    let aligned = [
        ("CALL26", 4),
        ("CONDBR19", 4),
        ("TSTBR14", 4),
        ("LD_PREL_LO19", 4),
        ("LDST16_ABS_LO12_NC", 2),
        ("LDST32_ABS_LO12_NC", 4),
        ("LDST64_ABS_LO12_NC", 8),
        ("LDST128_ABS_LO12_NC", 16),
        ("LD64_GOT_LO12_NC", 8),
    ];
    for (name, align) in aligned {
        for off in [1, align / 2] {
            let value = 0x1000 + i128::from(off);
            let refused = Err(Misfit::Alignment { value, align });
            assert_eq!(row(name).write(&mut [0; 4], 0, value), refused, "{name}");
        }
    }
}
