//! No calling convention is known here. Linking and placing work; calling from JavaScript is refused.
//!
//! Windows on x86-64 passes its first four arguments in rcx, rdx, r8, r9 or xmm0 to xmm3 *by position*: the same scheme
//! serves it with an [`Assignment`] that counts positions and a cast that loads both registers of each.
#![allow(unsafe_code)] // The functions are as unsafe as their working counterparts.

use super::kind::Class;
use crate::error::Error;

/// The most words that a call can pass on the stack.
pub(crate) const STACK_WORDS: u8 = 0;

/// Everything that a call can pass: nothing.
pub(crate) type Words = [u64; 0];

/// There are none.
#[derive(Debug)]
pub(crate) enum Assignment {}

impl Assignment {
    /// Refuses.
    pub(crate) fn begin() -> Result<Self, Error> {
        Err(codeslab::Error::UnsupportedPlatform(std::env::consts::ARCH).into())
    }

    /// Cannot be called.
    pub(crate) fn place(&mut self, _class: Class) -> Option<u8> {
        match *self {}
    }

    /// Cannot be called.
    pub(crate) fn stack_words(&self) -> u8 {
        match *self {}
    }
}

/// Cannot be called: there is no [`Assignment`].
///
/// # Safety
/// None.
pub(crate) unsafe fn call_integer(_target: *const (), _words: &Words, _stack: u8) -> u64 {
    unreachable!("a call without an assignment")
}

/// Cannot be called: there is no [`Assignment`].
///
/// # Safety
/// None.
pub(crate) unsafe fn call_float(_target: *const (), _words: &Words, _stack: u8) -> f64 {
    unreachable!("a call without an assignment")
}
