//! What a machine's code says of its frames in the compact form of Apple's systems: a number of 32 bits for each function.
//!
//! The number says where a function's caller is found once its frame is set up, which is all that exceptions need: they pass calls, and no
//! function calls before that. It says it in a way of its own for each machine. Here it becomes what unwind tables have as well: a register
//! that the frame is found by, and where in the frame registers of the caller are. Registers have their numbers in DWARF.
//!
//! Source: `mach-o/compact_unwind_encoding.h`
//! (<https://github.com/apple-oss-distributions/libunwind/blob/main/libunwind/include/mach-o/compact_unwind_encoding.h>).

/// How a machine's numbers are read.
#[derive(Debug)]
pub(crate) struct CompactForm {
    /// What the numbers say, of which the second argument is the function's code; `None` if that is not known.
    pub(crate) read: fn(u32, &[u8]) -> Option<Compact>,
    /// Where a function returns to.
    pub(crate) return_address: u8,
    /// The stack pointer, and how many bytes above it that of the caller was when the function began.
    pub(crate) at_entry: (u8, u64),
    /// What is in the frame when the function begins.
    pub(crate) saved_at_entry: &'static [Saved],
    /// The relocation type of the distance to a GOT entry in data.
    pub(crate) got_distance: u32,
}

/// What such a number says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Compact {
    /// Nothing: exceptions end at the function.
    Nothing,
    /// Nothing that the object's unwind table does not say.
    InTable,
    Frame(Frame),
}

/// The frame of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// A register, and how many bytes above it the caller's stack pointer was before the call.
    pub(crate) base: (u8, u64),
    pub(crate) saved: Vec<Saved>,
}

/// A register of the caller in the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Saved {
    pub(crate) register: u8,
    /// How many words of eight bytes below the caller's stack pointer.
    pub(crate) words: u64,
}

/// The field of a number that `mask` covers.
pub(crate) const fn field(number: u32, mask: u32) -> u32 {
    (number & mask) >> mask.trailing_zeros()
}
