//! Closures for Microsoft x64: the first four arguments arrive by position, in rcx, rdx, r8, r9 or, if they are floats, in xmm0 to xmm3; the
//! rest above 32 bytes that belong to the callee, above the return address. r10 and r11 are free between caller and callee.
//!
//! There is no table that tells unwinders of this code. Nothing unwinds through it, since the handler does not.
//!
//! <https://learn.microsoft.com/en-us/cpp/build/x64-calling-convention>

pub(crate) use super::jump_x86_64::{CLOSURE_BYTES, closure};

/// Four positions.
pub(crate) const REGISTER_WORDS: usize = 4;

/// The floats of all positions are stored behind the integers of all positions.
pub(crate) const FLOATS_BEHIND: usize = 4;

/// Calls `handler(word, registers, stack)`: rax is what it returns, and xmm0 what it leaves in the third word.
pub(crate) fn trampoline(handler: u64) -> Vec<u8> {
    let mut code = vec![
        0x55, // push rbp
        0x48, 0x89, 0xe5, // mov rbp, rsp
        0x48, 0x83, 0xec, 0x60, // sub rsp, 96
        0x48, 0x89, 0x4c, 0x24, 0x20, // mov [rsp + 32], rcx
        0x48, 0x89, 0x54, 0x24, 0x28, // mov [rsp + 40], rdx
        0x4c, 0x89, 0x44, 0x24, 0x30, // mov [rsp + 48], r8
        0x4c, 0x89, 0x4c, 0x24, 0x38, // mov [rsp + 56], r9
    ];
    for register in 0..4_u8 {
        // movsd [rsp + 64 + 8 * register], xmmREGISTER
        let place = 64 + 8 * register;
        code.extend([0xf2, 0x0f, 0x11, 0x44 | register << 3, 0x24, place]);
    }
    code.extend([0x4c, 0x89, 0xd1]); // mov rcx, r10
    code.extend([0x48, 0x8d, 0x54, 0x24, 0x20]); // lea rdx, [rsp + 32]
    code.extend([0x4c, 0x8d, 0x45, 0x30]); // lea r8, [rbp + 48]
    code.extend([0x48, 0xb8]); // mov rax, handler
    code.extend(handler.to_le_bytes());
    code.extend([0xff, 0xd0]); // call rax
    code.extend([0xf2, 0x0f, 0x10, 0x44, 0x24, 0x30]); // movsd xmm0, [rsp + 48]
    code.extend([0xc9, 0xc3]); // leave; ret
    code
}
