//! Unwind tables that the linker writes itself, for functions that an object describes in another form.
//!
//! The rules of such a function count for all of it, though they are true only once its frame is set up and until it is taken down. That is
//! enough for exceptions, which pass calls. What the rules do not say is left to relocations: where functions, personalities and what these
//! read are.
//!
//! Source: DWARF 5, §6.4; Linux Standard Base, "Exception Frames".

use crate::arch::compact::{CompactForm, Frame, Saved};

/// Pointers of 8 bytes that count from where they are; and one of 4 to an address.
const FROM_PLACE: u8 = 0x10;
const TO_ADDRESS: u8 = 0x9b;

const DEF_CFA: u8 = 0x0c;
const OFFSET: u8 = 0x80;
const OFFSET_EXTENDED: u8 = 5;
const NOP: u8 = 0;

/// Records have so many bytes, or a multiple.
const ALIGN: usize = 8;

/// A table on its way.
pub(crate) struct Describer {
    form: &'static CompactForm,
    bytes: Vec<u8>,
}

/// Where relocations have to fill something in: bytes from the start of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Described {
    /// The address of the function, 8 bytes that count from there.
    pub(crate) function: u64,
    /// The same of what its personality reads, if it has one.
    pub(crate) handled: u64,
}

/// What functions have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Common {
    start: usize,
    /// Where the distance to a GOT entry belongs that leads to the personality: 4 bytes. `None` for functions without one.
    pub(crate) personality: Option<u64>,
}

impl Describer {
    pub(crate) fn new(form: &'static CompactForm) -> Self {
        Self {
            form,
            bytes: Vec::new(),
        }
    }

    /// Begins what functions with or without a personality have in common.
    pub(crate) fn common(&mut self, has_personality: bool) -> Common {
        let start = self.begin(0);
        let augmentation: &[u8] = if has_personality { b"zPLR\0" } else { b"zR\0" };
        self.bytes.push(1);
        self.bytes.extend(augmentation);
        // Code counts in bytes, offsets in words downwards.
        self.bytes.extend([1, 0x78, self.form.return_address]);
        let personality = has_personality.then(|| {
            self.bytes.extend([7, TO_ADDRESS]);
            let at = self.bytes.len() as u64;
            self.bytes.extend([0, 0, 0, 0, FROM_PLACE, FROM_PLACE]);
            at
        });
        if !has_personality {
            self.bytes.extend([1, FROM_PLACE]);
        }
        self.base(self.form.at_entry);
        self.saved(self.form.saved_at_entry);
        self.end(start);
        Common { start, personality }
    }

    /// Describes a function of so many bytes.
    pub(crate) fn describe(&mut self, common: Common, length: u64, frame: &Frame) -> Described {
        let id = self.bytes.len() + 4;
        let start = self.begin((id - common.start) as u32);
        let function = self.bytes.len() as u64;
        self.bytes.extend([0; 8]);
        self.bytes.extend(length.to_le_bytes());
        let has_handled = common.personality.is_some();
        self.bytes.push(if has_handled { 8 } else { 0 });
        let handled = self.bytes.len() as u64;
        if has_handled {
            self.bytes.extend([0; 8]);
        }
        self.base(frame.base);
        self.saved(&frame.saved);
        self.end(start);
        Described { function, handled }
    }

    /// The table, without an end, so that others may follow.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Begins a record; its length is filled in at the end.
    fn begin(&mut self, id: u32) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(id.to_le_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let end = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(end, NOP);
        let length = (end - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// How the caller's stack pointer is found.
    fn base(&mut self, (register, bytes): (u8, u64)) {
        self.bytes.push(DEF_CFA);
        self.number(register.into());
        self.number(bytes);
    }

    fn saved(&mut self, all: &[Saved]) {
        for saved in all {
            if saved.register < 0x40 {
                self.bytes.push(OFFSET | saved.register);
            } else {
                self.bytes.push(OFFSET_EXTENDED);
                self.number(saved.register.into());
            }
            self.number(saved.words);
        }
    }

    /// A number of variable length.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::by_number;
    use crate::unwind::{Shape, pointers, shape};
    use object::BinaryFormat;

    #[test]
    fn a_table_is_one_that_unwinders_read_and_has_its_pointers_where_it_says() {
        // CPU_TYPE_ARM64
        let types = by_number(BinaryFormat::MachO, 0x0100_000c).expect("a machine");
        let form = types.machine.compact_form().expect("it has the form");
        let mut describer = Describer::new(form);
        let plain = describer.common(false);
        let handling = describer.common(true);
        let frame = Frame {
            base: (29, 0x1000),
            saved: vec![Saved {
                register: 72,
                words: 300,
            }],
        };
        let first = describer.describe(handling, 0x40, &frame);
        let second = describer.describe(plain, 0x20, &frame);
        let table = describer.finish();
        assert_eq!(shape(&table), Some(Shape::Open));
        let found: Vec<_> = pointers(&table)
            .iter()
            .map(|pointer| (pointer.at as u64, pointer.size, pointer.is_for_handler))
            .collect();
        let expected = [
            (first.function, 8, false),
            (first.handled, 8, true),
            (second.function, 8, false),
        ];
        assert_eq!(found, expected);
        let personality = handling.personality.expect("it has one") as usize;
        assert_eq!(table[personality - 1], TO_ADDRESS);
        assert_eq!(plain.personality, None);
    }
}
