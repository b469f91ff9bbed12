//! What COFF objects say about x86-64: relocation types by number, as rows.
//!
//! Fields hold their addends, which the format's reader takes out of them. Distances count from the end of an instruction: the field is its
//! last part, or 1 to 5 bytes of an immediate operand follow. One number means both branches and operands in memory; the rows tell them
//! apart, because what is branched to may be a stub. `ADDR32NB` counts from the start of the image's block, and what is not of the image has
//! a stub there: it is the handler that unwind information names.
//!
//! Source: Microsoft, "PE Format", "COFF Relocations"
//! (<https://learn.microsoft.com/en-us/windows/win32/debug/pe-format#type-indicators>).

use super::fields::row;
use crate::arch::encoding::Range;
use crate::arch::formula::{
    Formula,
    Origin::{Image, P, Segment},
    Term::{self, L, Nothing, S},
    of,
};
use crate::arch::machine::{BRANCHES, Table, by_number};
use crate::arch::row::{Far::Error, Far::Placement, Far::Stub, Row};
use object::BinaryFormat;

pub(super) const TABLE: Table = Table {
    format: BinaryFormat::Coff,
    // IMAGE_FILE_MACHINE_AMD64
    machine: 0x8664,
    rows: &ROWS,
    by_number: &BY_NUMBER,
    unsupported: &[],
    common_sections: &[],
};

/// The distance of a symbol from `past` bytes behind the start of the field.
const fn distance(past: u8) -> Formula {
    of(S).minus(P).past(past)
}

const I32: Range = Range::signed(32);
const U16: Range = Range::unsigned(16);
const U32: Range = Range::unsigned(32);
const E64: Range = Range::either(64);

#[rustfmt::skip] // A table is read by columns.
static ROWS: [Row; 14] = [
    row( 0, "IMAGE_REL_AMD64_ABSOLUTE", of(Nothing),             0, E64, Error),
    row( 1, "IMAGE_REL_AMD64_ADDR64",   of(S),                   8, E64, Error),
    row( 2, "IMAGE_REL_AMD64_ADDR32",   of(S),                   4, U32, Placement),
    row( 3, "IMAGE_REL_AMD64_ADDR32NB", of(L).minus(Image),      4, U32, Stub),
    row( 4, "IMAGE_REL_AMD64_REL32",    distance(4),             4, I32, Placement),
    row( 5, "IMAGE_REL_AMD64_REL32_1",  distance(5),             4, I32, Placement),
    row( 6, "IMAGE_REL_AMD64_REL32_2",  distance(6),             4, I32, Placement),
    row( 7, "IMAGE_REL_AMD64_REL32_3",  distance(7),             4, I32, Placement),
    row( 8, "IMAGE_REL_AMD64_REL32_4",  distance(8),             4, I32, Placement),
    row( 9, "IMAGE_REL_AMD64_REL32_5",  distance(9),             4, I32, Placement),
    row(10, "IMAGE_REL_AMD64_SECTION",  of(Term::Segment),       2, U16, Error),
    row(11, "IMAGE_REL_AMD64_SECREL",   of(S).minus(Segment),    4, U32, Error),
    // GNU's tools write distances of 64 bits so; in Microsoft's documents the number stands for something that compilers never wrote.
    row(14, "R_AMD64_PCRQUAD",          distance(8),             8, E64, Error),
    row(4 + BRANCHES, "IMAGE_REL_AMD64_REL32 (branch)", of(L).minus(P).past(4), 4, I32, Stub),
];

static BY_NUMBER: [u8; 5 + BRANCHES as usize] = by_number(&ROWS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::formula::Terms;
    use crate::arch::row::Misfit;

    const FIELD: i128 = 0x1_0000_0000;
    const IMAGE: i128 = 0xf000_0000;

    fn named(name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).expect(name)
    }

    /// What a field of this type holds for a symbol at an address, with an addend.
    fn field(name: &str, symbol: i128, addend: i128) -> Result<Vec<u8>, Misfit> {
        let row = named(name);
        let terms = Terms {
            S: symbol,
            L: symbol,
            A: addend,
            P: FIELD,
            image: IMAGE,
            segment: IMAGE + 0x1000,
            segment_number: 3,
            ..Terms::default()
        };
        let mut bytes = vec![0xa5; 10];
        row.write(&mut bytes, 1, row.formula.value(&terms))?;
        let size = row.encoding.size() as usize;
        assert_eq!((bytes[0], bytes[1 + size]), (0xa5, 0xa5), "{name}");
        Ok(bytes[1..][..size].to_vec())
    }

    #[test]
    fn distances_count_from_the_end_of_the_instruction_and_span_32_bits_each_way() {
        let names = [
            "REL32", "REL32_1", "REL32_2", "REL32_3", "REL32_4", "REL32_5",
        ];
        for (name, past) in names.into_iter().zip(4..) {
            let name = format!("IMAGE_REL_AMD64_{name}");
            let at = |distance: i128| field(&name, FIELD + past + distance - 0x10, 0x10);
            for value in [0_i32, 1, -1, i32::MAX, i32::MIN] {
                assert_eq!(at(value.into()), Ok(value.to_le_bytes().to_vec()), "{name}");
            }
            assert!(at(i128::from(i32::MAX) + 1).is_err(), "{name}");
            assert!(at(i128::from(i32::MIN) - 1).is_err(), "{name}");
        }
    }

    #[test]
    fn gnu_distances_of_64_bits_count_from_the_end_of_the_field() {
        let far = field("R_AMD64_PCRQUAD", FIELD + 8 - (1 << 40), 2);
        assert_eq!(far, Ok((2 - (1_i64 << 40)).to_le_bytes().to_vec()));
    }

    #[test]
    fn a_branch_is_a_distance_whose_symbol_may_have_a_stub() {
        let branch = "IMAGE_REL_AMD64_REL32 (branch)";
        assert_eq!(field(branch, FIELD + 4, 7), Ok(vec![7, 0, 0, 0]));
        assert_eq!(named(branch).far, Stub);
        assert_eq!(named("IMAGE_REL_AMD64_REL32").far, Placement);
    }

    #[test]
    fn addresses_have_64_bits_or_lie_in_the_first_4_gib() {
        let wide = field("IMAGE_REL_AMD64_ADDR64", u64::MAX.into(), 0);
        assert_eq!(wide, Ok(vec![0xff; 8]));
        let narrow = |symbol, addend| field("IMAGE_REL_AMD64_ADDR32", symbol, addend);
        assert_eq!(narrow(0xffff_fff0, 0xf), Ok(vec![0xff; 4]));
        assert!(narrow(0xffff_fff0, 0x10).is_err());
        assert_eq!(narrow(0, 0), Ok(vec![0; 4]));
        assert!(narrow(0, -1).is_err());
    }

    #[test]
    fn addresses_without_base_count_from_the_block_and_span_4_gib() {
        let at = |symbol| field("IMAGE_REL_AMD64_ADDR32NB", symbol, 2);
        assert_eq!(at(IMAGE), Ok(vec![2, 0, 0, 0]));
        assert_eq!(at(IMAGE + 0xffff_fffd), Ok(vec![0xff; 4]));
        assert!(at(IMAGE + 0xffff_fffe).is_err());
        assert!(at(IMAGE - 3).is_err());
    }

    #[test]
    fn sections_are_numbers_and_offsets_of_segments() {
        let section = field("IMAGE_REL_AMD64_SECTION", IMAGE, 0);
        assert_eq!(section, Ok(vec![3, 0]));
        assert!(field("IMAGE_REL_AMD64_SECTION", IMAGE, 0xffff).is_err());
        let offset = |symbol| field("IMAGE_REL_AMD64_SECREL", symbol, 1);
        assert_eq!(offset(IMAGE + 0x1233), Ok(vec![0x34, 2, 0, 0]));
        assert_eq!(offset(IMAGE + 0x1_0000_0ffe), Ok(vec![0xff; 4]));
        assert!(offset(IMAGE + 0x1_0000_0fff).is_err());
        assert!(offset(IMAGE + 0xffe).is_err());
    }
}
