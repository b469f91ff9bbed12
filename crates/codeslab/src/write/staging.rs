//! Bytes that are written elsewhere until they are published: one buffer for all segments of a request that its writer cannot write in place.

use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::write::backing::pieces;
use std::ops::Range;

/// Bytes before those of the segments: where each begins, and how long it is.
const HEAD: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Staging {
    // Everything in one, so that it is two words, which are moved in registers, and one allocation. Empty if nothing is staged.
    buffer: Box<[u8]>,
}

impl Staging {
    /// For so many bytes of code and of constants, 0 for what is not staged.
    pub(crate) fn new(code: u64, constants: u64, fill: &'static [u8]) -> Result<Self, Refusal> {
        // Each begins at a multiple of 16.
        let start = code.next_multiple_of(16);
        let end = start + constants;
        let head = [0, code, start, constants];
        let length = HEAD + end as usize;
        let whole = Span {
            offset: 0,
            size: end,
        };
        let mut buffer = Vec::new();
        let reserved = buffer.try_reserve_exact(length);
        reserved.map_err(|_| Refusal::foreseen("malloc", end, Limit::Memory))?;
        for number in head {
            buffer.extend_from_slice(&number.to_ne_bytes());
        }
        pieces(fill, whole).for_each(|(_, piece)| buffer.extend_from_slice(piece));
        Ok(Self {
            buffer: buffer.into_boxed_slice(),
        })
    }

    /// Leaves only the first `size` bytes of a segment.
    pub(crate) fn shrink(&mut self, protection: Protection, size: u64) {
        let length = 16 * protection.index() + 8;
        if self.part(protection).len() as u64 > size {
            self.buffer[length..length + 8].copy_from_slice(&size.to_ne_bytes());
        }
    }

    /// The bytes of a segment, if they are staged.
    pub(crate) fn bytes(&self, protection: Protection) -> Option<&[u8]> {
        let part = self.part(protection);
        (!part.is_empty()).then(|| &self.buffer[part])
    }

    /// The bytes of a segment to be written; none if they are not staged.
    pub(crate) fn bytes_mut(&mut self, protection: Protection) -> &mut [u8] {
        let part = self.part(protection);
        &mut self.buffer[part]
    }

    /// Those of code and of constants.
    pub(crate) fn both_mut(&mut self) -> [&mut [u8]; 2] {
        let [code, constants] =
            [Protection::ReadExecute, Protection::ReadOnly].map(|one| self.part(one));
        let (first, second) = self.buffer.split_at_mut(constants.start);
        [&mut first[code], &mut second[..constants.len()]]
    }

    /// Where the bytes of a segment are in the buffer.
    fn part(&self, protection: Protection) -> Range<usize> {
        if self.buffer.is_empty() || protection == Protection::ReadWrite {
            return 0..0;
        }
        let number = |index: usize| {
            let at = 16 * protection.index() + 8 * index;
            let bytes = self.buffer[at..at + 8].try_into();
            usize::from_ne_bytes(bytes.expect("eight bytes"))
        };
        let start = HEAD + number(0);
        start..start + number(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{ReadExecute, ReadOnly, ReadWrite};

    #[test]
    fn code_and_constants_are_staged_side_by_side_and_shrink_by_themselves() {
        let mut staging = Staging::new(20, 5, &[0xcc; 16]).unwrap();
        assert_eq!(staging.bytes(ReadExecute), Some(&[0xcc; 20][..]));
        staging.bytes_mut(ReadExecute).fill(1);
        staging.bytes_mut(ReadOnly).copy_from_slice(b"table");
        staging.shrink(ReadExecute, 30);
        assert_eq!(staging.bytes(ReadExecute), Some(&[1; 20][..]));
        staging.shrink(ReadExecute, 3);
        assert_eq!(staging.bytes(ReadExecute), Some(&[1; 3][..]));
        assert_eq!(staging.bytes(ReadOnly), Some(&b"table"[..]));
        assert_eq!(staging.bytes(ReadWrite), None);
    }

    #[test]
    fn what_is_not_staged_has_no_bytes() {
        assert_eq!(Staging::default().bytes(ReadExecute), None);
        let mut staging = Staging::new(0, 7, &[0xcc; 16]).unwrap();
        assert_eq!(staging.bytes(ReadExecute), None);
        assert_eq!(staging.bytes(ReadOnly).map(<[u8]>::len), Some(7));
        assert!(staging.bytes_mut(ReadWrite).is_empty());
    }
}
