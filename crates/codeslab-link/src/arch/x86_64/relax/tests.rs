//! Rewritten instructions as data: what the compiler emits, and what is to become of it.

use super::{TO_END, initial_exec, with_rex, without_rex};
use crate::arch::row::{Operand, RelaxInstruction};

/// P of every case.
const PLACE: u64 = 0x10_0000_1000;
/// A symbol that is 0x100 bytes behind the end of the operand.
const NEAR: u64 = PLACE + 4 + 0x100;
/// One that is neither near nor small.
const FAR: u64 = 0x7fff_1234_5678_0000;
/// One that fits an immediate operand but is out of reach.
const SMALL: u64 = 0x1234_5678;

/// The offset of a thread-local variable.
const OFFSET: u64 = (-0x40_i64).cast_unsigned();

struct Case {
    title: &'static str,
    relax: RelaxInstruction,
    symbol: u64,
    before: &'static [u8],
    after: &'static [u8],
}

const fn case(
    title: &'static str,
    relax: RelaxInstruction,
    symbol: u64,
    before: &'static [u8],
    after: &'static [u8],
) -> Case {
    Case {
        title,
        relax,
        symbol,
        before,
        after,
    }
}

#[rustfmt::skip] // A table is read by columns.
const CASES: &[Case] = &[
    case("mov to lea", with_rex, NEAR,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8d, 0x05, 0, 1, 0, 0]),
    case("mov to lea keeps REX.R", with_rex, NEAR,
        &[0x4c, 0x8b, 0x3d, 0, 0, 0, 0], &[0x4c, 0x8d, 0x3d, 0, 1, 0, 0]),
    case("mov to lea without REX", without_rex, NEAR,
        &[0x8b, 0x05, 0, 0, 0, 0], &[0x8d, 0x05, 0, 1, 0, 0]),
    case("mov to immediate", with_rex, SMALL,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0xc7, 0xc0, 0x78, 0x56, 0x34, 0x12]),
    case("mov to immediate moves REX.R to REX.B", with_rex, SMALL,
        &[0x4c, 0x8b, 0x3d, 0, 0, 0, 0], &[0x49, 0xc7, 0xc7, 0x78, 0x56, 0x34, 0x12]),
    case("mov of a null weak symbol", with_rex, 0,
        &[0x48, 0x8b, 0x1d, 0, 0, 0, 0], &[0x48, 0xc7, 0xc3, 0, 0, 0, 0]),
    case("mov of a far symbol stays", with_rex, FAR,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0]),
    case("an address above 2 GiB would be sign-extended and stays", with_rex, 0x8000_0000,
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0]),
    case("call", without_rex, NEAR,
        &[0xff, 0x15, 0, 0, 0, 0], &[0x67, 0xe8, 0, 1, 0, 0]),
    case("call that is padded stays", without_rex, NEAR,
        &[0x66, 0x48, 0xff, 0x15, 0, 0, 0, 0], &[0x66, 0x48, 0xff, 0x15, 0, 0, 0, 0]),
    case("call of a far symbol stays", without_rex, FAR,
        &[0xff, 0x15, 0, 0, 0, 0], &[0xff, 0x15, 0, 0, 0, 0]),
    case("jmp moves its field", without_rex, NEAR,
        &[0xff, 0x25, 0, 0, 0, 0], &[0xe9, 1, 1, 0, 0, 0x90]),
    case("test", with_rex, SMALL,
        &[0x48, 0x85, 0x0d, 0, 0, 0, 0], &[0x48, 0xf7, 0xc1, 0x78, 0x56, 0x34, 0x12]),
    case("add", with_rex, SMALL,
        &[0x48, 0x03, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xc0, 0x78, 0x56, 0x34, 0x12]),
    case("or", with_rex, SMALL,
        &[0x48, 0x0b, 0x0d, 0, 0, 0, 0], &[0x48, 0x81, 0xc9, 0x78, 0x56, 0x34, 0x12]),
    case("adc", with_rex, SMALL,
        &[0x48, 0x13, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xd0, 0x78, 0x56, 0x34, 0x12]),
    case("sbb", with_rex, SMALL,
        &[0x48, 0x1b, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xd8, 0x78, 0x56, 0x34, 0x12]),
    case("and", with_rex, SMALL,
        &[0x48, 0x23, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xe0, 0x78, 0x56, 0x34, 0x12]),
    case("sub", with_rex, SMALL,
        &[0x48, 0x2b, 0x05, 0, 0, 0, 0], &[0x48, 0x81, 0xe8, 0x78, 0x56, 0x34, 0x12]),
    case("xor", without_rex, SMALL,
        &[0x33, 0x05, 0, 0, 0, 0], &[0x81, 0xf0, 0x78, 0x56, 0x34, 0x12]),
    case("cmp moves REX.R to REX.B", with_rex, SMALL,
        &[0x4c, 0x3b, 0x15, 0, 0, 0, 0], &[0x49, 0x81, 0xfa, 0x78, 0x56, 0x34, 0x12]),
    case("cmp of a near symbol with a large address stays", with_rex, NEAR,
        &[0x48, 0x3b, 0x05, 0, 0, 0, 0], &[0x48, 0x3b, 0x05, 0, 0, 0, 0]),
    case("mov of a thread-local offset", initial_exec, OFFSET,
        &[0x48, 0x8b, 0x1d, 0, 0, 0, 0], &[0x48, 0xc7, 0xc3, 0xc0, 0xff, 0xff, 0xff]),
    case("mov of a thread-local offset moves REX.R to REX.B", initial_exec, OFFSET,
        &[0x4c, 0x8b, 0x25, 0, 0, 0, 0], &[0x49, 0xc7, 0xc4, 0xc0, 0xff, 0xff, 0xff]),
    case("add of a thread-local offset", initial_exec, OFFSET,
        &[0x48, 0x03, 0x0d, 0, 0, 0, 0], &[0x48, 0x81, 0xc1, 0xc0, 0xff, 0xff, 0xff]),
    case("an offset beyond 2 GiB stays", initial_exec, 0x8000_0000,
        &[0x48, 0x8b, 0x1d, 0, 0, 0, 0], &[0x48, 0x8b, 0x1d, 0, 0, 0, 0]),
    case("cmp with a thread-local offset stays", initial_exec, OFFSET,
        &[0x48, 0x3b, 0x1d, 0, 0, 0, 0], &[0x48, 0x3b, 0x1d, 0, 0, 0, 0]),
    case("half of a thread-local offset stays", initial_exec, OFFSET,
        &[0x44, 0x8b, 0x1d, 0, 0, 0, 0], &[0x44, 0x8b, 0x1d, 0, 0, 0, 0]),
    case("an unknown opcode stays", with_rex, NEAR,
        &[0x48, 0x8a, 0x05, 0, 0, 0, 0], &[0x48, 0x8a, 0x05, 0, 0, 0, 0]),
    case("another addressing mode stays", with_rex, NEAR,
        &[0x48, 0x8b, 0x04, 0, 0, 0, 0], &[0x48, 0x8b, 0x04, 0, 0, 0, 0]),
    case("a prefix that is not REX stays", with_rex, NEAR,
        &[0x66, 0x8b, 0x05, 0, 0, 0, 0], &[0x66, 0x8b, 0x05, 0, 0, 0, 0]),
];

#[test]
fn an_instruction_is_rewritten_if_it_is_what_the_relocation_says() {
    for case in CASES {
        let mut bytes = case.before.to_vec();
        let operand = Operand {
            offset: bytes.len() - 4,
            place: PLACE,
            symbol: case.symbol,
            addend: TO_END,
        };
        let rewritten = (case.relax)(&mut bytes, operand);
        assert_eq!(bytes, case.after, "{}", case.title);
        assert_eq!(rewritten, case.before != case.after, "{}", case.title);
    }
}

#[test]
fn nothing_outside_of_the_section_is_read_or_rewritten() {
    let instruction = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
    for start in 0..instruction.len() {
        for offset in [0, 1, 2, 3, 4, usize::MAX - 3, usize::MAX] {
            let mut bytes = instruction[start..].to_vec();
            let operand = Operand {
                offset,
                place: PLACE,
                symbol: NEAR,
                addend: TO_END,
            };
            let whole = start == 0 && offset == 3;
            let bare = start == 1 && offset == 2;
            assert_eq!(with_rex(&mut bytes, operand), whole);
            let mut bytes = instruction[start..].to_vec();
            assert_eq!(
                without_rex(&mut bytes, operand),
                whole || bare,
                "{start} {offset}"
            );
        }
    }
}

#[test]
fn an_instruction_that_uses_more_than_the_entry_itself_stays() {
    let load = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
    for addend in [TO_END - 1, 0, 4] {
        let mut bytes = load;
        let operand = Operand {
            offset: 3,
            place: PLACE,
            symbol: NEAR,
            addend,
        };
        assert!(!with_rex(&mut bytes, operand));
        assert_eq!(bytes, load);
    }
}
