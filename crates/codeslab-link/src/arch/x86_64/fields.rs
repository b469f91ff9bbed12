//! Fields: on x86-64 every operand that a linker fills in is whole bytes of its own, in code and in data alike.

use crate::arch::encoding::{Encoding, Range};
use crate::arch::formula::Formula;
use crate::arch::row::{Far, Row};
use codeslab::Architecture;

/// A row for a field of so many bytes.
pub(super) const fn row(
    number: u32,
    name: &'static str,
    formula: Formula,
    size: u8,
    range: Range,
    far: Far,
) -> Row {
    let encoding = Encoding::Bytes(size);
    let architecture = Architecture::X86_64;
    Row::new(architecture, number, name, formula, encoding, range, far)
}
