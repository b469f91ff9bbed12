//! What the processor says of itself, and what the system saves of it.
//!
//! Sources: Intel SDM volume 2, CPUID and XGETBV.
#![allow(unsafe_code)] // Two instructions that the language has no safe name for.

use std::arch::x86_64 as intrinsics;

/// One of the four registers of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// An answer, by register.
pub(super) type Answer = [u32; 4];

/// The answer to a leaf; zeros if the processor does not have it.
pub(super) fn leaf(leaf: u32, subleaf: u32) -> Answer {
    const GROUP: u32 = 0x8000_0000;
    let greatest = ask(leaf & GROUP, 0)[0];
    if leaf > greatest {
        return [0; 4];
    }
    ask(leaf, subleaf)
}

fn ask(leaf: u32, subleaf: u32) -> Answer {
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    // SAFETY: every x86-64 processor has the instruction.
    let answer = unsafe { intrinsics::__cpuid_count(leaf, subleaf) };
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}

/// Which state the system saves, a bit each; 0 if it does not say.
pub(super) fn saved_state() -> u64 {
    const OSXSAVE: u32 = 1 << 27;
    if leaf(1, 0)[Register::Ecx as usize] & OSXSAVE == 0 {
        return 0;
    }
    // SAFETY: the processor has just said that it has the instruction and that the system lets programs use it.
    unsafe { xgetbv() }
}

/// # Safety
/// - The processor has the instruction, and the system lets programs use it.
#[target_feature(enable = "xsave")]
unsafe fn xgetbv() -> u64 {
    // SAFETY: the processor has the instruction, and the system lets programs use it; register 0 exists wherever it is.
    unsafe { intrinsics::_xgetbv(0) }
}
