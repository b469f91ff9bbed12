//! Encodings: which bits of which bytes a relocation fills in.
//!
//! A field is either whole bytes, little-endian, or some runs of bits in a word; the bits between those belong to the
//! instruction and stay. What a machine's rows say with this: the page distance of
//! an instruction that keeps it in two parts, an offset counted in units of the operand's size, one 16-bit quarter of an
//! address. `formula` uses it for every row; `apply` hands it bytes and values and knows no instruction.

/// A run of bits: `count` bits of the value from bit `value`, at bit `word` of the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bits {
    pub(crate) word: u32,
    pub(crate) value: u32,
    pub(crate) count: u32,
}

/// Where a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// All of so many bytes, at most 16.
    Whole(u8),
    /// Some bits of a word of so many bytes, at most 8.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "fields of x86-64 are whole bytes")
    )]
    Split(u8, &'static [Bits]),
}

impl Encoding {
    /// Bytes that are read or written.
    pub(crate) const fn bytes(&self) -> u8 {
        match *self {
            Self::Whole(bytes) | Self::Split(bytes, _) => bytes,
        }
    }

    /// Puts `value` into the start of `bytes`. `None`, with nothing written, if there are fewer than the field has.
    #[inline]
    pub(crate) fn store(&self, bytes: &mut [u8], value: i128) -> Option<()> {
        let field = bytes.get_mut(..usize::from(self.bytes()))?;
        match self {
            Self::Whole(_) => field.copy_from_slice(value.to_le_bytes().get(..field.len())?),
            Self::Split(_, runs) => {
                let mut word = [0; 8];
                word.get_mut(..field.len())?.copy_from_slice(field);
                let word = fill(u64::from_le_bytes(word), runs, value);
                field.copy_from_slice(word.to_le_bytes().get(..field.len())?);
            }
        }
        Some(())
    }
}

fn fill(word: u64, runs: &[Bits], value: i128) -> u64 {
    runs.iter().fold(word, |word, run| {
        let ones = u64::MAX >> (64 - run.count);
        let part = (value >> run.value).cast_unsigned() as u64 & ones;
        word & !(ones << run.word) | part << run.word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bits(word: u32, value: u32, count: u32) -> Bits {
        Bits { word, value, count }
    }

    /// Runs, a word before, a value, the word after.
    type Case = (&'static str, &'static [Bits], u32, i128, u32);

    #[rustfmt::skip] // A table is read by columns.
    const CASES: &[Case] = &[
        ("a page distance in two parts",    &[bits(29, 12, 2), bits(5, 14, 19)], 0x9000_0000, 0x1234_5000, 0xb009_1a20),
        ("a negative one",                  &[bits(29, 12, 2), bits(5, 14, 19)], 0x9000_0001, -0x1000,     0xf0ff_ffe1),
        ("twelve bits of an address",       &[bits(10, 0, 12)],                  0x9100_0020, 0x7_8abc,    0x912a_f020),
        ("an offset in units of eight",     &[bits(10, 3, 9)],                   0xf940_0041, 0x0ab8,      0xf945_5c41),
        ("a branch in units of four",       &[bits(0, 2, 26)],                   0x9400_0000, -4,          0x97ff_ffff),
        ("a conditional branch",            &[bits(5, 2, 19)],                   0x5400_0001, 0x100,       0x5400_0801),
        ("the third quarter of an address", &[bits(5, 32, 16)],                  0xd2c0_0003, 0x1234_5678_9abc_def0, 0xd2ca_cf03),
    ];

    #[test]
    fn only_the_bits_of_the_field_change() {
        for &(title, runs, before, value, after) in CASES {
            let encoding = Encoding::Split(4, runs);
            let mut bytes = [0x11; 6];
            bytes[..4].copy_from_slice(&before.to_le_bytes());
            assert_eq!(encoding.store(&mut bytes, value), Some(()), "{title}");
            let [a, b, c, d, behind @ ..] = bytes;
            assert_eq!(u32::from_le_bytes([a, b, c, d]), after, "{title}");
            assert_eq!(behind, [0x11; 2], "{title}");
        }
    }

    #[test]
    fn a_word_longer_than_its_bytes_is_refused_and_leaves_them_alone() {
        let mut bytes = [0x11; 3];
        assert_eq!(Encoding::Whole(4).store(&mut bytes, 0), None);
        assert_eq!(bytes, [0x11; 3]);
    }
}
