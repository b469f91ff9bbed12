//! Calling conventions, one file each, and the choice of the one that the host's C compiler uses.
//!
//! A convention is a type that implements [`Convention`]: it gives each argument a word and calls a function with those
//! words. A new one is a file with a type named `Host` and one line on `mod host` below; nothing outside of this folder
//! knows which convention is in use or asks for the target. Where no line applies, `host.rs` itself is compiled, which
//! refuses every signature with a typed error.
#![allow(unsafe_code)] // It says what calling at an address asks for.

use crate::calling::System;
use crate::error::Result;
use crate::kind::Kind;
use crate::structure::{Passed, Place, Results, Returned, Shape, Structure};
use std::fmt;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("an argument is a word of 64 bits");

#[cfg(all(target_arch = "aarch64", not(windows)))]
mod apple;
pub(crate) mod closure;
#[cfg_attr(all(target_arch = "x86_64", not(windows)), path = "sysv_x86_64.rs")]
#[cfg_attr(all(target_arch = "x86_64", windows), path = "win64.rs")]
#[cfg_attr(all(target_arch = "aarch64", not(windows)), path = "aapcs64.rs")]
mod host;
mod load_all;
pub(crate) mod thunk;

#[cfg(test)]
mod tests;

// `mod host` is another file on every machine that the tests run on; this keeps the refusal compiled and tested there.
#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "host.rs"]
mod no_convention;

pub(crate) use host::Host;

/// The most words of a call that has nothing but integers, which travel in registers.
pub(crate) const SHORT: usize = 4;

/// The words of arguments as one convention places them, and the call that loads them. A value is the placement of the
/// arguments of one signature.
pub(crate) trait Convention: Sized + Clone + fmt::Debug {
    /// Everything that a call can pass, in registers and on the stack: an array of `u64`.
    type Words: Copy + fmt::Debug + AsMut<[u64]>;

    /// All of them zero.
    const ZEROS: Self::Words;

    /// The most words that a call passes on the stack.
    const STACK_WORDS: u8;

    /// Whether arguments share words, so that none may write to more than its own bytes.
    const SHARES_WORDS: bool = false;

    /// Before the first argument.
    ///
    /// # Errors
    /// [`crate::Error::UnsupportedConvention`] if functions cannot be called on this machine.
    fn begin() -> Result<Self>;

    /// The same by the rules of a system, before the first argument; `None` where they are not known. Calls are made in one way.
    fn follow(self, system: System) -> Option<Self> {
        (system == System::Own).then_some(self)
    }

    /// Says that arguments vary from the next one on.
    fn begin_variadic(&mut self) {}

    /// Where in [`Convention::Words`] the next argument is; `None` when there is no place left for one of this type.
    fn place(&mut self, kind: Kind) -> Option<Place>;

    /// As [`Convention::Words`], with room for structures on the stack.
    type Large: Clone + fmt::Debug + AsMut<[u64]>;

    /// All of them zero.
    const LARGE_ZEROS: Self::Large;

    /// The most words of [`Convention::Large`] that a call passes on the stack.
    const LARGE_STACK_WORDS: u8;

    /// Whether structures can be passed.
    const HAS_STRUCTURES: bool;

    /// As [`Convention::begin`], for [`Convention::Large`].
    ///
    /// # Errors
    /// [`crate::Error::UnsupportedConvention`] if functions cannot be called on this machine.
    fn begin_large() -> Result<Self>;

    /// How the next argument travels, which is a structure; `None` when there is no place left.
    fn place_structure(&mut self, structure: &Structure) -> Option<Passed>;

    /// How a structure comes back. Asked before the first argument.
    fn place_result(&mut self, structure: &Structure) -> Option<Returned>;

    /// Calls `target` and returns the registers for results, of which those of `shape` hold something.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows this convention, and may be executed by this thread until it returns.
    /// - The code takes at most the arguments that `self` has placed, of the same classes and in the same order, and `words`
    ///   holds them where `self` has placed them.
    /// - Given these arguments, what the code does is sound. Where it unwinds, the caller's frames may be unwound.
    unsafe fn call_large(&self, target: *const (), words: &Self::Large, shape: Shape) -> Results;

    /// Calls `target` and returns the word that it leaves where integers and pointers are returned.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows this convention, and may be executed by this thread until it returns.
    /// - The code takes at most the arguments that `self` has placed, of the same classes and in the same order, and `words`
    ///   holds them where `self` has placed them.
    /// - Given these arguments, what the code does is sound. Where it unwinds, the caller's frames may be unwound.
    unsafe fn call_integer(&self, target: *const (), words: &Self::Words) -> u64;

    /// Calls `target` and returns the bits that it leaves where floats are returned.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows this convention, and may be executed by this thread until it returns.
    /// - The code takes at most the arguments that `self` has placed, of the same classes and in the same order, and `words`
    ///   holds them where `self` has placed them.
    /// - Given these arguments, what the code does is sound. Where it unwinds, the caller's frames may be unwound.
    unsafe fn call_float(&self, target: *const (), words: &Self::Words) -> u64;

    /// Calls `target` with nothing but integers, which all conventions here pass in registers, and returns the word that it leaves where
    /// integers and pointers are returned. (Most calls are like that, and loading all registers takes longer.)
    ///
    /// # Safety
    /// - `target` is the entry of code that follows this convention, and may be executed by this thread until it returns.
    /// - The code takes at most as many integers as there are words.
    /// - Given these arguments, what the code does is sound. Where it unwinds, the caller's frames may be unwound.
    unsafe fn call_short(target: *const (), words: &[u64; SHORT]) -> u64;
}
