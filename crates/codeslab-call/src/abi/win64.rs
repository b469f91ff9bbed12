//! Microsoft x64: Windows on x86-64.
//!
//! The first four arguments go by position: the one at position n to rcx, rdx, r8 or r9 if it is an integer or a pointer, to xmm0 to xmm3 if
//! it is a float. All others go to the stack, eight bytes each, above 32 bytes that belong to the callee. Results come back in rax or xmm0.
//! A variadic callee looks for floats among the first four in the integer registers, so a variadic call loads both. That is why one
//! kind of call does for any mix of integers and floats: it passes four floats, variadically, and both registers of each
//! position have the word's bits.
//!
//! <https://learn.microsoft.com/en-us/cpp/build/x64-calling-convention>
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use super::Convention;
use super::load_all::STACK_WORDS;
use crate::error::Result;
use crate::kind::Class;

const REGISTERS: u8 = 4;
const FIRST_STACK: usize = REGISTERS as usize;

/// The convention of this file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    // Invariant: at most `REGISTERS` and `STACK_WORDS` together.
    used: u8,
}

macro_rules! call {
    ($target:ident, $words:ident, $result:ty, [$($stack:literal)*]) => {{
        // SAFETY: a function pointer has the size and the representation of the pointer that it is made from, and `target` is
        // the entry of code, so it is not null.
        let function = unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn(f64, ...) -> $result>($target)
        };
        let float = |index: usize| f64::from_bits($words[index]);
        // SAFETY: `target` is the entry of code that follows the host's C convention and may be executed now. It finds its
        // arguments because both registers of each position are loaded from its word, and as many stack words as `self` has
        // placed at least; it ignores the others. What it does with them is sound, and it does not unwind.
        unsafe {
            function(float(0), float(1), float(2), float(3), $($words[FIRST_STACK + $stack],)*)
        }
    }};
}

/// Calls with the fewest stack words that suffice: loading none is what makes common calls quick.
macro_rules! call_by_stack_words {
    ($target:ident, $words:ident, $stack:expr, $result:ty) => {
        match $stack {
            0 => call!($target, $words, $result, []),
            1..=2 => call!($target, $words, $result, [0 1]),
            3..=4 => call!($target, $words, $result, [0 1 2 3]),
            5..=8 => call!($target, $words, $result, [0 1 2 3 4 5 6 7]),
            _ => call!($target, $words, $result, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]),
        }
    };
}

impl Host {
    #[inline]
    fn on_stack(&self) -> u8 {
        self.used.saturating_sub(REGISTERS)
    }
}

impl Convention for Host {
    type Words = [u64; FIRST_STACK + STACK_WORDS as usize];

    const ZEROS: Self::Words = [0; _];

    const STACK_WORDS: u8 = STACK_WORDS;

    fn begin() -> Result<Self> {
        Ok(Self::default())
    }

    fn place(&mut self, _class: Class) -> Option<u8> {
        let index = self.used;
        (index < REGISTERS + STACK_WORDS).then(|| {
            self.used += 1;
            index
        })
    }

    #[inline]
    unsafe fn call_integer(&self, target: *const (), words: &Self::Words) -> u64 {
        call_by_stack_words!(target, words, self.on_stack(), u64)
    }

    #[inline]
    unsafe fn call_float(&self, target: *const (), words: &Self::Words) -> u64 {
        let result: f64 = call_by_stack_words!(target, words, self.on_stack(), f64);
        result.to_bits()
    }
}
