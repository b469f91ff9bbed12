//! Compact unwind information of 64-bit Arm: frames that `x29` leads to, frames without it, and those that DWARF describes.
//!
//! Registers that a function has to keep are saved in pairs, in the order of their numbers from the top of the frame.

use crate::arch::compact::{Compact, CompactForm, Frame, Saved, field};

pub(super) const FORM: CompactForm = CompactForm {
    read,
    return_address: LINK,
    at_entry: (STACK, 0),
    saved_at_entry: &[],
    // ARM64_RELOC_POINTER_TO_GOT
    got_distance: 7,
};

const FRAME: u8 = 29;
const LINK: u8 = 30;
const STACK: u8 = 31;
/// The first of the floating-point registers.
const V0: u8 = 64;

const MODE: u32 = 0x0f00_0000;
const FRAMELESS: u32 = 2;
const IN_TABLE: u32 = 3;
const IN_FRAME: u32 = 4;

/// How many times 16 bytes a frame has.
const SIZE: u32 = 0x00ff_f000;

/// Pairs by their bits, in the order in which they lie.
const PAIRS: [(u32, u8); 9] = [
    (0x001, 19),
    (0x002, 21),
    (0x004, 23),
    (0x008, 25),
    (0x010, 27),
    (0x100, V0 + 8),
    (0x200, V0 + 10),
    (0x400, V0 + 12),
    (0x800, V0 + 14),
];

fn read(number: u32, _code: &[u8]) -> Option<Compact> {
    match field(number, MODE) {
        0 => Some(Compact::Nothing),
        FRAMELESS => {
            let bytes = u64::from(field(number, SIZE)) * 16;
            let saved = pairs(number, 1);
            let fits = saved.len() as u64 * 8 <= bytes;
            let base = (STACK, bytes);
            fits.then_some(Compact::Frame(Frame { base, saved }))
        }
        IN_TABLE => Some(Compact::InTable),
        IN_FRAME => {
            let word = |register, words| Saved { register, words };
            let mut saved = vec![word(FRAME, 2), word(LINK, 1)];
            saved.extend(pairs(number, 3));
            let base = (FRAME, 16);
            Some(Compact::Frame(Frame { base, saved }))
        }
        _ => None,
    }
}

/// The pairs, of which the first begins so many words below the caller's stack pointer.
fn pairs(number: u32, first: u64) -> Vec<Saved> {
    let pairs = PAIRS.iter().filter(|(bit, _)| number & bit != 0);
    let registers = pairs.flat_map(|(_, register)| [*register, register + 1]);
    let all = registers.zip(first..);
    all.map(|(register, words)| Saved { register, words })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number, a register with the bytes above it, and saved registers with the words below that.
    type Row = (u32, (u8, u64), &'static [(u8, u64)]);

    #[test]
    fn frames_are_those_that_compilers_mean() {
        #[rustfmt::skip] // A table is read by columns.
        let frames: [Row; 5] = [
            (0x0400_0000, (29, 16), &[(29, 2), (30, 1)]),
            (0x4400_0001, (29, 16), &[(29, 2), (30, 1), (19, 3), (20, 4)]),
            (0x0400_0814, (29, 16), &[(29, 2), (30, 1), (23, 3), (24, 4), (27, 5), (28, 6), (78, 7), (79, 8)]),
            (0x0200_0000, (31, 0), &[]),
            (0x0200_2001, (31, 32), &[(19, 1), (20, 2)]),
        ];
        for (number, base, saved) in frames {
            let saved = saved.iter();
            let saved = saved.map(|&(register, words)| Saved { register, words });
            let saved = saved.collect();
            let frame = Compact::Frame(Frame { base, saved });
            assert_eq!(read(number, &[]), Some(frame), "{number:#x}");
        }
        assert_eq!(read(0, &[]), Some(Compact::Nothing));
        assert_eq!(read(0x0300_0010, &[]), Some(Compact::InTable));
    }

    #[test]
    fn numbers_that_contradict_themselves_are_not_read() {
        // A mode that is none, and more registers than the frame has room for.
        for number in [0x0500_0000, 0x0200_1003] {
            assert_eq!(read(number, &[]), None, "{number:#x}");
        }
    }
}
