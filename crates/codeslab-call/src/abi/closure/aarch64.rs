//! Closures for AAPCS64, and for Apple's convention, which lays out the stack differently: integers arrive in x0 to x7, floats in v0 to v7, the
//! address of a result in x8, the rest where the stack pointer is. x16 and x17 are free between caller and callee.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8.

/// Bytes of a closure, of which each begins at a multiple.
pub(crate) const CLOSURE_BYTES: usize = 32;

/// Eight integers, eight floats and x8.
pub(crate) const REGISTER_WORDS: usize = 17;

/// Floats have words of their own.
pub(crate) const FLOATS_BEHIND: usize = 0;

/// Loads the word and goes to the trampoline.
pub(crate) fn closure(word: u64, trampoline: u64) -> Vec<u8> {
    let code = [
        0x5800_0090, // ldr x16, word
        0x5800_00b1, // ldr x17, trampoline
        0xd61f_0220, // br x17
        0xd420_0000, // brk
    ];
    let mut code: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
    code.extend(word.to_le_bytes());
    code.extend(trampoline.to_le_bytes());
    code
}

/// Calls `handler(word, registers, stack)`: x0 is what it returns, and x1 and d0 to d3 what it leaves in the second to sixth word.
pub(crate) fn trampoline(handler: u64) -> Vec<u8> {
    let mut code: Vec<u32> = vec![
        0xa9bf_7bfd, // stp x29, x30, [sp, -16]!
        0x9100_03fd, // mov x29, sp
        0xd102_43ff, // sub sp, sp, 144
        0xf900_43e8, // str x8, [sp, 128]
    ];
    for pair in 0..4 {
        let (first, second, offset) = (2 * pair, 2 * pair + 1, 2 * pair);
        // stp xFIRST, xSECOND, [sp, 8 * OFFSET]
        code.push(0xa900_03e0 | offset << 15 | second << 10 | first);
    }
    for pair in 0..4 {
        let (first, second, offset) = (2 * pair, 2 * pair + 1, 2 * pair + 8);
        // stp dFIRST, dSECOND, [sp, 8 * OFFSET]
        code.push(0x6d00_03e0 | offset << 15 | second << 10 | first);
    }
    code.extend([
        0xaa10_03e0, // mov x0, x16
        0x9100_03e1, // mov x1, sp
        0x9100_43a2, // add x2, x29, 16
        0x5800_0131, // ldr x17, handler: nine instructions ahead
        0xd63f_0220, // blr x17
        0xf940_07e1, // ldr x1, [sp, 8]
        0x6d41_07e0, // ldp d0, d1, [sp, 16]
        0x6d42_0fe2, // ldp d2, d3, [sp, 32]
        0x9100_03bf, // mov sp, x29
        0xa8c1_7bfd, // ldp x29, x30, [sp], 16
        0xd65f_03c0, // ret
        0xd420_0000, // brk
    ]);
    debug_assert!(code.len().is_multiple_of(2), "the literal is aligned");
    let mut code: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
    code.extend(handler.to_le_bytes());
    code
}
