//! Rewritten instructions as data: what the compiler emits, and what is to become of it.

use super::{Operand, relax, stub};
use crate::arch::formula::RelocationKind::{self, GotPcRel, GotPcRelX, RexGotPcRelX};

/// P of every case.
const PLACE: u64 = 0x10_0000_1000;
/// A symbol that is 0x100 bytes behind the end of the operand.
const NEAR: u64 = PLACE + 4 + 0x100;
/// One that is neither near nor small.
const FAR: u64 = 0x7fff_1234_5678_0000;
/// One that fits an immediate operand but is out of reach.
const SMALL: u64 = 0x1234_5678;

struct Case {
    title: &'static str,
    kind: RelocationKind,
    symbol: u64,
    before: &'static [u8],
    after: &'static [u8],
}

const fn case(
    title: &'static str,
    kind: RelocationKind,
    symbol: u64,
    before: &'static [u8],
    after: &'static [u8],
) -> Case {
    Case {
        title,
        kind,
        symbol,
        before,
        after,
    }
}

#[rustfmt::skip] // A table is read by columns.
const CASES: &[Case] = &[
    case("mov to lea", RexGotPcRelX, NEAR,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8d, 0x05, 0, 1, 0, 0]),
    case("mov to lea keeps REX.R", RexGotPcRelX, NEAR,
        &[0x4c, 0x8b, 0x3d, 0, 0, 0, 0], &[0x4c, 0x8d, 0x3d, 0, 1, 0, 0]),
    case("mov to lea without REX", GotPcRelX, NEAR,
        &[0x8b, 0x05, 0, 0, 0, 0], &[0x8d, 0x05, 0, 1, 0, 0]),
    case("mov to immediate", RexGotPcRelX, SMALL,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0xc7, 0xc0, 0x78, 0x56, 0x34, 0x12]),
    case("mov to immediate moves REX.R to REX.B", RexGotPcRelX, SMALL,
        &[0x4c, 0x8b, 0x3d, 0, 0, 0, 0], &[0x49, 0xc7, 0xc7, 0x78, 0x56, 0x34, 0x12]),
    case("mov of a null weak symbol", RexGotPcRelX, 0,
        &[0x48, 0x8b, 0x1d, 0, 0, 0, 0], &[0x48, 0xc7, 0xc3, 0, 0, 0, 0]),
    case("mov of a far symbol stays", RexGotPcRelX, FAR,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0]),
    case("an address above 2 GiB would be sign-extended and stays", RexGotPcRelX, 0x8000_0000,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0]),
    case("call", GotPcRelX, NEAR,
        &[0xff, 0x15, 0, 0, 0, 0], &[0x67, 0xe8, 0, 1, 0, 0]),
    case("call of a far symbol stays", GotPcRelX, FAR,
        &[0xff, 0x15, 0, 0, 0, 0], &[0xff, 0x15, 0, 0, 0, 0]),
    case("jmp moves its field", GotPcRelX, NEAR,
        &[0xff, 0x25, 0, 0, 0, 0], &[0xe9, 1, 1, 0, 0, 0x90]),
    case("test", RexGotPcRelX, SMALL,
        &[0x48, 0x85, 0x0d, 0, 0, 0, 0], &[0x48, 0xf7, 0xc1, 0x78, 0x56, 0x34, 0x12]),
    case("add", RexGotPcRelX, SMALL,
        &[0x48, 0x03, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xc0, 0x78, 0x56, 0x34, 0x12]),
    case("or", RexGotPcRelX, SMALL,
        &[0x48, 0x0b, 0x0d, 0, 0, 0, 0], &[0x48, 0x81, 0xc9, 0x78, 0x56, 0x34, 0x12]),
    case("adc", RexGotPcRelX, SMALL,
        &[0x48, 0x13, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xd0, 0x78, 0x56, 0x34, 0x12]),
    case("sbb", RexGotPcRelX, SMALL,
        &[0x48, 0x1b, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xd8, 0x78, 0x56, 0x34, 0x12]),
    case("and", RexGotPcRelX, SMALL,
        &[0x48, 0x23, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xe0, 0x78, 0x56, 0x34, 0x12]),
    case("sub", RexGotPcRelX, SMALL,
        &[0x48, 0x2b, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xe8, 0x78, 0x56, 0x34, 0x12]),
    case("xor", GotPcRelX, SMALL,
        &[0x33, 0x05, 0, 0, 0, 0], &[0x81, 0xf0, 0x78, 0x56, 0x34, 0x12]),
    case("cmp moves REX.R to REX.B", RexGotPcRelX, SMALL,
        &[0x4c, 0x3b, 0x15, 0, 0, 0, 0], &[0x49, 0x81, 0xfa, 0x78, 0x56, 0x34, 0x12]),
    case("cmp of a near symbol with a large address stays", RexGotPcRelX, NEAR,
        &[0x48, 0x3b, 0x05, 0, 0, 0, 0], &[0x48, 0x3b, 0x05, 0, 0, 0, 0]),
    case("an unknown opcode stays", RexGotPcRelX, NEAR,
        &[0x48, 0x8a, 0x05, 0, 0, 0, 0], &[0x48, 0x8a, 0x05, 0, 0, 0, 0]),
    case("another addressing mode stays", RexGotPcRelX, NEAR,
        &[0x48, 0x8b, 0x04, 0, 0, 0, 0], &[0x48, 0x8b, 0x04, 0, 0, 0, 0]),
    case("a prefix that is not REX stays", RexGotPcRelX, NEAR,
        &[0x66, 0x8b, 0x05, 0, 0, 0, 0], &[0x66, 0x8b, 0x05, 0, 0, 0, 0]),
    case("the relocation that forbids it stays", GotPcRel, NEAR,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0]),
];

#[test]
fn rewrites_what_the_relocation_says_and_nothing_else() {
    for case in CASES {
        let mut bytes = case.before.to_vec();
        let operand = Operand {
            offset: bytes.len() - 4,
            place: PLACE,
            symbol: case.symbol,
        };
        let rewritten = relax(&mut bytes, case.kind, operand);
        assert_eq!(bytes, case.after, "{}", case.title);
        assert_eq!(rewritten, case.before != case.after, "{}", case.title);
    }
}

#[test]
fn never_looks_outside_of_the_section() {
    let instruction = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
    for start in 0..instruction.len() {
        for offset in [0, 1, 2, 3, 4, usize::MAX - 3, usize::MAX] {
            let mut bytes = instruction[start..].to_vec();
            let operand = Operand {
                offset,
                place: PLACE,
                symbol: NEAR,
            };
            let whole = start == 0 && offset == 3;
            let bare = start == 1 && offset == 2;
            assert_eq!(relax(&mut bytes, RexGotPcRelX, operand), whole);
            let mut bytes = instruction[start..].to_vec();
            assert_eq!(
                relax(&mut bytes, GotPcRelX, operand),
                whole || bare,
                "{start} {offset}"
            );
        }
    }
}

#[test]
fn a_stub_jumps_through_its_entry_if_that_is_in_reach() {
    let expected = Some([0xff, 0x25, 0xfa, 0x0f, 0, 0, 0xcc, 0xcc]);
    assert_eq!(stub(0x1000, 0x2000), expected);
    assert_eq!(stub(0x1000, 0x1006 + 0x8000_0000), None);
    assert_eq!(stub(u64::MAX - 7, 0), None);
    assert!(stub(0x1000, 0x1006 + 0x7fff_ffff).is_some());
}
