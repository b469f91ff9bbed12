//! Unwind tables (`.eh_frame`): whether one is what it says it is, so that the process's unwinder can be told of it.
//!
//! Unwinders believe every byte: a length that leads out of the table, a description of another kind of pointer than they know, or a missing
//! end has them read elsewhere or abort. So tables are gone through before they are laid out and again when every byte is final; one that
//! contradicts itself is loaded as any bytes are, and the unwinder never hears of it.
//!
//! Source: Linux Standard Base, "Exception Frames"; DWARF 5, §6.4.1 and §7.24; the readers in libgcc (`unwind-dw2-fde.c`) and LLVM's libunwind.

pub(crate) mod describe;

use std::ops::Range;

/// How a table that is well-formed ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// It describes nothing.
    Empty,
    /// It has descriptions up to its last byte, so that another may follow.
    Open,
    /// It has descriptions and then the zeros that end a table.
    Ended,
}

/// What tables of different objects are aligned to, so that they follow each other without a gap.
pub(crate) const ALIGN: u64 = 4;

/// The zeros that end a table.
pub(crate) const END: [u8; 4] = [0; 4];

/// Encodings of pointers, by their names in the standard base.
const ABSOLUTE: u8 = 0;
const SIGNED: u8 = 8;
const FROM_PLACE: u8 = 0x10;
const OMIT: u8 = 0xff;
const ALIGNED: u8 = 0x50;
const INDIRECT: u8 = 0x80;

/// By which code throws, whoever defines it.
pub(crate) const WAYS_TO_THROW: [&str; 4] = [
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "__cxa_rethrow",
    "__cxa_throw",
];

/// Whether code that refers to this name may be left by an exception: it is C++'s or Rust's, of their runtimes, or of the unwinder.
pub(crate) fn is_name_of_unwinding(name: &str) -> bool {
    const HARMLESS: [&str; 4] = [
        "__cxa_atexit",
        "__cxa_finalize",
        "__cxa_thread_atexit",
        "__cxa_thread_atexit_impl",
    ];
    let prefixes = ["_Z", "_R", "__cxa_", "_Unwind_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) && !HARMLESS.contains(&name)
}

/// What a table says of one function.
struct Description<'t> {
    /// Where in the table its addresses are, and how they are encoded.
    at: usize,
    encoding: u8,
    /// The same for where it says what a handler reads; `OMIT` if it does not.
    handler: u8,
    addresses: &'t [u8],
}

/// How pointers are encoded in the descriptions that a common part is for.
#[derive(Clone, Copy)]
struct Encodings {
    addresses: u8,
    handler: u8,
}

/// A pointer in a description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pointer {
    /// Bytes from the start of the table, and its own.
    pub(crate) at: usize,
    pub(crate) size: usize,
    /// What it holds: 0 for none.
    pub(crate) value: i64,
    pub(crate) counts_from_itself: bool,
    /// Whether it leads to what a handler of exceptions reads, and not to a function.
    pub(crate) is_for_handler: bool,
}

/// Every pointer in the descriptions of a table, in their order; none of a table that contradicts itself.
pub(crate) fn pointers(table: &[u8]) -> Vec<Pointer> {
    let mut found = Vec::new();
    let whole = walk(table, |description| {
        found.push(pointer(&description, 0, description.encoding, false)?);
        if description.handler != OMIT {
            let size = fixed_size(description.encoding)? as usize;
            let mut rest = Reader(description.addresses.get(2 * size..)?);
            let length = rest.leb128()?;
            let at = description.addresses.len() - rest.0.len();
            if length > 0 {
                found.push(pointer(&description, at, description.handler, true)?);
            }
        }
        Some(())
    });
    if whole.is_none() {
        found.clear();
    }
    found
}

/// The pointer so many bytes behind the start of a description's addresses.
fn pointer(
    description: &Description<'_>,
    offset: usize,
    encoding: u8,
    is_for_handler: bool,
) -> Option<Pointer> {
    let size = fixed_size(encoding & !INDIRECT)? as usize;
    let bytes = description.addresses.get(offset..)?.get(..size)?;
    Some(Pointer {
        at: description.at + offset,
        size,
        value: number(bytes, encoding | SIGNED).cast_signed(),
        counts_from_itself: encoding & FROM_PLACE != 0,
        is_for_handler,
    })
}

/// The shape of a table; `None` if it contradicts itself, or says something in a way that unwinders do not read.
pub(crate) fn shape(table: &[u8]) -> Option<Shape> {
    walk(table, |_| Some(()))
}

/// Whether a table whose bytes are final, at this address, is well-formed and describes nothing but code in this range.
pub(crate) fn describes(table: &[u8], address: u64, code: &Range<u64>) -> bool {
    let is_of_code = |description: Description<'_>| {
        let size = fixed_size(description.encoding)? as usize;
        let (start, length) = description.addresses.split_at_checked(size)?;
        let start = match number(start, description.encoding) {
            // What is left out.
            0 => return Some(()),
            start if description.encoding & FROM_PLACE == 0 => start,
            start => start
                .wrapping_add(address)
                .wrapping_add(description.at as u64),
        };
        // Lengths are unsigned and count from zero.
        let end = start.checked_add(number(length.get(..size)?, 0))?;
        (code.start <= start && end <= code.end).then_some(())
    };
    walk(table, is_of_code).is_some()
}

/// Goes through the descriptions of a table.
fn walk<'t>(table: &'t [u8], mut look: impl FnMut(Description<'t>) -> Option<()>) -> Option<Shape> {
    // Where parts begin that descriptions have in common, and how these encode addresses.
    let mut common: Vec<(usize, Encodings)> = Vec::new();
    // The last of them, which is nearly always asked for and often the only one.
    let mut last: Option<(usize, Encodings)> = None;
    let mut at = 0;
    while at < table.len() {
        let length = word(table, at)?;
        if length == 0 {
            let is_end = table[at..].iter().all(|byte| *byte == 0);
            let shape = if at == 0 { Shape::Empty } else { Shape::Ended };
            return is_end.then_some(shape);
        }
        // What is all ones would begin a length of 64 bits.
        let id = at + END.len();
        let end = id.checked_add(length as usize)?;
        let record = table.get(id..end)?;
        match word(record, 0)? {
            0 => common.extend(last.replace((at, encodings(record)?))),
            distance => {
                let start = id.checked_sub(distance as usize)?;
                let encodings = match last {
                    Some((at, encodings)) if at == start => encodings,
                    _ => {
                        let index = common.binary_search_by_key(&start, |(at, _)| *at).ok()?;
                        common[index].1
                    }
                };
                let addresses = &record[END.len()..];
                let size = fixed_size(encodings.addresses)?;
                (addresses.len() as u64 >= 2 * size).then_some(())?;
                look(Description {
                    at: id + END.len(),
                    encoding: encodings.addresses,
                    handler: encodings.handler,
                    addresses,
                })?;
            }
        }
        at = end;
    }
    let is_whole = (table.len() as u64).is_multiple_of(ALIGN);
    let shape = if table.is_empty() {
        Shape::Empty
    } else {
        Shape::Open
    };
    is_whole.then_some(shape)
}

/// A number of a few bytes, extended by its sign if the encoding has one.
fn number(bytes: &[u8], encoding: u8) -> u64 {
    // Nearly all have four bytes; of any size, a copy is a call.
    let value = if let Ok(bytes) = bytes.try_into() {
        u32::from_le_bytes(bytes).into()
    } else {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    if encoding & SIGNED == 0 {
        return value;
    }
    let unused = u64::BITS - 8 * bytes.len() as u32;
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// How pointers are encoded in the descriptions that a common part is for.
#[inline]
fn encodings(record: &[u8]) -> Option<Encodings> {
    // What compilers write of code without handlers: each number takes one byte, and nothing is said but how addresses are encoded.
    if let [
        _,
        _,
        _,
        _,
        1,
        b'z',
        b'R',
        0,
        units,
        data,
        _,
        1,
        addresses,
        ..,
    ] = *record
        && (units | data) & 0x80 == 0
    {
        fixed_size(addresses)?;
        return Some(Encodings {
            addresses,
            handler: OMIT,
        });
    }
    unusual_encodings(record)
}

/// The same, of any common part.
fn unusual_encodings(record: &[u8]) -> Option<Encodings> {
    let mut reader = Reader(record.get(END.len()..)?);
    let version = reader.byte()?;
    matches!(version, 1 | 3).then_some(())?;
    let length = reader.0.iter().position(|byte| *byte == 0)?;
    let (augmentation, rest) = reader.0.split_at(length);
    reader.0 = &rest[1..];
    reader.leb128()?;
    reader.leb128()?;
    if version == 1 {
        reader.byte()?;
    } else {
        reader.leb128()?;
    }
    let Some(augmentation) = augmentation.strip_prefix(b"z") else {
        // Other augmentations are unknown to unwinders, which stop there.
        return augmentation.is_empty().then_some(Encodings {
            addresses: ABSOLUTE,
            handler: OMIT,
        });
    };
    let size = reader.leb128()?;
    let mut data = Reader(reader.0.get(..size as usize)?);
    let mut found = Encodings {
        addresses: ABSOLUTE,
        handler: OMIT,
    };
    for letter in augmentation {
        match letter {
            b'R' => {
                found.addresses = data.byte()?;
                fixed_size(found.addresses)?;
            }
            b'P' => {
                let encoding = data.byte()?;
                data.skip(fixed_size(encoding & !INDIRECT)?)?;
            }
            b'L' => {
                let encoding = data.byte()?;
                (encoding == OMIT || fixed_size(encoding & !INDIRECT).is_some()).then_some(())?;
                found.handler = encoding;
            }
            b'S' | b'B' => {}
            _ => return None,
        }
    }
    Some(found)
}

/// Bytes of a pointer in an encoding of fixed size that counts from zero or from where it stands.
fn fixed_size(encoding: u8) -> Option<u64> {
    if encoding == ALIGNED {
        return None;
    }
    matches!(encoding & 0x70, 0 | 0x10).then_some(())?;
    match encoding & 0x8f {
        0 | 4 | 0xc => Some(8),
        2 | 0xa => Some(2),
        3 | 0xb => Some(4),
        _ => None,
    }
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(count as usize..)?;
        Some(())
    }

    /// A number of variable length; what is longer than a register is none.
    fn leb128(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A common part and one description of 16 bytes of code, as compilers write them.
    fn table() -> Vec<u8> {
        let common = [
            &[0x14, 0, 0, 0, 0, 0, 0, 0, 1][..],
            b"zR\0",
            &[1, 0x78, 0x10, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0],
        ];
        let description = [
            &[0x14, 0, 0, 0, 0x1c, 0, 0, 0][..],
            &[0; 4],
            &[0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        [common.concat(), description.concat()].concat()
    }

    #[test]
    fn a_number_is_extended_by_its_sign_if_its_encoding_has_one() {
        for size in [2, 4, 8] {
            for value in [0, 1, -1, 0x7ffe, -0x8000_i64] {
                let bytes = &value.to_le_bytes()[..size];
                let mask = u64::MAX >> (64 - 8 * size);
                assert_eq!(number(bytes, SIGNED), value.cast_unsigned());
                assert_eq!(number(bytes, ABSOLUTE), value.cast_unsigned() & mask);
            }
        }
    }

    #[test]
    fn a_table_ends_with_its_last_description_or_with_zeros() {
        let table = table();
        assert_eq!(shape(&table), Some(Shape::Open));
        assert_eq!(shape(&[&table[..], &END].concat()), Some(Shape::Ended));
        assert_eq!(shape(&END), Some(Shape::Empty));
        assert_eq!(shape(&[]), Some(Shape::Empty));
    }

    #[test]
    fn a_table_that_describes_other_code_than_the_images_is_noticed() {
        let mut table = table();
        // The description's address counts from where it stands, at 32.
        table[32..36].copy_from_slice(&0x100_i32.to_le_bytes());
        let start = 0x5000 + 32 + 0x100;
        let describes = |first, end| describes(&table, 0x5000, &(first..end));
        assert!(describes(start, start + 16));
        assert!(!describes(start + 1, start + 16));
        assert!(!describes(start, start + 15));
    }

    #[test]
    fn a_description_of_code_that_is_left_out_is_of_no_code() {
        assert!(describes(&table(), 0x5000, &(0..0)));
    }

    #[test]
    fn what_compilers_usually_write_is_read_as_anything_else_is() {
        let table = table();
        let usual = &table[4..24];
        let read = |found: Option<Encodings>| found.map(|found| (found.addresses, found.handler));
        assert_eq!(read(encodings(usual)), Some((0x1b, OMIT)));
        let bytes = [0, 1, 2, 3, 0x1b, 0x50, 0x7f, 0x80, 0xff, b'z', b'R', b'P'];
        for at in 0..usual.len() {
            let prefix = &usual[..at];
            assert_eq!(read(encodings(prefix)), read(unusual_encodings(prefix)));
            for byte in bytes {
                let mut other = usual.to_vec();
                other[at] = byte;
                let found = (read(encodings(&other)), read(unusual_encodings(&other)));
                assert_eq!(found.0, found.1, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn a_table_that_contradicts_itself_is_none() {
        // Where it is damaged, and with what.
        let damages = [
            (0, 0x13),
            (0, 0xff),
            (8, 9),
            (9, b'q'),
            (16, 0xff),
            (16, 0x1f),
            (16, 0x8b),
            (24, 0x15),
            (24, 3),
            (28, 0x1b),
            (28, 0xff),
        ];
        for (at, byte) in damages {
            let mut table = table();
            table[at] = byte;
            assert_eq!(shape(&table), None, "{byte:#x} at {at}");
        }
        for length in 1..table().len() {
            let is_record = length == 24;
            assert_eq!(shape(&table()[..length]).is_some(), is_record, "{length}");
        }
    }
}
