//! Apple's convention on 64-bit Arm: what of it is not AAPCS64 (`aapcs64.rs`).
//!
//! Registers, results and how a structure travels are the same. The stack is not: each argument lies there at the next multiple of its own
//! size and takes no more, so that two of one byte share a word. So do structures of floats of one type, which are aligned like one of these;
//! others of at most 16 bytes take whole words. What varies is always on the stack, whatever registers are left, eight bytes for each and more
//! for a structure. The caller extends integers of less than 32 bits, as a callee does that returns one; here all are extended to 64.
//!
//! <https://developer.apple.com/documentation/xcode/writing-arm64-code-for-apple-platforms>

use crate::registers::Rules;

/// See above.
pub(super) const RULES: Rules = Rules {
    packs: true,
    varies_on_stack: true,
};
