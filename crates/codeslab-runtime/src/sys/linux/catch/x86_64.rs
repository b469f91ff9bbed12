//! x86-64: the frame that catches, for unwinders that follow the Itanium ABI.
//!
//! Source: Itanium C++ ABI: Exception Handling, level I (<https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html>); psABI for AMD64, §3.7.
#![allow(unsafe_code)] // It is a call, in assembly.
#![allow(
    named_asm_labels,
    reason = "a naked function is assembled once, and unwind information names labels"
)]

use std::arch::naked_asm;
use std::ffi::c_void;

/// The number by which unwinders know the register of the result.
pub(crate) const RESULT_REGISTER: i32 = 0;

/// A function that came to GNU's unwinder with the version that finds tables in a tree: 13.
pub(crate) const NEWER_UNWINDER: Option<&str> = Some("__truncsfbf2");

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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        // Here the unwinder arrives with the exception in rax.
        ".Lcodeslab_landing:",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".Lcodeslab_personality:",
        "jmp {personality}",
        personality = sym super::super::exceptions::personality,
    )
}
