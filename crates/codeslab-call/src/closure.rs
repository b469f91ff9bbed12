//! Pointers to functions that native code can call and this program answers.
//!
//! A closure is a few instructions that know one word, which says whom the call is for. All of them go through one trampoline to one
//! handler, which reads arguments by the parameters of a signature. Native code may keep a pointer for ever, so closures are
//! made many at a time and never freed: what a word means, and that it means nothing any more, a binding knows.
#![allow(unsafe_code)] // It reads what native code passed.

use crate::abi::closure;
use crate::kind::Class;
use crate::signature::{Parameter, Signature};
use crate::structure::{Passed, Piece, Results, Returned};

/// What all closures call: with the word, the argument registers and the words on the stack. What it returns is the result, and so is what
/// [`Arguments::answer`] leaves where the registers were.
pub type Handler = unsafe extern "C" fn(word: u64, registers: *mut u64, stack: *const u64) -> u64;

/// The arguments of a call that native code makes.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    // Invariant: what a trampoline passed, whose caller waits for the result.
    registers: *mut u64,
    stack: *const u64,
}

// SAFETY: both lie on the stack of a thread that waits for the result, and nobody writes there meanwhile.
unsafe impl Send for Arguments {}

impl Arguments {
    /// Those of a handler's call.
    ///
    /// # Safety
    /// `registers` and `stack` are what a trampoline passed to its handler, and that handler has not returned while this is used.
    #[must_use]
    pub unsafe fn new(registers: *mut u64, stack: *const u64) -> Self {
        Self { registers, stack }
    }

    /// The word of an argument, with anything above the width of its type.
    ///
    /// # Safety
    /// The caller passed what the signature of the parameter says.
    #[must_use]
    #[allow(
        clippy::absurd_extreme_comparisons,
        reason = "where there are no closures there are no registers"
    )]
    pub unsafe fn get(&self, parameter: Parameter) -> u64 {
        let place = parameter.place();
        let word = usize::from(place.word);
        let is_float = parameter.kind().class() == Some(Class::Float);
        if is_float && word < closure::REGISTER_WORDS {
            let registers = self.registers.cast_const();
            // SAFETY: it is a word of the signature, by the obligation; the trampoline stored the float of each so far behind.
            return unsafe { registers.wrapping_add(word + closure::FLOATS_BEHIND).read() };
        }
        // SAFETY: it is a word of the signature, by the obligation.
        place.value(unsafe { self.word(word) })
    }

    /// # Safety
    /// The caller passed what a signature says that has placed something in this word.
    unsafe fn word(&self, word: usize) -> u64 {
        let place = match word.checked_sub(closure::REGISTER_WORDS) {
            None => self.registers.cast_const().wrapping_add(word),
            Some(index) => self.stack.wrapping_add(index),
        };
        // SAFETY: registers were stored in this order, and the caller put as many words on the stack as the signature says.
        unsafe { place.read() }
    }

    /// The bytes of an argument that is a structure; none if it is none.
    ///
    /// # Safety
    /// The caller passed what the signature says.
    #[must_use]
    pub unsafe fn structure(&self, signature: &Signature, argument: usize) -> Vec<u8> {
        let Some((structure, passed)) = signature.structure_of(argument) else {
            return Vec::new();
        };
        let mut bytes = vec![0; structure.size()];
        match passed {
            Passed::Pieces(pieces) => {
                let read = |piece: &Piece| {
                    // SAFETY: the signature has placed a piece of the argument there.
                    let word = unsafe { self.word(usize::from(piece.place.word)) };
                    piece.write(word, &mut bytes);
                };
                pieces.iter().for_each(read);
            }
            Passed::Address(word) => {
                // SAFETY: the signature has placed the address of the argument there.
                let address = unsafe { self.word(usize::from(*word)) };
                let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
                // SAFETY: the caller passed the address of so many bytes, by the obligation, and waits.
                unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
            }
        }
        bytes
    }

    /// What the registers for results shall hold for a result that is a structure of these bytes, zero where there are fewer. What is returned in
    /// memory is written there.
    ///
    /// # Safety
    /// The caller expects what the signature says, whose result is a structure.
    #[must_use]
    pub unsafe fn results(&self, signature: &Signature, bytes: &[u8]) -> Results {
        let Some((structure, back)) = signature.result_of() else {
            return Results::default();
        };
        let mut all = bytes.to_vec();
        all.resize(structure.size(), 0);
        match back {
            Returned::Pieces(pieces) => {
                let mut results = Results::default();
                for piece in pieces {
                    results[usize::from(piece.place.word)] = piece.read(&all);
                }
                results
            }
            Returned::Memory(word) => {
                // SAFETY: the signature has placed the address of the result there.
                let address = unsafe { self.word(usize::from(*word)) };
                let to = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
                // SAFETY: the caller has room for so many bytes there, by the obligation, and waits.
                unsafe { to.copy_from_nonoverlapping(all.as_ptr(), all.len()) };
                [address, 0, 0, 0, 0, 0]
            }
        }
    }

    /// Leaves results for the trampoline: the word that the handler returns.
    ///
    /// # Safety
    /// Arguments are not read any more, and the handler returns this word.
    #[must_use]
    pub unsafe fn answer(self, results: Results) -> u64 {
        let [first, rest @ ..] = results;
        for (index, word) in (1..).zip(rest) {
            // SAFETY: a trampoline stores at least six registers, and its frame is there until the handler has returned.
            unsafe { self.registers.wrapping_add(index).write(word) };
        }
        first
    }
}

/// Bytes of one closure; 0 where there are none for this processor. Each begins at a multiple of it.
#[must_use]
pub const fn closure_bytes() -> usize {
    closure::CLOSURE_BYTES
}

/// The code of the trampoline to a handler, which may lie anywhere. Empty where there is none for this processor.
#[must_use]
pub fn trampoline(handler: Handler) -> Vec<u8> {
    closure::trampoline(handler as *const () as u64)
}

/// The code of a closure that brings `word` to the trampoline at this address.
#[must_use]
pub fn closure(word: u64, trampoline: u64) -> Vec<u8> {
    closure::closure(word, trampoline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Kind, Signature};
    use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request};

    fn place(memory: &CodeMemory, bytes: &[u8]) -> (u64, Allocation) {
        let mut layout = Layout::new();
        let text = layout
            .add(Protection::ReadExecute, bytes.len() as u64, 32)
            .unwrap();
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        in_flight.write(text, 0, bytes).unwrap();
        (
            in_flight.address(text).value(),
            in_flight.finalize().unwrap(),
        )
    }

    /// Seven integers and nine floats, of which the last of each lie on the stack: their digits.
    unsafe extern "C" fn handle(word: u64, registers: *mut u64, stack: *const u64) -> u64 {
        // SAFETY: they are what the trampoline passed.
        let arguments = unsafe { Arguments::new(registers, stack) };
        let signature = Signature::compile("double", &kinds()).unwrap();
        let digit = |parameter: &Parameter| {
            // SAFETY: the test calls it with this signature.
            let word = unsafe { arguments.get(*parameter) };
            match parameter.kind() {
                Kind::Float64 => f64::from_bits(word),
                _ => f64::from(word as u32),
            }
        };
        let sum = signature
            .parameters()
            .iter()
            .map(digit)
            .fold(0.0, |all, digit| all * 2.0 + digit);
        let result = (sum + f64::from(word as u32)).to_bits();
        // SAFETY: this returns it.
        unsafe { arguments.answer([result, 0, result, 0, 0, 0]) }
    }

    fn kinds() -> Vec<&'static str> {
        (0..20)
            .map(|index| if index % 2 == 0 { "uint64" } else { "double" })
            .collect()
    }

    #[test]
    fn every_argument_of_native_code_arrives_and_the_result_returns() {
        if closure_bytes() == 0 {
            return;
        }
        let memory = CodeMemory::new(Options::default()).unwrap();
        let (trampoline, _kept) = place(&memory, &trampoline(handle));
        let bytes = closure(1000, trampoline);
        assert_eq!(bytes.len(), closure_bytes());
        let (entry, _kept) = place(&memory, &bytes);
        let signature = Signature::compile("double", &kinds()).unwrap();
        let mut frame = Frame::new();
        let mut expected = 0.0;
        for (index, parameter) in (0_u32..).zip(signature.parameters()) {
            let is_float = parameter.kind() == Kind::Float64;
            let word = if is_float {
                f64::from(index).to_bits()
            } else {
                index.into()
            };
            frame.put(*parameter, word);
            expected = expected * 2.0 + f64::from(index);
        }
        // SAFETY: it is a closure, whose handler takes what this signature says.
        let word =
            unsafe { signature.call(std::ptr::with_exposed_provenance(entry as usize), &frame) };
        assert_eq!(
            f64::from_bits(word).to_bits(),
            (expected + 1000.0).to_bits()
        );
    }
}
