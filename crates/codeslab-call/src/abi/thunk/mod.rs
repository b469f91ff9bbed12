//! Machine code between a just-in-time compiled caller and a callee, one file for each processor.
//!
//! The fast calls of V8 pass a receiver and the number of an entrance before the arguments. A thunk drops both, moves the integers
//! two places down, and jumps to what the table of `fast` has for that number: there is no frame of its own, so the callee
//! returns to the caller. Floats have registers of their own and stay. Where the processor is not known there are no thunks,
//! and bindings call the slower way.

#[cfg_attr(all(target_arch = "x86_64", not(windows)), path = "x86_64.rs")]
#[cfg_attr(
    all(target_arch = "aarch64", not(windows), not(target_vendor = "apple")),
    path = "aarch64.rs"
)]
mod none;

use crate::kind::{Class, Kind};

pub(crate) use none::{FLOATS, INTEGERS, refusal, thunk};

/// Where the byte is that a refused call sets, and where the address of the table, behind the address that thunks know.
pub(crate) const REFUSED: u8 = 4;
/// See [`REFUSED`].
pub(crate) const TABLE: u8 = 8;

/// How many integers a fast call of these types passes; `None` if they do not all fit what a thunk moves.
pub(crate) fn integers(kinds: impl Iterator<Item = Kind>) -> Option<u8> {
    let (mut integers, mut floats) = (0, 0);
    for kind in kinds {
        match kind.class()? {
            Class::Integer => integers += 1,
            Class::Float => floats += 1,
        }
    }
    let limits = INTEGERS.zip(Some(FLOATS));
    limits.and_then(|(most, most_floats)| {
        (integers <= most && floats <= most_floats).then_some(integers)
    })
}
