//! No thunks: the processor is not known.

/// None can be made.
pub(crate) const INTEGERS: Option<u8> = None;

/// Floats that a thunk leaves where they are.
pub(crate) const FLOATS: u8 = 0;

/// There is none.
pub(crate) fn thunk(_table: u64, _integers: u8) -> Vec<u8> {
    Vec::new()
}

/// There is none.
pub(crate) fn refusal() -> Vec<u8> {
    Vec::new()
}
