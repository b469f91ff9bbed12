//! The words of a call, short or not.
#![allow(unsafe_code)] // It passes a promise of its caller on.

use codeslab_call::{Frame, Parameter, ShortFrame, Signature};

/// What a call without structures is made with.
pub(super) trait Words {
    /// Puts in the word of an argument, by its index.
    fn put(&mut self, index: usize, parameter: Parameter, word: u64);

    /// Calls `target`, and returns the word of its result.
    ///
    /// # Safety
    /// - `target` is the entry of code that follows the C calling convention of this machine, and may be executed by this
    ///   thread until it returns.
    /// - `signature` has no structures, and is short if the words are.
    /// - The code takes what it says, and the words were filled by its parameters with those of values that the code accepts: what it does
    ///   with them, above all with addresses, is sound.
    /// - Where it unwinds into its caller, that is prepared for it.
    unsafe fn call(&self, signature: &Signature, target: *const ()) -> u64;
}

impl Words for Frame {
    #[inline]
    fn put(&mut self, _index: usize, parameter: Parameter, word: u64) {
        Self::put(self, parameter, word);
    }

    #[inline]
    unsafe fn call(&self, signature: &Signature, target: *const ()) -> u64 {
        // SAFETY: `target` is such code by the first obligation, takes what the signature says and was given that by the third, and its caller
        // is prepared by the fourth.
        unsafe { signature.call(target, self) }
    }
}

impl Words for ShortFrame {
    #[inline]
    fn put(&mut self, index: usize, _parameter: Parameter, word: u64) {
        Self::put(self, index, word);
    }

    #[inline]
    unsafe fn call(&self, signature: &Signature, target: *const ()) -> u64 {
        // SAFETY: the signature is short by the second obligation, `target` is such code by the first, takes what the signature says and was
        // given that by the third, and its caller is prepared by the fourth.
        unsafe { signature.call_short(target, self) }
    }
}
