//! What is published: functions by name, or a linked object.

use codeslab::Address;

/// A function and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// What tools call it.
    pub name: String,
    /// Its first byte.
    pub address: Address,
    /// Its size in bytes.
    pub size: u64,
}

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Its first byte.
    pub address: Address,
    /// Its size in bytes.
    pub size: u64,
}

/// One unit of code: it is published and taken back together.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Code {
    /// Functions that a program placed itself.
    Functions(Vec<Function>),
    /// A relocatable ELF object that was linked: its bytes, with the address of each section in its section header (`sh_addr`), 0 for one
    /// that was left out. Symbols, debug and unwind information are read from it.
    Object(Vec<u8>),
    /// Regions with code of other compilers that keeps frame pointers, such as JavaScript's. Debuggers learn how to get from its frames to
    /// their callers, and nothing else.
    Frames(Vec<Region>),
}
