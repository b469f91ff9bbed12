//! What nearly all relocations come to: the address of a symbol, or its distance, in a field that can hold it.
//!
//! A library has as many relocations as all else together, and most of their rows leave open what hardly any relocation asks for. So what a
//! row means in the usual case is worked out when the crate is compiled, in the 64 bits that every address of a process fits in. Whatever is
//! unusual, and whatever does not fit, has no answer here: the row has it.

use super::encoding::Encoding;
use super::formula::{Origin, Term};
use super::row::{Far, Row};
use codeslab::Architecture;

/// A row, as far as the usual case goes.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is worked out by itself, and asked for each relocation"
)]
pub(crate) struct Plain {
    pub(crate) row: &'static Row,
    least: i64,
    greatest: i64,
    /// Those that the field leaves out, because they are 0.
    low_bits: i64,
    pub(crate) architecture: Architecture,
    /// Bytes of the field, or of the instruction that it is part of.
    pub(crate) size: u8,
    /// What is added to the distance, or the address, because it counts from behind the field.
    past: u8,
    /// Whether the value is the address of the symbol or its distance, and nothing else can be done about it.
    pub(crate) is_usual: bool,
    is_distance: bool,
    /// Whether the field is four bytes, which most fields are.
    is_word: bool,
    /// Whether a stub does for a symbol that is too far away, and every value that does not fit comes of one.
    pub(crate) is_by_stub: bool,
    /// Whether the image has to lie where the address of something in it fits.
    pub(crate) binds_image: bool,
}

impl Plain {
    /// What a row comes to.
    pub(super) const fn of(row: &'static Row) -> Self {
        let is_distance = matches!(row.formula.origin, Origin::P);
        let is_usual = row.formula.is_plain() && row.relax.is_none();
        let is_to_stub = matches!(row.formula.term, Term::L) && matches!(row.far, Far::Stub);
        Self {
            row,
            least: clip(row.range.least),
            greatest: clip(row.range.greatest),
            architecture: row.architecture,
            size: row.encoding.size() as u8,
            past: row.formula.past_origin(),
            is_usual,
            is_by_stub: is_usual && is_to_stub && row.align == 1,
            low_bits: row.align as i64 - 1,
            is_distance,
            is_word: matches!(row.encoding, Encoding::Bytes(4)),
            binds_image: matches!(row.far, Far::Placement) && !is_distance,
        }
    }

    /// Writes the address of the symbol at `symbol`, or its distance from the field at `place`, to the field at `offset`. Graphs keep every
    /// field inside its section.
    ///
    /// Returns whether it was the usual case. Otherwise nothing is written, and the row says what is.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call for each relocation takes as long as what it does"
    )]
    pub(crate) fn write(
        &self,
        bytes: &mut [u8],
        offset: u64,
        (symbol, addend, place): (u64, i64, u64),
    ) -> bool {
        let value = self.value(symbol, addend, place);
        let fits = |value: &i64| {
            self.least <= *value && *value <= self.greatest && value & self.low_bits == 0
        };
        let Some(value) = value.filter(fits) else {
            return false;
        };
        let start = offset as usize;
        if self.is_word
            && let Some(field) = bytes
                .get_mut(start..)
                .and_then(<[u8]>::first_chunk_mut::<4>)
        {
            // There is an instruction for it.
            *field = (value.cast_unsigned() as u32).to_le_bytes();
            return true;
        }
        let field = &mut bytes[start..start + usize::from(self.size)];
        self.row.encoding.write(field, value.into());
        true
    }

    #[inline]
    fn value(&self, symbol: u64, addend: i64, place: u64) -> Option<i64> {
        if !self.is_usual {
            return None;
        }
        let origin = if self.is_distance { place } else { 0 };
        let origin = i64::try_from(origin).ok()?;
        let target = i64::try_from(symbol).ok()?.checked_add(addend)?;
        target.checked_sub(origin.checked_add(self.past.into())?)
    }
}

/// The number, or the end of 64 bits that lies on the way to it.
const fn clip(number: i128) -> i64 {
    if number < i64::MIN as i128 {
        i64::MIN
    } else if number > i64::MAX as i128 {
        i64::MAX
    } else {
        number as i64
    }
}

#[cfg(test)]
mod tests {
    use crate::arch::RowId;
    use crate::arch::formula::Terms;

    /// Addresses and addends at the ends of everything, and ordinary ones.
    const ADDRESSES: [u64; 8] = [
        0,
        0x1234,
        0x7fff_ffff,
        0x8000_0000,
        0x7fff_ffff_f000,
        i64::MAX as u64,
        0xffff_ffff_ff60_0000,
        u64::MAX,
    ];
    const ADDENDS: [i64; 7] = [0, -4, 1, 0x7fff_ffff, -0x8000_0000, i64::MAX, i64::MIN];

    #[test]
    fn what_is_plain_is_what_the_row_says() {
        let mut written = 0;
        for plain in RowId::all().map(super::super::RowId::plain) {
            for symbol in ADDRESSES {
                for place in ADDRESSES {
                    for addend in ADDENDS {
                        let (mut fast, mut slow) = ([0x55; 16], [0x55; 16]);
                        if !plain.write(&mut fast, 3, (symbol, addend, place)) {
                            assert_eq!(fast, slow, "{}", plain.row.name);
                            continue;
                        }
                        let terms = Terms {
                            S: symbol.into(),
                            L: symbol.into(),
                            A: addend.into(),
                            P: place.into(),
                            ..Terms::default()
                        };
                        let value = plain.row.formula.value(&terms);
                        let written_by_row = plain.row.write(&mut slow, 3, value);
                        written_by_row.expect(plain.row.name);
                        assert_eq!(fast, slow, "{}", plain.row.name);
                        written += 1;
                    }
                }
            }
        }
        assert!(written > 1000, "{written}");
    }
}
