//! 64-bit Arm: the frame that catches, for unwinders that follow the Itanium ABI.
//!
//! Source: Itanium C++ ABI: Exception Handling, level I (<https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html>); AAPCS64, §6.
#![allow(unsafe_code)] // It is a call, in assembly.
#![allow(
    named_asm_labels,
    reason = "a naked function is assembled once, and unwind information names labels"
)]

use std::arch::naked_asm;
use std::ffi::c_void;

/// The number by which unwinders know the register of the result.
pub(crate) const RESULT_REGISTER: i32 = 0;

/// No function came to GNU's unwinder with the version that finds tables in a tree.
pub(crate) const NEWER_UNWINDER: Option<&str> = None;

/// A function that does nothing, beside the one below in its object file. LLVM writes to `.eh_frame`, where unwinders look, if an ordinary function
/// of the file has to be found there; a naked one does not count, and where a sanitizer's own functions are the only others, all of them
/// would be described to debuggers alone.
#[used]
static BESIDE: extern "C-unwind" fn() = beside;

extern "C-unwind" fn beside() {}

/// Calls `function` with `data`. Null if it returned; otherwise the exception that left it, which the caller owns.
///
/// # Safety
/// - `function` may be called with `data` now.
/// - The personality routine has the unwinder continue at what it finds as language-specific data, with the exception as the result.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn call_catching(
    function: unsafe extern "C-unwind" fn(*mut c_void),
    data: *mut c_void,
) -> *mut c_void {
    naked_asm!(
        ".cfi_startproc",
        // 0x1b: as a distance of 32 bits.
        ".cfi_personality 0x1b, .Lcodeslab_personality",
        ".cfi_lsda 0x1b, .Lcodeslab_landing",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        "mov x2, x0",
        "mov x0, x1",
        "blr x2",
        "mov x0, xzr",
        // Here the unwinder arrives with the exception in x0.
        ".Lcodeslab_landing:",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        ".Lcodeslab_personality:",
        "b {personality}",
        personality = sym super::super::exceptions::personality,
    )
}
