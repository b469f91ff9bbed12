//! Microsoft x64: Windows on x86-64.
//!
//! The first four arguments go by position: the one at position n to rcx, rdx, r8 or r9 if it is an integer or a pointer, to xmm0 to xmm3 if
//! it is a float. All others go to the stack, eight bytes each, above 32 bytes that belong to the callee. Results come back in rax or xmm0.
//! A variadic callee looks for floats among the first four in the integer registers, so a variadic call loads both. That is why one
//! kind of call does for any mix of integers and floats: it passes four floats, variadically, and both registers of each
//! position have the word's bits.
//!
//! A structure of 1, 2, 4 or 8 bytes travels like an integer of that size, whatever is in it; of any other, the address of a copy does. As a
//! result the one comes back in rax, the other in memory whose address is the first argument, and which rax holds then.
//!
//! <https://learn.microsoft.com/en-us/cpp/build/x64-calling-convention>
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use super::load_all::{LARGE_STACK_WORDS, STACK_WORDS};
use super::{Convention, SHORT};
use crate::error::Result;
use crate::kind::Kind;
use crate::structure::{Passed, Piece, Place, Results, Returned, Shape, Structure};

const REGISTERS: u8 = 4;
const FIRST_STACK: usize = REGISTERS as usize;

/// The convention of this file.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    // Invariant: at most `REGISTERS` and `limit` together.
    used: u8,
    /// The most words on the stack.
    limit: u8,
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

/// The same with more of them.
macro_rules! call_large {
    ($target:ident, $words:ident, $stack:expr, $result:ty) => {
        match $stack {
            0 => call!($target, $words, $result, []),
            1..=16 => call!($target, $words, $result, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]),
            _ => call!($target, $words, $result, [
                0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
                24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
                48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
            ]),
        }
    };
}

/// Whether a structure travels like an integer.
fn is_word(structure: &Structure) -> bool {
    matches!(structure.size(), 1 | 2 | 4 | 8)
}

impl Host {
    /// The word of the next argument.
    fn next(&mut self) -> Option<u8> {
        let index = self.used;
        (index < REGISTERS + self.limit).then(|| {
            self.used += 1;
            index
        })
    }

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
        Ok(Self {
            used: 0,
            limit: STACK_WORDS,
        })
    }

    fn place(&mut self, _kind: Kind) -> Option<Place> {
        self.next().map(Place::whole)
    }

    type Large = [u64; FIRST_STACK + LARGE_STACK_WORDS as usize];

    const LARGE_ZEROS: Self::Large = [0; _];

    const LARGE_STACK_WORDS: u8 = LARGE_STACK_WORDS;

    const HAS_STRUCTURES: bool = true;

    fn begin_large() -> Result<Self> {
        Ok(Self {
            used: 0,
            limit: LARGE_STACK_WORDS,
        })
    }

    fn place_structure(&mut self, structure: &Structure) -> Option<Passed> {
        let word = self.next()?;
        if !is_word(structure) {
            return Some(Passed::Address(word));
        }
        Piece::each(structure, |_| Some(Place::whole(word))).map(Passed::Pieces)
    }

    fn place_result(&mut self, structure: &Structure) -> Option<Returned> {
        if !is_word(structure) {
            return self.next().map(Returned::Memory);
        }
        Piece::each(structure, |_| Some(Place::whole(0))).map(Returned::Pieces)
    }

    unsafe fn call_large(&self, target: *const (), words: &Self::Large, shape: Shape) -> Results {
        if shape == Shape::Floats {
            let result: f64 = call_large!(target, words, self.on_stack(), f64);
            return [0, 0, result.to_bits(), 0, 0, 0];
        }
        let result: u64 = call_large!(target, words, self.on_stack(), u64);
        [result, 0, 0, 0, 0, 0]
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

    #[inline]
    unsafe fn call_short(target: *const (), words: &[u64; SHORT]) -> u64 {
        type Callee = unsafe extern "C" fn(u64, u64, u64, u64) -> u64;
        // SAFETY: a function pointer has the size and the representation of the pointer that it is made from, and `target` is
        // the entry of code, so it is not null.
        let function = unsafe { std::mem::transmute::<*const (), Callee>(target) };
        // SAFETY: `target` is such code and may be executed, by the first obligation. It takes no more than these, by the second,
        // and ignores what it does not take. By the third it is sound with these, and it does not unwind.
        unsafe { function(words[0], words[1], words[2], words[3]) }
    }
}
