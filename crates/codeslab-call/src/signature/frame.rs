//! The words of one call, which a binding fills and a [`Signature`] has a function called with.
//!
//! There are three sizes, because zeroing shows in every call: one for a few integers, one for all registers and a short stack, and one with room
//! for structures.

use super::{Parameter, Signature};
use crate::abi::{Convention, Host, SHORT};
use crate::structure::Passed;

/// The words of one call. Those that nothing was put into are zero.
#[derive(Clone, Copy, Debug)]
pub struct Frame(pub(super) <Host as Convention>::Words);

impl Frame {
    /// A frame of zeros.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self(Host::ZEROS)
    }

    /// Puts in the word of an argument.
    #[inline]
    pub fn put(&mut self, parameter: Parameter, word: u64) {
        parameter.put(word, self.0.as_mut());
    }
}

/// The words of one call of a signature that is short: has a few integers and nothing else. Those that nothing was put into are zero.
#[derive(Clone, Copy, Default, Debug)]
pub struct ShortFrame(pub(super) [u64; SHORT]);

impl ShortFrame {
    /// A frame of zeros.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts in the word of an argument, by its index. One that no short signature has is left out.
    #[inline]
    pub fn put(&mut self, index: usize, word: u64) {
        if let Some(place) = self.0.get_mut(index) {
            *place = word;
        }
    }
}

/// The words of one call that has structures among its arguments, or for a result.
#[derive(Clone, Debug)]
pub struct LargeFrame {
    pub(super) words: <Host as Convention>::Large,
    /// What the addresses of arguments are, and that of the result, aligned for everything that C has.
    pub(super) copies: Vec<Vec<u128>>,
}

impl LargeFrame {
    /// A frame of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self {
            words: Host::LARGE_ZEROS,
            copies: Vec::new(),
        }
    }

    /// Puts in the word of an argument.
    pub fn put(&mut self, parameter: Parameter, word: u64) {
        parameter.put(word, self.words.as_mut());
    }

    /// Puts in the bytes of an argument that is a structure. `false` if that is none, or has another size.
    #[must_use]
    pub fn put_structure(&mut self, signature: &Signature, argument: usize, bytes: &[u8]) -> bool {
        let Some((structure, passed)) = signature.structure_of(argument) else {
            return false;
        };
        if bytes.len() != structure.size() {
            return false;
        }
        match passed {
            Passed::Pieces(pieces) => {
                for piece in pieces {
                    piece.place.put(piece.read(bytes), self.words.as_mut());
                }
            }
            Passed::Address(word) => {
                let address = self.copy(bytes.len(), bytes);
                self.words.as_mut()[usize::from(*word)] = address;
            }
        }
        true
    }

    /// The address of so many bytes that begin with a copy of these.
    pub(super) fn copy(&mut self, length: usize, bytes: &[u8]) -> u64 {
        let mut copy = vec![0_u128; length.div_ceil(16)];
        for (word, bytes) in copy.iter_mut().zip(bytes.chunks(16)) {
            let mut chunk = [0; 16];
            chunk[..bytes.len()].copy_from_slice(bytes);
            *word = u128::from_ne_bytes(chunk);
        }
        let address = copy.as_mut_ptr().expose_provenance() as u64;
        self.copies.push(copy);
        address
    }
}

impl Default for LargeFrame {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}
