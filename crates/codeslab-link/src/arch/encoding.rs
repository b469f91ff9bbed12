//! Encodings: where in a section's bytes the bits of a value go, and which values may go there.
//!
//! A field is either whole bytes, as in data and on machines whose operands are bytes of their own (x86-64), or some bits of an
//! instruction, cut into as many pieces as the machine's designers found room for (`adrp` of 64-bit Arm keeps two bits of its pages at 29
//! and nineteen at 5). All machines that are linked for are little-endian. [`Row`](super::row::Row)s hold one of each; nothing here
//! looks at an address or knows a machine.

/// Which bytes or bits hold a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// All bits of this many bytes; none for a relocation that only says something.
    Bytes(u8),
    /// These bits of an instruction of `size` bytes, at most 8; its other bits stay.
    Bits { size: u8, pieces: &'static [Piece] },
    /// The same for an instruction that exists twice: if the value is negative, its complement goes there, and the bit `positive` is 0
    /// instead of 1.
    SignedBits {
        size: u8,
        pieces: &'static [Piece],
        positive: u8,
    },
}

/// Neighbouring bits of a value and where they lie in the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// The lowest of them in the value; those below it that no piece has are not kept.
    from: u8,
    /// The lowest of them in the instruction.
    to: u8,
    width: u8,
}

impl Piece {
    /// `width` bits, at most 32: those of the value from bit `from`, kept from bit `to` of the instruction.
    pub(crate) const fn new(from: u8, to: u8, width: u8) -> Self {
        assert!(width <= 32 && to + width <= 64 && from + width <= 64);
        Self { from, to, width }
    }

    /// The instruction with these bits of `value`.
    const fn insert(self, instruction: u64, value: i128) -> u64 {
        let mask = (1 << self.width) - 1;
        let bits = (value >> self.from).cast_unsigned() as u64 & mask;
        instruction & !(mask << self.to) | bits << self.to
    }
}

impl Encoding {
    /// Bytes of the field, or of the instruction that it is part of.
    pub(crate) const fn size(self) -> u64 {
        match self {
            Self::Bytes(size) | Self::Bits { size, .. } | Self::SignedBits { size, .. } => {
                size as u64
            }
        }
    }

    /// What `field` holds, which has [`Encoding::size`] bytes: a signed number in whole bytes, and bits of an instruction as they are.
    pub(crate) fn read(self, field: &[u8]) -> i64 {
        let is_negative = field.last().is_some_and(|last| *last >= 0x80);
        let is_whole = matches!(self, Self::Bytes(_));
        let mut all = if is_whole && is_negative {
            [0xff; 8]
        } else {
            [0; 8]
        };
        all[..field.len()].copy_from_slice(field);
        let all = i64::from_le_bytes(all);
        match self {
            Self::Bytes(_) => all,
            Self::Bits { pieces, .. } | Self::SignedBits { pieces, .. } => {
                let pieces = pieces.iter();
                pieces.fold(0, |value, piece| {
                    value | (all >> piece.to & ((1 << piece.width) - 1)) << piece.from
                })
            }
        }
    }

    /// Writes `value` to `field`, which has [`Encoding::size`] bytes. Bits for which it has no room are lost.
    #[inline]
    pub(crate) fn write(self, field: &mut [u8], value: i128) {
        match self {
            Self::Bytes(_) => put(field, value.cast_unsigned() as u64),
            Self::Bits { .. } | Self::SignedBits { .. } => self.write_bits(field, value),
        }
    }

    #[inline(never)]
    fn write_bits(self, field: &mut [u8], value: i128) {
        match self {
            Self::Bytes(_) => {}
            Self::Bits { pieces, .. } => insert(field, pieces, value),
            Self::SignedBits {
                pieces, positive, ..
            } => {
                let form = i128::from(value >= 0);
                insert(field, &[Piece::new(0, positive, 1)], form);
                insert(field, pieces, if value < 0 { !value } else { value });
            }
        }
    }
}

/// Puts pieces of `value` into an instruction.
fn insert(field: &mut [u8], pieces: &[Piece], value: i128) {
    let mut instruction = [0; 8];
    instruction[..field.len()].copy_from_slice(field);
    let instruction = u64::from_le_bytes(instruction);
    let insert = |bits, piece: &Piece| piece.insert(bits, value);
    put(field, pieces.iter().fold(instruction, insert));
}

/// The low bytes of `bits`, as many as fit.
#[inline]
fn put(field: &mut [u8], bits: u64) {
    match <&mut [u8; 4]>::try_from(&mut *field) {
        // Most fields are of this size, for which there is an instruction.
        Ok(word) => *word = (bits as u32).to_le_bytes(),
        Err(_) => field.copy_from_slice(&bits.to_le_bytes()[..field.len()]),
    }
}

/// The values that a field stands for, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) least: i128,
    pub(crate) greatest: i128,
}

impl Range {
    /// Whatever the value is, only some bits of it are wanted: the low part of an address whose high part another field holds.
    pub(crate) const ANY: Self = Self {
        least: i128::MIN,
        greatest: i128::MAX,
    };

    /// A signed number of so many bits.
    pub(crate) const fn signed(bits: u32) -> Self {
        Self {
            least: -(1 << (bits - 1)),
            greatest: (1 << (bits - 1)) - 1,
        }
    }

    /// An unsigned number of so many bits.
    pub(crate) const fn unsigned(bits: u32) -> Self {
        Self {
            least: 0,
            greatest: (1 << bits) - 1,
        }
    }

    /// Where the psABI leaves it open whether a field is signed, both readings are accepted, as linkers do.
    pub(crate) const fn either(bits: u32) -> Self {
        Self {
            least: Self::signed(bits).least,
            greatest: Self::unsigned(bits).greatest,
        }
    }

    pub(crate) const fn contains(self, value: i128) -> bool {
        self.least <= value && value <= self.greatest
    }

    /// The end of the range on the side of `value`.
    pub(crate) const fn limit(self, value: i128) -> i128 {
        if value < 0 { self.least } else { self.greatest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `adrp` of 64-bit Arm.
    const PAGES: Encoding = Encoding::Bits {
        size: 4,
        pieces: &[Piece::new(12, 29, 2), Piece::new(14, 5, 19)],
    };
    /// `bl`
    const BRANCH: Encoding = Encoding::Bits {
        size: 4,
        pieces: &[Piece::new(2, 0, 26)],
    };
    /// `ldr` of 8 bytes, with the low bits of an address.
    const LOAD: Encoding = Encoding::Bits {
        size: 4,
        pieces: &[Piece::new(3, 10, 9)],
    };

    /// The instructions are those that LLVM's assembler writes for these operands.
    #[test]
    fn the_bits_of_a_value_go_where_the_machine_has_them() {
        let table: [(Encoding, u32, i128, u32); 8] = [
            // adrp x0, #0x1000; adrp x0, #0x4000; adrp x0, #-0x1000; adrp x16, #0x12345000
            (PAGES, 0x9000_0000, 0x1000, 0xb000_0000),
            (PAGES, 0x9000_0000, 0x4000, 0x9000_0020),
            (PAGES, 0x9000_0000, -0x1000, 0xf0ff_ffe0),
            (PAGES, 0x9000_0010, 0x1234_5000, 0xb009_1a30),
            // bl #4; bl #-4; bl #0x7fffffc
            (BRANCH, 0x9400_0000, 4, 0x9400_0001),
            (BRANCH, 0x9400_0000, -4, 0x97ff_ffff),
            (BRANCH, 0x9400_0000, 0x7ff_fffc, 0x95ff_ffff),
            // ldr x1, [x0, #0x678]
            (LOAD, 0xf940_0001, 0x1234_5678, 0xf943_3c01),
        ];
        for (encoding, before, value, after) in table {
            // What the field held before does not shine through.
            for noise in [0, !0] {
                let mut field = before.to_le_bytes();
                encoding.write(&mut field, noise);
                encoding.write(&mut field, value);
                let written = u32::from_le_bytes(field);
                assert_eq!(written, after, "{value:#x}: {written:#x}");
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for (encoding, value) in [
            (PAGES, 0x1234_5000),
            (BRANCH, 0x7ff_fffc),
            (LOAD, 0x678),
            (Encoding::Bytes(0), 0),
            (Encoding::Bytes(1), -0x80),
            (Encoding::Bytes(4), i64::from(i32::MIN)),
            (Encoding::Bytes(4), 0x7fff_ffff),
            (Encoding::Bytes(8), i64::MIN),
        ] {
            let mut field = vec![0; encoding.size() as usize];
            encoding.write(&mut field, value.into());
            assert_eq!(encoding.read(&field), value, "{encoding:?}");
        }
    }

    #[test]
    fn a_negative_value_takes_the_other_form_of_its_instruction() {
        const HALF: &[Piece] = &[Piece::new(16, 5, 16)];
        let mov = Encoding::SignedBits {
            size: 4,
            pieces: HALF,
            positive: 30,
        };
        let (movz, movn) = (0xd2a0_0000_u32, 0x92a0_0000_u32);
        // movz x0, #0x1234, lsl #16; movn x0, #0x1234, lsl #16; movn x0, #0, lsl #16
        let table = [
            (0x1234_5678, 0xd2a2_4680),
            (!0x1234_5678, 0x92a2_4680),
            (-1, 0x92a0_0000),
        ];
        for (value, after) in table {
            for before in [movz, movn] {
                let mut field = before.to_le_bytes();
                mov.write(&mut field, value);
                assert_eq!(u32::from_le_bytes(field), after, "{value:#x}");
            }
        }
    }

    #[test]
    fn whole_bytes_are_little_endian_whatever_their_number() {
        for size in 0..=8 {
            let mut field = vec![0x11; size];
            let encoding = Encoding::Bytes(size as u8);
            assert_eq!(encoding.size(), size as u64);
            encoding.write(&mut field, -0x0102_0304_0506_0708);
            let expected = (-0x0102_0304_0506_0708_i64).to_le_bytes();
            assert_eq!(field, expected[..size]);
        }
    }

    #[test]
    fn a_range_ends_where_its_number_of_bits_does() {
        let ends = |range: Range| (range.least, range.greatest);
        assert_eq!(ends(Range::signed(28)), (-0x800_0000, 0x7ff_ffff));
        assert_eq!(ends(Range::unsigned(12)), (0, 0xfff));
        assert_eq!(ends(Range::either(8)), (-0x80, 0xff));
        let range = Range::signed(8);
        assert!(range.contains(-0x80) && range.contains(0x7f));
        assert!(!range.contains(-0x81) && !range.contains(0x80));
        assert_eq!((range.limit(-500), range.limit(500)), (-0x80, 0x7f));
    }
}
