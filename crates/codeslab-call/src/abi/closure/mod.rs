//! Machine code that native code calls and that calls this program: one file for each convention.
//!
//! A closure loads a word and jumps to the trampoline, of which there is one. That stores all argument registers in the order of
//! [`crate::Frame`], calls a handler with the word, where they are and where the caller's stack words are, and returns the
//! handler's word in the registers for integers and for floats, or there what the handler leaves in the words of the registers. Where the convention is not known there are no closures.

#[cfg_attr(all(target_arch = "x86_64", not(windows)), path = "x86_64.rs")]
#[cfg_attr(all(target_arch = "x86_64", windows), path = "win64.rs")]
#[cfg_attr(all(target_arch = "aarch64", not(windows)), path = "aarch64.rs")]
mod none;

#[cfg(target_arch = "x86_64")]
mod jump_x86_64;

pub(crate) use none::{CLOSURE_BYTES, FLOATS_BEHIND, REGISTER_WORDS, closure, trampoline};
