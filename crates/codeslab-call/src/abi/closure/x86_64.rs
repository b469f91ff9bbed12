//! Closures for System V AMD64: integers arrive in rdi, rsi, rdx, rcx, r8, r9, floats in xmm0 to xmm7, the rest above the return
//! address. r10 and r11 are free between caller and callee, and rbp keeps the stack pointer, so that unwinders by frame pointers
//! find their way.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.

pub(crate) use super::jump_x86_64::{CLOSURE_BYTES, closure};

/// Six integers and eight floats.
pub(crate) const REGISTER_WORDS: usize = 14;

/// Floats have words of their own.
pub(crate) const FLOATS_BEHIND: usize = 0;

/// Calls `handler(word, registers, stack)`: rax is what it returns, and rdx, xmm0 and xmm1 what it leaves in the second to fourth word.
pub(crate) fn trampoline(handler: u64) -> Vec<u8> {
    let mut code = vec![
        0x55, // push rbp
        0x48, 0x89, 0xe5, // mov rbp, rsp
        0x48, 0x83, 0xec, 0x70, // sub rsp, 112
        0x48, 0x89, 0x3c, 0x24, // mov [rsp], rdi
        0x48, 0x89, 0x74, 0x24, 0x08, // mov [rsp + 8], rsi
        0x48, 0x89, 0x54, 0x24, 0x10, // mov [rsp + 16], rdx
        0x48, 0x89, 0x4c, 0x24, 0x18, // mov [rsp + 24], rcx
        0x4c, 0x89, 0x44, 0x24, 0x20, // mov [rsp + 32], r8
        0x4c, 0x89, 0x4c, 0x24, 0x28, // mov [rsp + 40], r9
    ];
    for register in 0..8_u8 {
        // movsd [rsp + 48 + 8 * register], xmmREGISTER
        code.extend([
            0xf2,
            0x0f,
            0x11,
            0x44 | register << 3,
            0x24,
            48 + 8 * register,
        ]);
    }
    code.extend([0x4c, 0x89, 0xd7]); // mov rdi, r10
    code.extend([0x48, 0x89, 0xe6]); // mov rsi, rsp
    code.extend([0x48, 0x8d, 0x55, 0x10]); // lea rdx, [rbp + 16]
    code.extend([0x48, 0xb8]); // mov rax, handler
    code.extend(handler.to_le_bytes());
    code.extend([0xff, 0xd0]); // call rax
    code.extend([0x48, 0x8b, 0x54, 0x24, 0x08]); // mov rdx, [rsp + 8]
    code.extend([0xf2, 0x0f, 0x10, 0x44, 0x24, 0x10]); // movsd xmm0, [rsp + 16]
    code.extend([0xf2, 0x0f, 0x10, 0x4c, 0x24, 0x18]); // movsd xmm1, [rsp + 24]
    code.extend([0xc9, 0xc3]); // leave; ret
    code
}
