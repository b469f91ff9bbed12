//! How code for Apple's systems comes by its own copy of a variable, where another system keeps the copies.
//!
//! It calls the function at the start of the variable's descriptor with the address of that in x0. The address of the copy comes back in
//! x0, and every other register is as it was, but for x16 and x17. The linker leaves the address of a descriptor of AAELF64 in the second word,
//! whose function gives the distance from the thread pointer and changes as little.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aaelf64/aaelf64.rst> (§ "Thread Local Storage").

use crate::arch::machine::Builtin;
use codeslab::Protection::ReadExecute;

#[rustfmt::skip] // A table is read by columns.
pub(super) static APPLE: [Builtin; 1] = [
    Builtin { name: "_tlv_bootstrap", protection: ReadExecute, align: 16, content: address },
];

fn address() -> Vec<u8> {
    let words: [u32; 8] = [
        0xa9bf_7be1, // stp x1, x30, [sp, -16]!
        0xf940_0400, // ldr x0, [x0, 8]
        0xf940_0001, // ldr x1, [x0]
        0xd63f_0020, // blr x1
        0xd53b_d041, // mrs x1, tpidr_el0
        0x8b01_0000, // add x0, x0, x1
        0xa8c1_7be1, // ldp x1, x30, [sp], 16
        0xd65f_03c0, // ret
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}
