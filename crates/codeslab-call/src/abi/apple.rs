//! Apple's convention on 64-bit Arm: as AAPCS64 (`aapcs64.rs`) where registers pass arguments, and another on the stack.
//!
//! Integers and pointers go to x0 to x7, floats to v0 to v7, each class in order; results come back in x0 or v0. What has no register is
//! packed on the stack, each argument at the next multiple of its size, and what varies is always on the stack. An argument's class does not
//! tell its size here, so nothing is passed on the stack: a signature that would is refused, and so is one of a variadic function. Structures
//! are refused as well.
//!
//! <https://developer.apple.com/documentation/xcode/writing-arm64-code-for-apple-platforms>
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use super::Convention;
use super::load_all::FLOAT_REGISTERS;
use crate::error::Result;
use crate::kind::Class;
use crate::registers::Registers;
use crate::structure::{Passed, Results, Returned, Shape, Structure};

const INTEGER_REGISTERS: u8 = 8;
const FIRST_FLOAT: usize = INTEGER_REGISTERS as usize;
const WORDS: usize = FIRST_FLOAT + FLOAT_REGISTERS as usize;

/// The convention of this file.
pub(crate) type Host = Registers<INTEGER_REGISTERS, FLOAT_REGISTERS, 0, 0>;

macro_rules! call {
    ($target:ident, $words:ident, $result:ty) => {{
        // SAFETY: a function pointer has the size and the representation of the pointer that it is made from, and `target` is
        // the entry of code, so it is not null.
        let function = unsafe {
            std::mem::transmute::<
                *const (),
                unsafe extern "C-unwind" fn(
                    u64, u64, u64, u64, u64, u64, u64, u64,
                    f64, f64, f64, f64, f64, f64, f64, f64,
                ) -> $result,
            >($target)
        };
        let float = |index: usize| f64::from_bits($words[FIRST_FLOAT + index]);
        // SAFETY: `target` is the entry of code that follows the host's C convention and may be executed now. It finds its arguments
        // because every register that passes any is loaded from its word, and nothing was placed elsewhere; it ignores the others. What it
        // does with them is sound, and what unwinds out of it passes frames here that own nothing.
        unsafe {
            function(
                $words[0], $words[1], $words[2], $words[3], $words[4], $words[5], $words[6], $words[7],
                float(0), float(1), float(2), float(3), float(4), float(5), float(6), float(7),
            )
        }
    }};
}

impl Convention for Host {
    type Words = [u64; WORDS];

    const ZEROS: Self::Words = [0; _];

    const STACK_WORDS: u8 = 0;

    const HAS_VARIADIC: bool = false;

    fn begin() -> Result<Self> {
        Ok(Self::default())
    }

    fn place(&mut self, class: Class) -> Option<u8> {
        self.next(class)
    }

    type Large = [u64; WORDS];

    const LARGE_ZEROS: Self::Large = [0; _];

    const LARGE_STACK_WORDS: u8 = 0;

    const HAS_STRUCTURES: bool = false;

    fn begin_large() -> Result<Self> {
        Ok(Self::default())
    }

    fn place_structure(&mut self, _structure: &Structure) -> Option<Passed> {
        None
    }

    fn place_result(&mut self, _structure: &Structure) -> Option<Returned> {
        None
    }

    unsafe fn call_large(&self, target: *const (), words: &Self::Large, shape: Shape) -> Results {
        if shape == Shape::Floats {
            // SAFETY: the obligations are the same: no structure was placed.
            let result = unsafe { self.call_float(target, words) };
            return [0, 0, result, 0, 0, 0];
        }
        // SAFETY: the obligations are the same: no structure was placed.
        let result = unsafe { self.call_integer(target, words) };
        [result, 0, 0, 0, 0, 0]
    }

    #[inline]
    unsafe fn call_integer(&self, target: *const (), words: &Self::Words) -> u64 {
        call!(target, words, u64)
    }

    #[inline]
    unsafe fn call_float(&self, target: *const (), words: &Self::Words) -> u64 {
        let result: f64 = call!(target, words, f64);
        result.to_bits()
    }
}
