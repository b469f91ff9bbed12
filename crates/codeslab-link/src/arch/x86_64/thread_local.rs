//! How code for Apple's systems comes by its own copy of a variable, where another system keeps the copies.
//!
//! It calls the function at the start of the variable's descriptor with the address of that in rdi. The address of the copy comes back in
//! rax, and every other register is as it was. The linker leaves the address of a TLS descriptor of System V's in the second word, whose
//! function gives the distance from the thread pointer and keeps all other registers, too; but when a thread has no copy yet, some C
//! libraries make one without a thought for xmm0 to xmm15. So these are saved. The upper parts of larger registers are not.
//!
//! Source: Oliva and Araujo, "Speeding Up Thread-Local Storage Access in Dynamic Libraries"
//! (<https://www.fsfla.org/~lxoliva/writeups/TLS/RFC-TLSDESC-x86.txt>).

use crate::arch::machine::Builtin;
use codeslab::Protection::ReadExecute;

#[rustfmt::skip] // A table is read by columns.
pub(super) static APPLE: [Builtin; 1] = [
    Builtin { name: "_tlv_bootstrap", protection: ReadExecute, align: 16, content: address },
];

/// `movups`, from memory or to it.
const LOAD: u8 = 0x10;
const STORE: u8 = 0x11;

fn address() -> Vec<u8> {
    let mut code = vec![0x51]; // push rcx
    code.extend([0x48, 0x8b, 0x47, 0x08]); // mov rax, [rdi + 8]
    code.extend([0x48, 0x81, 0xec, 0, 1, 0, 0]); // sub rsp, 256
    code.extend((0..16).flat_map(|register| moved(STORE, register)));
    code.extend([0xff, 0x10]); // call [rax]
    code.extend((0..16).flat_map(|register| moved(LOAD, register)));
    code.extend([0x48, 0x81, 0xc4, 0, 1, 0, 0]); // add rsp, 256
    code.extend([0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0]); // add rax, fs:[0]
    code.extend([0x59, 0xc3]); // pop rcx; ret
    code
}

/// `movups` of xmmREGISTER and [rsp + 16 * REGISTER].
fn moved(operation: u8, register: u8) -> [u8; 9] {
    let prefix = 0x40 | (register >> 3) << 2;
    [
        prefix,
        0x0f,
        operation,
        0x84 | (register & 7) << 3,
        0x24,
        register << 4,
        0,
        0,
        0,
    ]
}
