//! Rows: all that the linker knows of a type of relocation.
//!
//! A machine has a table of rows for each object format (`x86_64/elf.rs`), because formats number the same few operands in their own
//! ways and have types of their own. A row says what the field holds (formula), where (encoding), which values it can hold (range,
//! alignment), and what is done for symbols that may be farther away than that. Planning and applying ask rows and nothing else, so
//! they know no machine and no format. Tests check rows as data: value in, bytes out.

use super::encoding::{Encoding, Range};
use super::formula::Formula;
use crate::error::{Error, Reference};
use codeslab::{Address, Architecture};

/// One type of relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) architecture: Architecture,
    /// The type's number in its format.
    pub(crate) number: u32,
    /// Its name in the documents of its format and machine, such as `R_X86_64_PC32`. No two rows have one name.
    pub(crate) name: &'static str,
    pub(crate) formula: Formula,
    pub(crate) encoding: Encoding,
    pub(crate) range: Range,
    /// What the value has to be a multiple of, in bytes: fields leave out low bits that are always 0.
    pub(crate) align: u8,
    pub(crate) far: Far,
    /// How code that goes through a GOT entry is rewritten to do without.
    pub(crate) relax: Option<Relax>,
}

/// What is done for a symbol that may be farther away than the field spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Far {
    /// Nothing. The field spans everything; or it holds the way to a GOT entry, which lies in the image; or it spans so little that no
    /// placement helps, which is an error once the distance is known.
    Error,
    /// The branch goes to a stub.
    Stub,
    /// The image lies where the field arrives. The reference is direct: nothing but the placement of the image can make it arrive.
    Placement,
}

/// How code that goes through a GOT entry is rewritten to do without.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relax {
    /// The instruction around the field goes through the entry.
    Instruction(RelaxInstruction),
    /// The field is in the first of two instructions that go through the entry together.
    First(RelaxPair),
    /// It is in the second.
    Second(RelaxPair),
}

/// Rewrites the instruction around `operand`, if it is one that can do without its GOT entry. Says whether it did; otherwise nothing
/// changed.
pub(crate) type RelaxInstruction = fn(bytes: &mut [u8], operand: Operand) -> bool;

/// The two instructions at `place` as they are for a symbol that needs no entry; `None` if they are others than these, or the symbol is too far
/// away. Both have four bytes.
pub(crate) type RelaxPair = fn(code: [u8; 8], place: u64, symbol: u64) -> Option<[u8; 8]>;

/// Where the operand of an instruction lies, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    /// Bytes from the start of the section to the field.
    pub(crate) offset: usize,
    /// P, the address of the field.
    pub(crate) place: u64,
    /// S, the address of the symbol; for what the GOT says of a thread-local variable, the first word of that.
    pub(crate) symbol: u64,
    /// A.
    pub(crate) addend: i64,
}

/// Why a field cannot hold a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Misfit {
    /// It is too large or too small; `limit` is the largest of its sign that fits.
    Range { value: i128, limit: i128 },
    /// It is no multiple of so many bytes.
    Alignment { value: i128, align: u8 },
}

impl Misfit {
    /// What to tell of it: the relocation, where its symbol is, and whether the value is a distance.
    pub(crate) fn error(self, reference: Reference, address: Address, is_distance: bool) -> Error {
        let reference = Box::new(reference);
        match self {
            Self::Range { value, limit } if is_distance => Error::OutOfReach {
                reference,
                address,
                distance: value,
                limit,
            },
            Self::Range { value, limit } => Error::Overflow {
                reference,
                address,
                value,
                limit,
            },
            Self::Alignment { value, align } => Error::Misaligned {
                reference,
                address,
                value,
                align: align.into(),
            },
        }
    }
}

impl Row {
    /// A type whose values need not be multiples of anything, and whose instructions stay as they are.
    pub(crate) const fn new(
        architecture: Architecture,
        number: u32,
        name: &'static str,
        formula: Formula,
        encoding: Encoding,
        range: Range,
        far: Far,
    ) -> Self {
        Self {
            architecture,
            number,
            name,
            formula,
            encoding,
            range,
            align: 1,
            far,
            relax: None,
        }
    }

    /// Whether the field can hold `value`.
    #[inline]
    pub(crate) fn check(&self, value: i128) -> Result<(), Misfit> {
        if !self.range.contains(value) {
            let limit = self.range.limit(value);
            return Err(Misfit::Range { value, limit });
        }
        if self.align > 1 && value & (i128::from(self.align) - 1) != 0 {
            let align = self.align;
            return Err(Misfit::Alignment { value, align });
        }
        Ok(())
    }

    /// Writes `value` to the field at `offset` if it can hold it. Graphs keep every field inside its section.
    #[inline]
    pub(crate) fn write(&self, bytes: &mut [u8], offset: u64, value: i128) -> Result<(), Misfit> {
        self.check(value)?;
        let start = offset as usize;
        let end = start + self.encoding.size() as usize;
        self.encoding.write(&mut bytes[start..end], value);
        Ok(())
    }
}
