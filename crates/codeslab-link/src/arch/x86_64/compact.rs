//! Compact unwind information of x86-64: frames that `rbp` leads to, frames without it, and those that DWARF describes.
//!
//! Without `rbp` a number says how large the frame is, or where in the code that is said, and which registers lie at its top: their set and
//! order as one of the permutations of six.

use crate::arch::compact::{Compact, CompactForm, Frame, Saved, field};

pub(super) const FORM: CompactForm = CompactForm {
    read,
    return_address: RETURN,
    at_entry: (RSP, 8),
    saved_at_entry: &[saved(RETURN, 1)],
    // X86_64_RELOC_GOT
    got_distance: 4,
};

const RBP: u8 = 6;
const RSP: u8 = 7;
const RETURN: u8 = 16;

/// `rbx`, `r12` to `r15` and `rbp`, which numbers count from 1.
const SAVED: [u8; 6] = [3, 12, 13, 14, 15, RBP];

const MODE: u32 = 0x0f00_0000;
const IN_FRAME: u32 = 1;
const FRAMELESS: u32 = 2;
const FRAMELESS_BY_CODE: u32 = 3;
const IN_TABLE: u32 = 4;

/// With `rbp`: how many words below it registers begin, and five of them.
const OFFSET: u32 = 0x00ff_0000;
const REGISTERS: u32 = 0x7fff;
/// Without: how many words the frame has, or where in the code the number of bytes is, and how many words more.
const SIZE: u32 = 0x00ff_0000;
const ADJUST: u32 = 0xe000;
const COUNT: u32 = 0x1c00;
const PERMUTATION: u32 = 0x03ff;

const fn saved(register: u8, words: u64) -> Saved {
    Saved { register, words }
}

fn read(number: u32, code: &[u8]) -> Option<Compact> {
    match field(number, MODE) {
        0 => Some(Compact::Nothing),
        IN_FRAME => in_frame(number),
        FRAMELESS => frameless(number, u64::from(field(number, SIZE))),
        FRAMELESS_BY_CODE => {
            let at = field(number, SIZE) as usize;
            let bytes = u32::from_le_bytes(*code.get(at..)?.first_chunk()?);
            let adjust = u64::from(field(number, ADJUST));
            frameless(number, u64::from(bytes / 8) + adjust)
        }
        IN_TABLE => Some(Compact::InTable),
        _ => None,
    }
}

/// `push rbp; mov rbp, rsp`, and registers somewhere below.
fn in_frame(number: u32) -> Option<Compact> {
    // The return address and the caller's `rbp` lie above.
    let first = 2 + u64::from(field(number, OFFSET));
    let mut all = vec![saved(RBP, 2)];
    for index in 0..5 {
        let register = field(number, REGISTERS) >> (3 * index) & 7;
        if register == 0 {
            continue;
        }
        let words = first.checked_sub(index).filter(|words| *words > 2)?;
        let known = SAVED[..5].get(register as usize - 1)?;
        all.push(saved(*known, words));
    }
    Some(Compact::Frame(Frame {
        base: (RBP, 16),
        saved: all,
    }))
}

/// A frame of so many words, with registers at its top, below the return address.
fn frameless(number: u32, words: u64) -> Option<Compact> {
    let count = u64::from(field(number, COUNT));
    let registers = permuted(count, field(number, PERMUTATION))?;
    let lowest = count + 1;
    (lowest <= words).then_some(())?;
    let places = (0..).map(|index| lowest - index);
    let all = registers.into_iter().zip(places);
    Some(Compact::Frame(Frame {
        base: (RSP, words * 8),
        saved: all
            .map(|(register, words)| saved(register, words))
            .collect(),
    }))
}

/// The registers, lowest first, that a permutation of so many out of six stands for.
fn permuted(count: u64, permutation: u32) -> Option<Vec<u8>> {
    let mut left = SAVED.to_vec();
    let mut rest = u64::from(permutation);
    let mut chosen = Vec::new();
    for index in 0..count {
        // How many ways there are to choose those behind it.
        let ways: u64 = (index + 1..count)
            .map(|behind| 6_u64.saturating_sub(behind))
            .product();
        let which = (rest / ways.max(1)) as usize;
        rest %= ways.max(1);
        (which < left.len()).then_some(())?;
        chosen.push(left.remove(which));
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number, a register with the bytes above it, and saved registers with the words below that.
    type Row = (u32, (u8, u64), &'static [(u8, u64)]);

    fn frame(base: (u8, u64), all: &[(u8, u64)]) -> Compact {
        let all = all.iter().map(|(register, words)| saved(*register, *words));
        let saved = all.collect();
        Compact::Frame(Frame { base, saved })
    }

    #[test]
    fn frames_are_those_that_compilers_mean() {
        #[rustfmt::skip] // A table is read by columns.
        let frames: [Row; 6] = [
            (0x0100_0000, (6, 16), &[(6, 2)]),
            (0x4101_0001, (6, 16), &[(6, 2), (3, 3)]),
            // r15, r14, r13, r12 and rbx are pushed in this order.
            (0x0105_58d1, (6, 16), &[(6, 2), (3, 7), (12, 6), (13, 5), (14, 4), (15, 3)]),
            (0x0201_0000, (7, 8), &[]),
            (0x0202_0400, (7, 16), &[(3, 2)]),
            (0x0207_1800, (7, 56), &[(3, 7), (12, 6), (13, 5), (14, 4), (15, 3), (6, 2)]),
        ];
        for (number, base, saved) in frames {
            assert_eq!(read(number, &[]), Some(frame(base, saved)), "{number:#x}");
        }
        assert_eq!(read(0, &[]), Some(Compact::Nothing));
        assert_eq!(read(0x0400_0020, &[]), Some(Compact::InTable));
    }

    #[test]
    fn the_size_of_a_large_frame_stands_in_the_code() {
        // sub rsp, 0x12345678
        let code = [0x48, 0x81, 0xec, 0x78, 0x56, 0x34, 0x12];
        let number = 0x0300_0000 | 3 << 16 | 2 << 13;
        let large = frame((7, 0x1234_5678 + 16), &[]);
        assert_eq!(read(number, &code), Some(large));
        assert_eq!(read(number, &code[..6]), None);
    }

    #[test]
    fn numbers_that_contradict_themselves_are_not_read() {
        for number in [
            0x0500_0000,
            // rbp and nothing as registers in a frame that rbp leads to
            0x0101_0006,
            0x0101_0007,
            // a register where rbp is
            0x0100_0001,
            // more registers than the frame has room for
            0x0201_0400,
            // the seventh of six
            0x0208_0406,
            0x0208_1c00,
        ] {
            assert_eq!(read(number, &[]), None, "{number:#x}");
        }
    }
}
