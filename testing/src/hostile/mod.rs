//! Objects and archives that are made to take a linker long, or much memory: small files in which much is said again and again.
//!
//! Each grows with a number, so that a test can see how what a link takes grows with it. The tests of the linker say what comes of each;
//! the program `hostile` writes them out as seeds for the fuzz targets. [`elf`] and [`archive`] write what they are told to, right or
//! wrong.

pub mod archive;
mod archives;
pub mod elf;
mod objects;

/// A kind of hostile input.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// What is wrong with it, in a few words.
    pub name: &'static str,
    /// What linking it ends with: the code of the error, or `LINKED`.
    pub outcome: &'static str,
    /// Makes one whose length is about in proportion to the number.
    pub make: fn(usize) -> Vec<u8>,
}

/// A link that ended well.
pub const LINKED: &str = "LINKED";

/// Every kind of hostile object.
#[must_use]
pub fn objects() -> &'static [Hostile] {
    &objects::ALL
}

/// Every kind of hostile archive. Each defines `f`, if it defines anything.
#[must_use]
pub fn archives() -> &'static [Hostile] {
    &archives::ALL
}
