//! What an image has to run, as addresses in its memory.
//!
//! The linker fills this in once every address is known: the order is already that in which `ld` would lay the functions out and the
//! dynamic linker would call them. `running` goes through the steps and decides nothing.

use codeslab::{Address, Window};
use std::ffi::c_void;

/// Destroys an object that a thread has.
pub(crate) type Destructor = unsafe extern "C-unwind" fn(*mut c_void);

/// Everything that is run for an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Program {
    /// An address of the image that no other has (`__dso_handle`), if the image registers anything by it.
    pub handle: Option<Address>,
    /// Functions that other functions choose (IFUNC). They are chosen before anything else runs, in this order.
    pub indirects: Vec<Indirect>,
    /// What runs before the image is used, in this order.
    pub initializers: Vec<Step>,
    /// What runs when the image goes, in this order.
    pub finalizers: Vec<Step>,
    /// Where unwind tables begin (`.eh_frame`), each well-formed and with an end.
    pub unwind_tables: Vec<Address>,
    /// What Windows' unwinder has to know, if objects say it (`.pdata`).
    pub functions: Option<FunctionTable>,
    /// How the functions are called; `None` is as the process's own.
    pub convention: Option<Convention>,
}

/// How functions are called and call others, as far as a file can be for one system or another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Convention {
    /// As on Linux, macOS and the BSDs: the ABI of System V, or what the processor's maker says.
    SystemV,
    /// As on Windows.
    Windows,
}

/// What Windows' unwinder has to know of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionTable {
    /// The block that the image lies in: entries count from its start.
    pub block: Window,
    /// A function each, ascending: `RUNTIME_FUNCTION`. Each is of code of the image, and its unwind information lies in the image.
    pub entries: Vec<FunctionEntry>,
}

/// Where a function begins and ends, and its unwind information, in bytes from the start of the block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct FunctionEntry {
    /// Its first byte.
    pub begin: u32,
    /// The byte behind its last one.
    pub end: u32,
    /// Its unwind information.
    pub unwind: u32,
}

/// A function that its resolver chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Indirect {
    /// What is called, without arguments, and returns the function's address.
    pub resolver: Address,
    /// A word in the image's data, for that address: what code jumps through. It is a multiple of 8.
    pub entry: Address,
}

/// One step of starting or ending an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Step {
    /// A function without a result. Initialisers are passed the process's arguments and environment as `main` is.
    Function(Address),
    /// Such functions by their addresses, in an array of pointers in the image. Null pointers and those of all ones are left out.
    Functions {
        /// Where the array begins.
        array: Address,
        /// How many pointers it has.
        count: u64,
        /// In which direction it is gone through.
        direction: Direction,
    },
    /// What was registered by the handle, the latest first.
    Registered,
}

/// In which direction an array is gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From its first entry to its last.
    Forwards,
    /// From its last entry to its first.
    Backwards,
}

impl Program {
    /// Whether starting and ending such an image runs nothing.
    #[must_use]
    pub const fn runs_nothing(&self) -> bool {
        self.handle.is_none()
            && self.indirects.is_empty()
            && self.initializers.is_empty()
            && self.finalizers.is_empty()
    }
}
