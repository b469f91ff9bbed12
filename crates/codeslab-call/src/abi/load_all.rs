//! Calls that load every argument register, for conventions with separate registers for integers and for floats.
//!
//! A call loads all registers and passes words on the stack. Where a variadic callee relies on more than that, targets are called as if they
//! were variadic, so that `printf` can be called like anything else. The compiler makes the call: there is no assembly here.
#![allow(unused_macros, unused_imports)] // Where no convention is known, nothing is called.

/// The floating-point registers that pass arguments, in every convention that uses this file.
#[allow(dead_code, reason = "where no convention is known, nothing is called")]
pub(super) const FLOAT_REGISTERS: u8 = 8;

/// The most words that a call passes on the stack. More would be a longer macro invocation, no more.
#[allow(dead_code, reason = "where no convention is known, nothing is called")]
pub(super) const STACK_WORDS: u8 = 16;

/// The same for calls with structures, which go to the stack when they are large.
#[allow(dead_code, reason = "where no convention is known, nothing is called")]
pub(super) const LARGE_STACK_WORDS: u8 = 64;

/// Defines `Host`, given the number of integer registers, the words that they are loaded from, how many registers there are for no
/// argument, as what targets are called (`variadic` or `fixed`), and whether arguments share words (`shared` or `own`). The file has the
/// `rules` of systems, says how structures travel, by `pass` and `give_back`, and calls with them, by `call_all`.
macro_rules! convention {
    (
        $integers:literal integer registers: $($integer:literal)*; $others:literal others; calls $calls:ident; $sharing:ident words
    ) => {
        use super::Convention;
        use super::load_all::{
            FLOAT_REGISTERS, LARGE_STACK_WORDS, STACK_WORDS, call_by_stack_words, shares,
        };
        use super::SHORT;
        use crate::calling::System;
        use crate::error::Result;
        use crate::kind::{Class, Kind};
        use crate::registers::{Registers, Rules};
        use crate::structure::{Passed, Place, Results, Returned, Shape, Structure};

        const FIRST_FLOAT: usize = $integers;
        const FIRST_STACK: usize = FIRST_FLOAT + FLOAT_REGISTERS as usize + $others;

        /// The convention of this file.
        pub(crate) type Host = Registers<$integers, FLOAT_REGISTERS, $others, STACK_WORDS>;

        impl Convention for Host {
            type Words = [u64; FIRST_STACK + STACK_WORDS as usize];

            const ZEROS: Self::Words = [0; _];

            const STACK_WORDS: u8 = STACK_WORDS;

            const SHARES_WORDS: bool = shares!($sharing);

            fn begin() -> Result<Self> {
                Ok(Self::default().by(rules(System::Own)))
            }

            fn follow(self, system: System) -> Option<Self> {
                Some(self.by(rules(system)))
            }

            fn begin_variadic(&mut self) {
                self.vary();
            }

            fn place(&mut self, kind: Kind) -> Option<Place> {
                self.next(kind)
            }

            type Large = [u64; FIRST_STACK + LARGE_STACK_WORDS as usize];

            const LARGE_ZEROS: Self::Large = [0; _];

            const LARGE_STACK_WORDS: u8 = LARGE_STACK_WORDS;

            const HAS_STRUCTURES: bool = true;

            fn begin_large() -> Result<Self> {
                Ok(Self::with_stack(LARGE_STACK_WORDS).by(rules(System::Own)))
            }

            fn place_structure(&mut self, structure: &Structure) -> Option<Passed> {
                pass(self, structure)
            }

            fn place_result(&mut self, structure: &Structure) -> Option<Returned> {
                give_back(self, structure)
            }

            unsafe fn call_large(
                &self,
                target: *const (),
                words: &Self::Large,
                shape: Shape,
            ) -> Results {
                // SAFETY: they are the same obligations.
                unsafe { call_all(target, words, self.on_stack(), shape) }
            }

            #[inline]
            unsafe fn call_integer(&self, target: *const (), words: &Self::Words) -> u64 {
                call_by_stack_words!(target, words, self.on_stack(), u64, $calls, [$($integer)*])
            }

            #[inline]
            unsafe fn call_float(&self, target: *const (), words: &Self::Words) -> u64 {
                let result: f64 =
                    call_by_stack_words!(target, words, self.on_stack(), f64, $calls, [$($integer)*]);
                result.to_bits()
            }

            #[inline]
            unsafe fn call_short(target: *const (), words: &[u64; SHORT]) -> u64 {
                // SAFETY: a function pointer has the size and the representation of the pointer that it is made from, and `target` is
                // the entry of code, so it is not null.
                let function = unsafe {
                    std::mem::transmute::<*const (), super::load_all::short_callee!($calls)>(target)
                };
                // SAFETY: `target` is such code and may be executed, by the first obligation. It takes no more than these, by the second,
                // and ignores what it does not take. By the third it is sound with these, and the caller is prepared for what unwinds.
                unsafe { function(words[0], words[1], words[2], words[3]) }
            }
        }
    };
}

/// The type of a target that takes integers in registers alone.
macro_rules! short_callee {
    (variadic) => {
        unsafe extern "C-unwind" fn(u64, ...) -> u64
    };
    (fixed) => {
        unsafe extern "C-unwind" fn(u64, u64, u64, u64) -> u64
    };
}

/// Whether arguments share words.
macro_rules! shares {
    (own) => {
        false
    };
    (shared) => {
        true
    };
}

/// Calls with the fewest stack words that suffice. Passing more is harmless; loading none is what makes common calls quick.
macro_rules! call_by_stack_words {
    ($target:ident, $words:ident, $stack:expr, $result:ty, $calls:ident, $integers:tt) => {{
        use super::load_all::call;
        match $stack {
            0 => call!($target, $words, $result, $calls, $integers, []),
            1..=2 => call!($target, $words, $result, $calls, $integers, [0 1]),
            3..=4 => call!($target, $words, $result, $calls, $integers, [0 1 2 3]),
            5..=8 => call!($target, $words, $result, $calls, $integers, [0 1 2 3 4 5 6 7]),
            _ => call!($target, $words, $result, $calls, $integers, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]),
        }
    }};
}

/// The type of a target that takes words in the place of so many integers and words on the stack.
macro_rules! callee {
    (variadic, $result:ty, $integers:tt, $stack:tt) => {
        unsafe extern "C-unwind" fn(u64, ...) -> $result
    };
    (fixed, $result:ty, [$($integer:literal)*], [$($stack:literal)*]) => {
        unsafe extern "C-unwind" fn(
            $(super::load_all::word!($integer),)*
            f64, f64, f64, f64, f64, f64, f64, f64,
            $(super::load_all::word!($stack),)*
        ) -> $result
    };
}

/// The type of a word, whichever it is.
macro_rules! word {
    ($number:literal) => {
        u64
    };
}

macro_rules! call {
    ($target:ident, $words:ident, $result:ty, $calls:ident, [$($integer:literal)*], [$($stack:literal)*]) => {{
        // SAFETY: a function pointer has the size and the representation of the pointer that it is made from, and `target` is
        // the entry of code, so it is not null.
        let function = unsafe {
            std::mem::transmute::<
                *const (),
                super::load_all::callee!($calls, $result, [$($integer)*], [$($stack)*]),
            >($target)
        };
        let float = |index: usize| f64::from_bits($words[FIRST_FLOAT + index]);
        // SAFETY: `target` is the entry of code that follows the host's C convention and may be executed now. It finds its
        // arguments because every register of the convention is loaded from its word, and as many stack words as
        // were placed at least; it ignores the others. What it does with them is sound, and what unwinds out of
        // it passes frames here that own nothing.
        unsafe {
            function(
                $($words[$integer],)*
                float(0), float(1), float(2), float(3), float(4), float(5), float(6), float(7),
                $($words[FIRST_STACK + $stack],)*
            )
        }
    }};
}

pub(super) use {call, call_by_stack_words, callee, convention, shares, short_callee, word};
