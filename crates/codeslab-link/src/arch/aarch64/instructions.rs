//! Instructions that more than one file of this machine writes, and how they keep their operands.
//!
//! Source: Arm Architecture Reference Manual for A-profile, chapter C6 (<https://developer.arm.com/documentation/ddi0487/latest>).

use crate::arch::encoding::{Encoding, Piece, Range};
use crate::arch::formula::Formula;
use crate::arch::row::{Far, Row};
use codeslab::Architecture;

pub(super) const fn bits(pieces: &'static [Piece]) -> Encoding {
    Encoding::Bits { size: 4, pieces }
}

/// `adrp`: a number of pages.
pub(super) const PAGE: Encoding = bits(&[Piece::new(12, 29, 2), Piece::new(14, 5, 19)]);
/// How far it spans.
pub(super) const PAGE_REACH: Range = Range::signed(33);
/// `b` and `bl`: a distance in words.
pub(super) const BRANCH: Encoding = bits(&[Piece::new(2, 0, 26)]);
/// `add` with a number; `ldr` and `str` of 1, 2, 4, 8 and 16 bytes: the low 12 bits of an address that is a multiple of that.
pub(super) const LOW_1: Encoding = bits(&[Piece::new(0, 10, 12)]);
pub(super) const LOW_2: Encoding = bits(&[Piece::new(1, 10, 11)]);
pub(super) const LOW_4: Encoding = bits(&[Piece::new(2, 10, 10)]);
pub(super) const LOW_8: Encoding = bits(&[Piece::new(3, 10, 9)]);
pub(super) const LOW_16: Encoding = bits(&[Piece::new(4, 10, 8)]);

/// Callable through a pointer, where that is guarded.
pub(super) const BTI_C: u32 = 0xd503_245f;

/// Instructions as bytes.
pub(super) fn code(instructions: &[u32]) -> Vec<u8> {
    let bytes = instructions.iter().map(|word| word.to_le_bytes());
    bytes.flatten().collect()
}

/// The binary logarithm of how many bytes an instruction loads or stores that keeps an unsigned offset, in units of that; 0 for another
/// instruction. The size stands in the two highest bits; vector registers have one size more, for which another bit stands.
pub(super) const fn access_log2(instruction: u32) -> u32 {
    const CLASS: u32 = 0x3b00_0000;
    const UNSIGNED_OFFSET: u32 = 0x3900_0000;
    const SIXTEEN_BYTES: u32 = 0x0480_0000;
    if instruction & CLASS != UNSIGNED_OFFSET {
        return 0;
    }
    match instruction >> 30 {
        0 if instruction & SIXTEEN_BYTES == SIXTEEN_BYTES => 4,
        log2 => log2,
    }
}

/// A row for a value that is a multiple of `align` bytes.
pub(super) const fn row(
    number: u32,
    name: &'static str,
    formula: Formula,
    encoding: Encoding,
    range: Range,
    align: u8,
    far: Far,
) -> Row {
    let architecture = Architecture::Aarch64;
    Row {
        align,
        ..Row::new(architecture, number, name, formula, encoding, range, far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instructions are those that LLVM's assembler writes.
    #[test]
    fn the_size_of_an_access_is_read_off_the_instruction() {
        let table = [
            // ldrb w0, [x1]; strb; ldr b0; ldrsb x0
            (0x3940_0020, 0),
            (0x3900_0020, 0),
            (0x3d40_0020, 0),
            (0x3980_0020, 0),
            // ldrh w0; ldrsh w0; str h0
            (0x7940_0020, 1),
            (0x79c0_0020, 1),
            (0x7d00_0020, 1),
            // ldr w0; ldrsw x0; ldr s0
            (0xb940_0020, 2),
            (0xb980_0020, 2),
            (0xbd40_0020, 2),
            // ldr x0; str d0; prfm pldl1keep
            (0xf940_0020, 3),
            (0xfd00_0020, 3),
            (0xf980_0020, 3),
            // ldr q0; str q0
            (0x3dc0_0020, 4),
            (0x3d80_0020, 4),
            // add x0, x1, #0; ldur x0, [x1]; bl; adrp
            (0x9100_0020, 0),
            (0xf840_0020, 0),
            (0x9400_0000, 0),
            (0x9000_0000, 0),
        ];
        for (instruction, log2) in table {
            assert_eq!(access_log2(instruction), log2, "{instruction:#x}");
        }
    }
}
