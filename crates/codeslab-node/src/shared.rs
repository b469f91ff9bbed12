//! Copies of bytes that machine code and other threads use at the same time.
//!
//! Bytes are moved by atomic accesses as wide as their alignment allows, so a value that is aligned, of at most 8 bytes, is never seen or
//! written by halves. In which order different values arrive nothing says; who needs that uses `Atomics` on a view. `data` uses these
//! for published memory.
#![allow(unsafe_code)] // It reads and writes raw memory.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// An integer that is read and written at once.
trait Word: Sized {
    /// Copies it from memory.
    ///
    /// # Safety
    /// - `at` is mapped, readable, and a multiple of the size.
    /// - All other accesses at that time are atomic, or made by code that is not Rust's.
    unsafe fn load(at: *mut u8, into: &mut [u8]);

    /// Copies it to memory.
    ///
    /// # Safety
    /// - `at` is mapped, writable, and a multiple of the size.
    /// - All other accesses at that time are atomic, or made by code that is not Rust's.
    unsafe fn store(at: *mut u8, bytes: &[u8]);
}

macro_rules! word {
    ($integer:ty, $atomic:ty) => {
        impl Word for $integer {
            #[inline]
            unsafe fn load(at: *mut u8, into: &mut [u8]) {
                // SAFETY: it is mapped, readable, aligned and used by nothing but atomics of Rust, by the obligations.
                let word = unsafe { <$atomic>::from_ptr(at.cast()) }.load(Ordering::Relaxed);
                into.copy_from_slice(&word.to_ne_bytes());
            }

            #[inline]
            unsafe fn store(at: *mut u8, bytes: &[u8]) {
                let mut word = [0; size_of::<Self>()];
                word.copy_from_slice(bytes);
                // SAFETY: it is mapped, writable, aligned and used by nothing but atomics of Rust, by the obligations.
                unsafe { <$atomic>::from_ptr(at.cast()) }
                    .store(Self::from_ne_bytes(word), Ordering::Relaxed);
            }
        }
    };
}

word!(u8, AtomicU8);
word!(u16, AtomicU16);
word!(u32, AtomicU32);
word!(u64, AtomicU64);

/// How many bytes the widest access has that an address allows and that `left` bytes, at least one, have room for.
fn width(at: *mut u8, left: usize) -> usize {
    let aligned = at.addr().trailing_zeros().min(3);
    1 << aligned.min(left.ilog2())
}

/// Copies bytes from memory.
///
/// # Safety
/// - So many bytes are mapped and readable at `from` until it returns.
/// - All other accesses to them at that time are atomic, or made by code that is not Rust's.
pub(crate) unsafe fn load(from: *mut u8, into: &mut [u8]) {
    let (mut at, mut rest) = (from, into);
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut(width(at, rest.len()));
        let load = match now.len() {
            8 => u64::load,
            4 => u32::load,
            2 => u16::load,
            _ => u8::load,
        };
        // SAFETY: the bytes are mapped, readable and used by nothing but atomics of Rust, by the obligations; `width` sees to alignment.
        unsafe { load(at, now) };
        (at, rest) = (at.wrapping_add(now.len()), later);
    }
}

/// Copies bytes to memory.
///
/// # Safety
/// - So many bytes are mapped and writable at `to` until it returns, and `bytes` lie elsewhere.
/// - All other accesses to them at that time are atomic, or made by code that is not Rust's.
pub(crate) unsafe fn store(to: *mut u8, bytes: &[u8]) {
    let (mut at, mut rest) = (to, bytes);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(width(at, rest.len()));
        let store = match now.len() {
            8 => u64::store,
            4 => u32::store,
            2 => u16::store,
            _ => u8::store,
        };
        // SAFETY: the bytes are mapped, writable and used by nothing but atomics of Rust, by the obligations; `width` sees to alignment.
        unsafe { store(at, now) };
        (at, rest) = (at.wrapping_add(now.len()), later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that begins at a multiple of 8.
    #[repr(align(8))]
    struct Aligned([u8; 64]);

    #[test]
    fn bytes_arrive_as_they_are_from_and_at_every_alignment() {
        let bytes: [u8; 64] = std::array::from_fn(|index| index as u8 + 1);
        for start in 0..9 {
            for length in 0..=40 {
                let mut memory = Aligned([0; 64]);
                let at = memory.0.as_mut_ptr();
                // SAFETY: at most 48 of the 64 bytes are used, and by nothing else.
                unsafe { store(at.wrapping_add(start), &bytes[..length]) };
                let mut copy = [0; 64];
                // SAFETY: at most 48 of the 64 bytes are used, and by nothing else.
                unsafe { load(at.wrapping_add(start), &mut copy[..length]) };
                assert_eq!(copy[..length], bytes[..length]);
                assert_eq!(memory.0[start..start + length], bytes[..length]);
                assert!(memory.0[start + length..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn what_is_aligned_is_moved_at_once() {
        let at = |address: usize| std::ptr::without_provenance_mut::<u8>(address);
        assert_eq!((width(at(16), 8), width(at(16), 7)), (8, 4));
        assert_eq!((width(at(20), 64), width(at(18), 64)), (4, 2));
        assert_eq!((width(at(17), 64), width(at(16), 1)), (1, 1));
    }
}
