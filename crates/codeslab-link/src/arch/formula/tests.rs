//! Rows as data: which bytes a relocation leaves behind, and where its field ends.

use super::{DoesNotFit, ROWS, RelocationKind as K, Terms};

/// Terms that tell every formula apart.
const TERMS: Terms = Terms {
    S: 0x1_0000,
    A: -4,
    P: 0x8000,
    L: 0x9000,
    G: 0x18,
    GOT: 0xa000,
    Z: 0x55,
};

#[rustfmt::skip] // A table is read by columns.
const VALUES: [(K, i128); 24] = [
    (K::None,         0),
    (K::Abs64,        0xfffc),
    (K::Pc32,         0x7ffc),
    (K::Got32,        0x14),
    (K::Plt32,        0xffc),
    (K::GotPcRel,     0x2014),
    (K::Abs32,        0xfffc),
    (K::Abs32S,       0xfffc),
    (K::Abs16,        0xfffc),
    (K::Pc16,         0x7ffc),
    (K::Abs8,         0xfffc),
    (K::Pc8,          0x7ffc),
    (K::Pc64,         0x7ffc),
    (K::GotOff64,     0x5ffc),
    (K::GotPc32,      0x1ffc),
    (K::Got64,        0x14),
    (K::GotPcRel64,   0x2014),
    (K::GotPc64,      0x1ffc),
    (K::GotPlt64,     0x14),
    (K::PltOff64,     -0x1004),
    (K::Size32,       0x51),
    (K::Size64,       0x51),
    (K::GotPcRelX,    0x2014),
    (K::RexGotPcRelX, 0x2014),
];

#[test]
fn each_formula_is_the_psabis() {
    for (kind, value) in VALUES {
        assert_eq!(kind.row().formula.value(&TERMS), value, "{kind}");
    }
}

#[test]
fn rows_stand_where_their_kind_says() {
    for (index, row) in ROWS.iter().enumerate() {
        assert_eq!(row.kind as usize, index);
        assert_eq!(VALUES[index].0, row.kind);
    }
}

/// The ends of each width and sign: the least value, its bytes, the greatest value, its bytes.
type Ends = (K, i128, &'static [u8], i128, &'static [u8]);

#[rustfmt::skip] // A table is read by columns.
const ENDS: [Ends; 8] = [
    (K::Pc8,    -0x80,        &[0x80],                   0x7f,        &[0x7f]),
    (K::Abs8,   -0x80,        &[0x80],                   0xff,        &[0xff]),
    (K::Pc16,   -0x8000,      &[0x00, 0x80],             0x7fff,      &[0xff, 0x7f]),
    (K::Abs16,  -0x8000,      &[0x00, 0x80],             0xffff,      &[0xff, 0xff]),
    (K::Pc32,   -0x8000_0000, &[0, 0, 0, 0x80],          0x7fff_ffff, &[0xff, 0xff, 0xff, 0x7f]),
    (K::Abs32S, -0x8000_0000, &[0, 0, 0, 0x80],          0x7fff_ffff, &[0xff, 0xff, 0xff, 0x7f]),
    (K::Abs32,  0,            &[0, 0, 0, 0],             0xffff_ffff, &[0xff; 4]),
    (K::Abs64,  -(1 << 63),   &[0, 0, 0, 0, 0, 0, 0, 0x80], (1 << 64) - 1, &[0xff; 8]),
];

#[test]
fn a_field_holds_what_its_row_says_and_not_one_more() {
    for (kind, least, least_bytes, greatest, greatest_bytes) in ENDS {
        for (value, expected) in [(least, least_bytes), (greatest, greatest_bytes)] {
            let mut bytes = [0x11; 12];
            assert_eq!(kind.row().store(&mut bytes, 2, value), Ok(()));
            let (before, rest) = bytes.split_at(2);
            let (field, after) = rest.split_at(expected.len());
            assert_eq!(field, expected, "{kind} {value:#x}");
            assert!(
                before.iter().chain(after).all(|byte| *byte == 0x11),
                "{kind}"
            );
        }
        for (value, limit) in [(least - 1, least), (greatest + 1, greatest)] {
            let mut bytes = [0x11; 12];
            let refused = Err(DoesNotFit { value, limit });
            assert_eq!(kind.row().store(&mut bytes, 2, value), refused, "{kind}");
            assert_eq!(bytes, [0x11; 12], "{kind}");
        }
    }
}
