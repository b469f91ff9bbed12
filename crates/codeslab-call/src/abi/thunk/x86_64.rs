//! Thunks for System V AMD64: integers in rdi, rsi, rdx, rcx, r8, r9, then on the stack; floats in xmm0 to xmm7.
//!
//! The caller passes its receiver in rdi and the number in esi, so the callee's fifth and sixth integer lie on the stack above
//! the return address, where the thunk loads them; a seventh would have to be moved there, which a jump cannot. rax, r10 and r11
//! are free between caller and callee. al tells a variadic callee that vector registers may hold arguments.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.

use super::{REFUSED, TABLE};

/// The most integers that a thunk moves.
pub(crate) const INTEGERS: Option<u8> = Some(6);

/// Floats that a thunk leaves where they are.
pub(crate) const FLOATS: u8 = 8;

/// How each integer argument gets into its register.
const MOVES: [&[u8]; 6] = [
    &[0x48, 0x89, 0xd7],             // mov rdi, rdx
    &[0x48, 0x89, 0xce],             // mov rsi, rcx
    &[0x4c, 0x89, 0xc2],             // mov rdx, r8
    &[0x4c, 0x89, 0xc9],             // mov rcx, r9
    &[0x4c, 0x8b, 0x44, 0x24, 0x08], // mov r8, [rsp + 8]
    &[0x4c, 0x8b, 0x4c, 0x24, 0x10], // mov r9, [rsp + 16]
];

/// A thunk for that many integers, which finds the address of its table behind `table`.
pub(crate) fn thunk(table: u64, integers: u8) -> Vec<u8> {
    let mut code = vec![0x89, 0xf0]; // mov eax, esi
    let moves = MOVES.iter().take(usize::from(integers));
    moves.for_each(|bytes| code.extend_from_slice(bytes));
    code.extend([0x49, 0xba]); // mov r10, table
    code.extend(table.to_le_bytes());
    code.extend([0x4d, 0x8b, 0x5a, TABLE]); // mov r11, [r10 + TABLE]
    code.extend([0x4d, 0x8b, 0x1c, 0xc3]); // mov r11, [r11 + rax * 8]
    code.extend([0xb0, FLOATS]); // mov al, 8
    code.extend([0x41, 0xff, 0xe3]); // jmp r11
    code
}

/// Where thunks jump instead of a callee that is gone: says so, and returns zero of every type.
pub(crate) fn refusal() -> Vec<u8> {
    let mut code = vec![0x41, 0xc6, 0x42, REFUSED, 0x01]; // mov byte ptr [r10 + REFUSED], 1
    code.extend([0x31, 0xc0]); // xor eax, eax
    code.extend([0x0f, 0x57, 0xc0]); // xorps xmm0, xmm0
    code.push(0xc3); // ret
    code
}
