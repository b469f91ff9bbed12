//! Thunks for AAPCS64: integers in x0 to x7, then on the stack, eight bytes each; floats in v0 to v7.
//!
//! The caller passes its receiver in x0 and the number in w1, so the callee's seventh and eighth integer lie on the stack, where
//! the thunk loads them; a ninth would have to be moved there, which a jump cannot. x15, x16 and x17 are free between caller
//! and callee.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8.

use super::{REFUSED, TABLE};

/// The most integers that a thunk moves.
pub(crate) const INTEGERS: Option<u8> = Some(8);

/// Floats that a thunk leaves where they are.
pub(crate) const FLOATS: u8 = 8;

/// Integers that arrive in registers, behind the receiver and the number.
const IN_REGISTERS: u32 = 6;

/// A thunk for that many integers, which finds the address of its table behind `table`.
pub(crate) fn thunk(table: u64, integers: u8) -> Vec<u8> {
    let mut words = vec![0x2a01_03f0]; // mov w16, w1
    words.extend((0..u32::from(integers)).map(move_down));
    // The literal begins at a multiple of eight, behind this instruction and three more.
    let literal = (words.len() + 4).next_multiple_of(2) - words.len();
    words.push(0x5800_000f | (literal as u32) << 5); // ldr x15, table
    words.push(0xf940_01f1 | u32::from(TABLE / 8) << 10); // ldr x17, [x15, TABLE]
    words.push(0xf870_5a31); // ldr x17, [x17, w16, uxtw 3]
    words.push(0xd61f_0220); // br x17
    if words.len() % 2 == 1 {
        words.push(0xd420_0000); // brk
    }
    let mut code: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    code.extend(table.to_le_bytes());
    code
}

/// How an integer argument gets into its register.
fn move_down(index: u32) -> u32 {
    if index < IN_REGISTERS {
        0xaa00_03e0 | (index + 2) << 16 | index // mov xI, x(I + 2)
    } else {
        0xf940_03e0 | (index - IN_REGISTERS) << 10 | index // ldr xI, [sp, 8 * (I - 6)]
    }
}

/// Where thunks jump instead of a callee that is gone: says so, and returns zero of every type.
pub(crate) fn refusal() -> Vec<u8> {
    let words = [
        0x5280_0030,                            // mov w16, 1
        0x3900_01f0 | u32::from(REFUSED) << 10, // strb w16, [x15, REFUSED]
        0xaa1f_03e0,                            // mov x0, xzr
        0x2f00_e400,                            // movi d0, 0
        0xd65f_03c0,                            // ret
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}
