//! No closures: the processor is not known.

/// There are none.
pub(crate) const CLOSURE_BYTES: usize = 0;

/// Words in registers.
pub(crate) const REGISTER_WORDS: usize = 0;

/// Floats have words of their own.
pub(crate) const FLOATS_BEHIND: usize = 0;

/// There is none.
pub(crate) fn closure(_word: u64, _trampoline: u64) -> Vec<u8> {
    Vec::new()
}

/// There is none.
pub(crate) fn trampoline(_handler: u64) -> Vec<u8> {
    Vec::new()
}
