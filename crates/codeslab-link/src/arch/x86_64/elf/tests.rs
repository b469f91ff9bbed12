//! Rows as data: which bytes a relocation leaves behind, and where its field ends.

use super::ROWS;
use crate::arch::formula::Terms;
use crate::arch::row::{Misfit, Row};

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect(name)
}

/// Terms that tell every formula apart.
const TERMS: Terms = Terms {
    S: 0x1_0000,
    A: -4,
    P: 0x8000,
    L: 0x9000,
    G: 0xa018,
    GOT: 0xa000,
    Z: 0x55,
    TP: -0x40,
    image: 0,
    segment: 0,
    segment_number: 0,
    subtracted: 0,
};

/// The psABI's table: number, name, bytes of the field, and the value for the terms above.
#[rustfmt::skip] // A table is read by columns.
const VALUES: [(u32, &str, u64, i128); 42] = [
    ( 0, "R_X86_64_NONE",          0, 0),
    ( 1, "R_X86_64_64",            8, 0xfffc),
    ( 2, "R_X86_64_PC32",          4, 0x7ffc),
    ( 3, "R_X86_64_GOT32",         4, 0x14),
    ( 4, "R_X86_64_PLT32",         4, 0xffc),
    ( 9, "R_X86_64_GOTPCREL",      4, 0x2014),
    (10, "R_X86_64_32",            4, 0xfffc),
    (11, "R_X86_64_32S",           4, 0xfffc),
    (12, "R_X86_64_16",            2, 0xfffc),
    (13, "R_X86_64_PC16",          2, 0x7ffc),
    (14, "R_X86_64_8",             1, 0xfffc),
    (15, "R_X86_64_PC8",           1, 0x7ffc),
    (17, "R_X86_64_DTPOFF64",      8, 0xfffc),
    (18, "R_X86_64_TPOFF64",       8, -0x44),
    (19, "R_X86_64_TLSGD",         4, 0x2014),
    (20, "R_X86_64_TLSLD",         4, 0x2014),
    (21, "R_X86_64_DTPOFF32",      4, 0xfffc),
    (22, "R_X86_64_GOTTPOFF",      4, 0x2014),
    (23, "R_X86_64_TPOFF32",       4, -0x44),
    (24, "R_X86_64_PC64",          8, 0x7ffc),
    (25, "R_X86_64_GOTOFF64",      8, 0x5ffc),
    (26, "R_X86_64_GOTPC32",       4, 0x1ffc),
    (27, "R_X86_64_GOT64",         8, 0x14),
    (28, "R_X86_64_GOTPCREL64",    8, 0x2014),
    (29, "R_X86_64_GOTPC64",       8, 0x1ffc),
    (30, "R_X86_64_GOTPLT64",      8, 0x14),
    (31, "R_X86_64_PLTOFF64",      8, -0x1004),
    (32, "R_X86_64_SIZE32",        4, 0x51),
    (33, "R_X86_64_SIZE64",        8, 0x51),
    (34, "R_X86_64_GOTPC32_TLSDESC", 4, 0x2014),
    (35, "R_X86_64_TLSDESC_CALL",  0, 0),
    (41, "R_X86_64_GOTPCRELX",     4, 0x2014),
    (42, "R_X86_64_REX_GOTPCRELX", 4, 0x2014),
    (43, "R_X86_64_CODE_4_GOTPCRELX",       4, 0x2014),
    (44, "R_X86_64_CODE_4_GOTTPOFF",        4, 0x2014),
    (45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", 4, 0x2014),
    (46, "R_X86_64_CODE_5_GOTPCRELX",       4, 0x2014),
    (47, "R_X86_64_CODE_5_GOTTPOFF",        4, 0x2014),
    (48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", 4, 0x2014),
    (49, "R_X86_64_CODE_6_GOTPCRELX",       4, 0x2014),
    (50, "R_X86_64_CODE_6_GOTTPOFF",        4, 0x2014),
    (51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", 4, 0x2014),
];

#[test]
fn each_row_is_the_psabis() {
    assert_eq!(ROWS.len(), VALUES.len());
    for (number, name, size, value) in VALUES {
        let row = row(name);
        assert_eq!((row.number, row.encoding.size()), (number, size), "{name}");
        assert_eq!(row.formula.value(&TERMS), value, "{name}");
    }
}

#[test]
fn only_the_types_that_allow_it_let_an_instruction_be_rewritten() {
    let relaxable = ROWS.iter().filter(|row| row.relax.is_some());
    let names: Vec<&str> = relaxable.map(|row| row.name).collect();
    let expected = ["GOTTPOFF", "GOTPCRELX", "REX_GOTPCRELX"];
    assert_eq!(names, expected.map(|name| format!("R_X86_64_{name}")));
}

/// The ends of each width and sign: the least value, its bytes, the greatest value, its bytes.
type Ends = (&'static str, i128, &'static [u8], i128, &'static [u8]);

#[rustfmt::skip] // A table is read by columns.
const ENDS: [Ends; 8] = [
    ("R_X86_64_PC8",  -0x80,        &[0x80],                   0x7f,        &[0x7f]),
    ("R_X86_64_8",    -0x80,        &[0x80],                   0xff,        &[0xff]),
    ("R_X86_64_PC16", -0x8000,      &[0x00, 0x80],             0x7fff,      &[0xff, 0x7f]),
    ("R_X86_64_16",   -0x8000,      &[0x00, 0x80],             0xffff,      &[0xff, 0xff]),
    ("R_X86_64_PC32", -0x8000_0000, &[0, 0, 0, 0x80],          0x7fff_ffff, &[0xff, 0xff, 0xff, 0x7f]),
    ("R_X86_64_32S",  -0x8000_0000, &[0, 0, 0, 0x80],          0x7fff_ffff, &[0xff, 0xff, 0xff, 0x7f]),
    ("R_X86_64_32",   0,            &[0, 0, 0, 0],             0xffff_ffff, &[0xff; 4]),
    ("R_X86_64_64",   -(1 << 63),   &[0, 0, 0, 0, 0, 0, 0, 0x80], (1 << 64) - 1, &[0xff; 8]),
];

#[test]
fn a_field_holds_the_values_of_its_row_and_not_one_more() {
    for (name, least, least_bytes, greatest, greatest_bytes) in ENDS {
        let row = row(name);
        for (value, expected) in [(least, least_bytes), (greatest, greatest_bytes)] {
            let mut bytes = [0x11; 12];
            assert_eq!(row.write(&mut bytes, 2, value), Ok(()));
            let (before, rest) = bytes.split_at(2);
            let (field, after) = rest.split_at(expected.len());
            assert_eq!(field, expected, "{name} {value:#x}");
            assert!(
                before.iter().chain(after).all(|byte| *byte == 0x11),
                "{name}"
            );
        }
        for (value, limit) in [(least - 1, least), (greatest + 1, greatest)] {
            let mut bytes = [0x11; 12];
            let refused = Err(Misfit::Range { value, limit });
            assert_eq!(row.write(&mut bytes, 2, value), refused, "{name}");
            assert_eq!(bytes, [0x11; 12], "{name}");
        }
    }
}
