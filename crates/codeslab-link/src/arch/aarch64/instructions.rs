//! Instructions that more than one file of this machine writes, and how they keep their operands.
//!
//! Source: Arm Architecture Reference Manual for A-profile, chapter C6 (<https://developer.arm.com/documentation/ddi0487/latest>).

use crate::arch::encoding::{Encoding, Piece, Range};

pub(super) const fn bits(pieces: &'static [Piece]) -> Encoding {
    Encoding::Bits { size: 4, pieces }
}

/// `adrp`: a number of pages.
pub(super) const PAGE: Encoding = bits(&[Piece::new(12, 29, 2), Piece::new(14, 5, 19)]);
/// How far it spans.
pub(super) const PAGE_REACH: Range = Range::signed(33);
/// `ldr` and `str` of 8 bytes: the low 12 bits of an address that is a multiple of 8.
pub(super) const LOW_8: Encoding = bits(&[Piece::new(3, 10, 9)]);

/// Callable through a pointer, where that is guarded.
pub(super) const BTI_C: u32 = 0xd503_245f;

/// Instructions as bytes.
pub(super) fn code(instructions: &[u32]) -> Vec<u8> {
    let bytes = instructions.iter().map(|word| word.to_le_bytes());
    bytes.flatten().collect()
}
