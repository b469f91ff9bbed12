//! AAPCS64: Linux and the BSDs on 64-bit Arm. (Apple packs small stack arguments and passes variadic ones differently; that
//! is a convention of its own.)
//!
//! Arguments are classified one by one. Integers and pointers take the next of x0 to x7; floats take the next of v0 to v7;
//! once a class has run out of registers its arguments go to the stack in order, eight bytes each. Results come back in
//! x0 or v0. A variadic callee finds its arguments in the same places.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use super::registers::Registers;

const INTEGER_REGISTERS: u8 = 8;
const FLOAT_REGISTERS: u8 = 8;
const FIRST_FLOAT: usize = INTEGER_REGISTERS as usize;
const FIRST_STACK: usize = FIRST_FLOAT + FLOAT_REGISTERS as usize;

/// The most words that a call can pass on the stack.
pub(crate) const STACK_WORDS: u8 = 16;

/// Everything that a call can pass: integer registers, floating-point registers, stack words.
pub(crate) type Words = [u64; FIRST_STACK + STACK_WORDS as usize];

/// Gives each argument its place in [`Words`].
pub(crate) type Assignment = Registers<INTEGER_REGISTERS, FLOAT_REGISTERS, STACK_WORDS>;

macro_rules! word_type {
    ($stack:literal) => {
        u64
    };
}

macro_rules! call {
    ($target:ident, $words:ident, $result:ty; $($stack:literal)*) => {{
        // SAFETY: both are plain addresses of the same size. Calling the result is the obligation of our caller.
        let function = unsafe {
            std::mem::transmute::<
                *const (),
                unsafe extern "C" fn(
                    u64, u64, u64, u64, u64, u64, u64, u64,
                    f64, f64, f64, f64, f64, f64, f64, f64,
                    $(word_type!($stack),)*
                ) -> $result,
            >($target)
        };
        let float = |index: usize| f64::from_bits($words[FIRST_FLOAT + index]);
        // SAFETY: the caller vouches for the target and that it takes no more than what is loaded here.
        unsafe {
            function(
                $words[0], $words[1], $words[2], $words[3], $words[4], $words[5], $words[6], $words[7],
                float(0), float(1), float(2), float(3), float(4), float(5), float(6), float(7),
                $($words[FIRST_STACK + $stack],)*
            )
        }
    }};
}

/// Calls with the fewest stack words that suffice. Passing more is harmless; loading none is what makes common calls quick.
macro_rules! call_by_stack_words {
    ($target:ident, $words:ident, $stack:ident, $result:ty) => {
        match $stack {
            0 => call!($target, $words, $result;),
            1..=2 => call!($target, $words, $result; 0 1),
            3..=4 => call!($target, $words, $result; 0 1 2 3),
            5..=8 => call!($target, $words, $result; 0 1 2 3 4 5 6 7),
            _ => call!($target, $words, $result; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
        }
    };
}

/// Calls `target` and returns what it leaves in x0.
///
/// # Safety
/// - `target` is the address of code that follows this convention and may be called now.
/// - `words` and `stack` come from an [`Assignment`] of the arguments that it takes.
/// - What it does with them is sound.
pub(crate) unsafe fn call_integer(target: *const (), words: &Words, stack: u8) -> u64 {
    call_by_stack_words!(target, words, stack, u64)
}

/// Calls `target` and returns what it leaves in v0.
///
/// # Safety
/// As for [`call_integer`].
pub(crate) unsafe fn call_float(target: *const (), words: &Words, stack: u8) -> f64 {
    call_by_stack_words!(target, words, stack, f64)
}
