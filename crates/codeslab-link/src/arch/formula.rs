//! Relocations as rows: type, formula, width, and the values that the field can hold.
//!
//! Source: System V Application Binary Interface, AMD64 Architecture Processor Supplement, §4.4 "Relocation"
//! (<https://gitlab.com/x86-psABIs/x86-64-ABI>). The names in formulas are the psABI's: S is the address of the symbol,
//! A the addend, P the address of the field, GOT the address of the global offset table, G the offset of the symbol's
//! entry in it, L the address of the symbol's stub or of the symbol itself, Z the size of the symbol.

use super::encoding::Encoding;
use codeslab::Architecture;
use std::fmt;

/// The types of relocation that are applied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "each is documented by its row: psABI name, formula, width and values"
)]
pub enum RelocationKind {
    None,
    Abs64,
    Pc32,
    Got32,
    Plt32,
    GotPcRel,
    Abs32,
    Abs32S,
    Abs16,
    Pc16,
    Abs8,
    Pc8,
    Pc64,
    GotOff64,
    GotPc32,
    Got64,
    GotPcRel64,
    GotPc64,
    GotPlt64,
    PltOff64,
    Size32,
    Size64,
    GotPcRelX,
    RexGotPcRelX,
}

/// What a field is computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Formula {
    /// Nothing happens.
    Nothing,
    /// S + A
    Absolute,
    /// S + A - P
    Relative,
    /// L + A - P
    Branch,
    /// G + A
    GotOffset,
    /// G + GOT + A - P
    GotRelative,
    /// GOT + A - P
    GotBase,
    /// S + A - GOT
    FromGot,
    /// L + A - GOT
    BranchFromGot,
    /// Z + A
    Size,
}

impl Formula {
    /// Whether the symbol needs a GOT entry.
    pub(crate) const fn needs_got_entry(self) -> bool {
        matches!(self, Self::GotOffset | Self::GotRelative)
    }

    /// Whether it counts from the GOT, so that there has to be one.
    pub(crate) const fn needs_got(self) -> bool {
        self.needs_got_entry()
            || matches!(self, Self::GotBase | Self::FromGot | Self::BranchFromGot)
    }

    /// Whether the value is a distance rather than an address or a size.
    pub(crate) const fn is_distance(self) -> bool {
        matches!(
            self,
            Self::Relative | Self::Branch | Self::GotRelative | Self::GotBase
        )
    }
}

/// What formulas are made of, under the psABI's names. Addresses are wide enough that nothing wraps.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    non_snake_case,
    reason = "these are the psABI's names, in which its formulas are written"
)]
pub(crate) struct Terms {
    pub(crate) S: i128,
    pub(crate) A: i128,
    pub(crate) P: i128,
    pub(crate) L: i128,
    pub(crate) G: i128,
    pub(crate) GOT: i128,
    pub(crate) Z: i128,
}

impl Formula {
    /// What the field has to hold.
    pub(crate) const fn value(self, terms: &Terms) -> i128 {
        let &Terms {
            S,
            A,
            P,
            L,
            G,
            GOT,
            Z,
        } = terms;
        match self {
            Self::Nothing => 0,
            Self::Absolute => S + A,
            Self::Relative => S + A - P,
            Self::Branch => L + A - P,
            Self::GotOffset => G + A,
            Self::GotRelative => G + GOT + A - P,
            Self::GotBase => GOT + A - P,
            Self::FromGot => S + A - GOT,
            Self::BranchFromGot => L + A - GOT,
            Self::Size => Z + A,
        }
    }
}

/// The values that a field can hold, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Values {
    pub(crate) least: i128,
    pub(crate) greatest: i128,
}

impl Values {
    pub(crate) const fn contains(self, value: i128) -> bool {
        self.least <= value && value <= self.greatest
    }

    /// The end of the interval on the side of `value`.
    const fn limit(self, value: i128) -> i128 {
        if value < 0 { self.least } else { self.greatest }
    }

    const fn signed(bits: u32) -> Self {
        Self {
            least: -(1 << (bits - 1)),
            greatest: (1 << (bits - 1)) - 1,
        }
    }

    const fn unsigned(bits: u32) -> Self {
        Self {
            least: 0,
            greatest: (1 << bits) - 1,
        }
    }

    /// Where the psABI leaves it open whether a narrow field is signed, both readings are accepted, as linkers do.
    const fn either(bits: u32) -> Self {
        Self {
            least: Self::signed(bits).least,
            greatest: Self::unsigned(bits).greatest,
        }
    }
}

/// What is done about a value that its field may not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beyond {
    /// The image is placed so that the field holds it.
    Placement,
    /// The code goes through a stub.
    Stub,
    /// Nothing: it is an error when it is written. The field holds everything, or so little that no placement helps.
    Refusal,
}

/// One type of relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) kind: RelocationKind,
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) formula: Formula,
    pub(crate) encoding: Encoding,
    pub(crate) values: Values,
    pub(crate) beyond: Beyond,
}

impl Row {
    /// Writes `value` at `offset` if the field can hold it.
    pub(crate) fn store(
        &self,
        bytes: &mut [u8],
        offset: u64,
        value: i128,
    ) -> Result<(), DoesNotFit> {
        if !self.values.contains(value) {
            return Err(DoesNotFit {
                value,
                limit: self.values.limit(value),
            });
        }
        let stored = self.encoding.store(&mut bytes[offset as usize..], value);
        debug_assert!(stored.is_some(), "graphs keep every field in its section");
        Ok(())
    }
}

/// A value outside of what its field can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DoesNotFit {
    pub(crate) value: i128,
    /// The largest value of that sign that fits.
    pub(crate) limit: i128,
}

const fn row(
    kind: RelocationKind,
    number: u32,
    name: &'static str,
    formula: Formula,
    bytes: u8,
    values: Values,
    beyond: Beyond,
) -> Row {
    Row {
        kind,
        number,
        name,
        formula,
        encoding: Encoding::Whole(bytes),
        values,
        beyond,
    }
}

use Beyond::{Placement, Refusal, Stub};
use Formula::{
    Absolute, Branch, BranchFromGot, FromGot, GotBase, GotOffset, GotRelative, Nothing, Relative,
    Size,
};
use RelocationKind as K;

const I8: Values = Values::signed(8);
const I16: Values = Values::signed(16);
const I32: Values = Values::signed(32);
const U32: Values = Values::unsigned(32);
const E8: Values = Values::either(8);
const E16: Values = Values::either(16);
const E64: Values = Values::either(64);

/// Every row, in the order of [`RelocationKind`].
#[rustfmt::skip] // A table is read by columns.
pub(crate) const ROWS: [Row; 24] = [
    row(K::None,         0, "R_X86_64_NONE",          Nothing,       0, E64, Refusal),
    row(K::Abs64,        1, "R_X86_64_64",            Absolute,      8, E64, Refusal),
    row(K::Pc32,         2, "R_X86_64_PC32",          Relative,      4, I32, Placement),
    row(K::Got32,        3, "R_X86_64_GOT32",         GotOffset,     4, I32, Refusal),
    row(K::Plt32,        4, "R_X86_64_PLT32",         Branch,        4, I32, Stub),
    row(K::GotPcRel,     9, "R_X86_64_GOTPCREL",      GotRelative,   4, I32, Refusal),
    row(K::Abs32,       10, "R_X86_64_32",            Absolute,      4, U32, Placement),
    row(K::Abs32S,      11, "R_X86_64_32S",           Absolute,      4, I32, Placement),
    row(K::Abs16,       12, "R_X86_64_16",            Absolute,      2, E16, Refusal),
    row(K::Pc16,        13, "R_X86_64_PC16",          Relative,      2, I16, Refusal),
    row(K::Abs8,        14, "R_X86_64_8",             Absolute,      1, E8, Refusal),
    row(K::Pc8,         15, "R_X86_64_PC8",           Relative,      1, I8, Refusal),
    row(K::Pc64,        24, "R_X86_64_PC64",          Relative,      8, E64, Refusal),
    row(K::GotOff64,    25, "R_X86_64_GOTOFF64",      FromGot,       8, E64, Refusal),
    row(K::GotPc32,     26, "R_X86_64_GOTPC32",       GotBase,       4, I32, Refusal),
    row(K::Got64,       27, "R_X86_64_GOT64",         GotOffset,     8, E64, Refusal),
    row(K::GotPcRel64,  28, "R_X86_64_GOTPCREL64",    GotRelative,   8, E64, Refusal),
    row(K::GotPc64,     29, "R_X86_64_GOTPC64",       GotBase,       8, E64, Refusal),
    row(K::GotPlt64,    30, "R_X86_64_GOTPLT64",      GotOffset,     8, E64, Refusal),
    row(K::PltOff64,    31, "R_X86_64_PLTOFF64",      BranchFromGot, 8, E64, Refusal),
    row(K::Size32,      32, "R_X86_64_SIZE32",        Size,          4, U32, Refusal),
    row(K::Size64,      33, "R_X86_64_SIZE64",        Size,          8, E64, Refusal),
    row(K::GotPcRelX,   41, "R_X86_64_GOTPCRELX",     GotRelative,   4, I32, Refusal),
    row(K::RexGotPcRelX,42, "R_X86_64_REX_GOTPCRELX", GotRelative,   4, I32, Refusal),
];

/// psABI numbers to kinds. A table, because every relocation of every object is looked up.
const KINDS: [Option<RelocationKind>; 64] = {
    let mut kinds = [None; 64];
    let mut i = 0;
    while i < ROWS.len() {
        kinds[ROWS[i].number as usize] = Some(ROWS[i].kind);
        i += 1;
    }
    kinds
};

impl RelocationKind {
    /// The kind with this psABI name, such as `R_X86_64_PC32`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// The kind with this psABI number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        KINDS.get(number as usize).copied().flatten()
    }

    /// The machine whose code it is for.
    #[must_use]
    pub const fn architecture(self) -> Architecture {
        Architecture::X86_64
    }

    /// Its psABI name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Its psABI number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.row().number
    }

    /// The bytes of its field.
    #[must_use]
    pub const fn width(self) -> u64 {
        self.row().encoding.bytes() as u64
    }

    /// Every kind there is.
    #[must_use]
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        ROWS.iter().map(|row| row.kind)
    }

    pub(crate) const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl fmt::Display for RelocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
