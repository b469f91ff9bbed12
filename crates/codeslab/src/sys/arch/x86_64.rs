//! x86-64. What a reader must know about it:
//!
//! - Caches are coherent by physical address, those of instructions too, whichever address a store went through (AMD64
//!   Architecture Programmer's Manual, volume 2, publication 24593, §7.6.1). What a processor had fetched ahead is another matter: Intel SDM volume 3,
//!   §10.1.3, asks for a serializing instruction where code is replaced under a thread that runs on. Codeslab never does that: an address is
//!   told after it was written, which orders the stores before the fetches, and where a freed address is used again the embedder's own
//!   hand-over is what there is. <https://www.intel.com/sdm>
//! - Protection keys: every page is under one of 16, and every thread has a register, PKRU, with two bits for each key: the lower denies all
//!   access, the upper denies writing. Loads and stores are checked against it, *instruction fetches are not*. `WRPKRU` changes it without a
//!   system call. Intel SDM volume 3, §4.6.2.
//! - Without keys in the processor, or where the system does not use them, `RDPKRU` and `WRPKRU` are invalid instructions.

use super::{Address, Architecture, Branch, KeyRegister, NonNull, Processor};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::atomic::{Ordering, compiler_fence};

pub(in crate::sys) struct Native;

impl Processor for Native {
    const ARCHITECTURE: Option<Architecture> = Some(Architecture::X86_64);
    /// endbr64; mov eax, 42; ret. The probe calls it through a pointer.
    const ANSWER: &'static [u8] = &[0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 42, 0, 0, 0, 0xc3];
    const FETCHES_ARE_COHERENT: bool = true;
    const FETCHES_AHEAD_OF_OTHERS: bool = false;
    // Intel's indirect branch tracking is for whole threads, and no system switches it on for programs.
    const HAS_GUARDED_PAGES: bool = false;
    const KEY_REGISTER: Option<KeyRegister> = Some(KeyRegister {
        is_in_use: keys_are_in_use,
        copy: copy_under_key,
    });

    /// endbr64; jmp *[rip + displacement]; int3
    fn branch_through(at: Address, pointer: Address) -> Option<Branch> {
        const END: u64 = 10;
        let end = Address::new(at.value() + END);
        let displacement = i32::try_from(pointer.offset_from(end)).ok()?;
        let [a, b, c, d] = displacement.to_le_bytes();
        let (endbr64, jmp) = ([0xf3, 0x0f, 0x1e, 0xfa], [0xff, 0x25]);
        let mut code = [0xcc; size_of::<Branch>()];
        code[..4].copy_from_slice(&endbr64);
        code[4..6].copy_from_slice(&jmp);
        code[6..10].copy_from_slice(&[a, b, c, d]);
        Some(code)
    }

    unsafe fn synchronize_instructions(_ranges: &[(Address, u64)]) {
        // All that is left to do is to keep the compiler from moving the stores.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Denies a key's pages to be written; the bit below it denies all access.
const DENY_WRITING: u32 = 0b10;
const BOTH: u32 = 0b11;

/// Whether the processor has protection keys and the system switched them on.
#[allow(unused_unsafe, reason = "newer standard libraries have them safe")]
fn keys_are_in_use() -> bool {
    const STRUCTURED_FEATURES: u32 = 7;
    /// The processor has them; the system does, too.
    const PKU_AND_OSPKE: u32 = 0b11 << 3;
    // SAFETY: every x86-64 processor has the instruction.
    let last = unsafe { __cpuid(0) }.eax;
    // SAFETY: every x86-64 processor has the instruction, and answers to leaves that it does not know as to its last.
    let features = unsafe { __cpuid_count(STRUCTURED_FEATURES, 0) }.ecx;
    last >= STRUCTURED_FEATURES && features & PKU_AND_OSPKE == PKU_AND_OSPKE
}

/// [`KeyRegister::copy`].
///
/// # Safety
/// Those of [`KeyRegister::copy`].
unsafe fn copy_under_key(key: u32, to: NonNull<u8>, bytes: &[u8]) {
    let (shift, from) = (2 * key, NonNull::from(bytes).cast());
    // SAFETY: the system allocated a key, so the register is in use.
    let others = unsafe { rights() } & !(BOTH << shift);
    // SAFETY: the register is in use, since there is a key. The rights by other keys stay, and this one's are only widened.
    unsafe { set_rights(others) };
    // SAFETY: the pages behind `to` are mapped and writable but for the key, whose rights this thread has now; no other thread uses
    // them, and `bytes` lie outside of what is under the key, so the two do not overlap.
    unsafe { to.copy_from_nonoverlapping(from, bytes.len()) };
    // SAFETY: the register is in use, since there is a key. The right to write is lost, which this thread had for the copy alone.
    unsafe { set_rights(others | DENY_WRITING << shift) };
}

/// The rights of this thread, two bits for each key.
///
/// # Safety
/// - The register is in use.
unsafe fn rights() -> u32 {
    let rights;
    // SAFETY: the register is in use, so the instruction is valid. It takes zero in ecx, writes eax and edx, and touches neither memory
    // nor stack.
    unsafe {
        asm!("rdpkru", in("ecx") 0, out("eax") rights, out("edx") _, options(nomem, nostack));
    };
    rights
}

/// Sets the rights of this thread. No access moves past it: the processor sees to that, and the compiler, since `nomem` is
/// not among the options.
///
/// # Safety
/// - The register is in use.
/// - This thread makes no access afterwards that `rights` deny.
unsafe fn set_rights(rights: u32) {
    // SAFETY: the register is in use, so the instruction is valid. It takes zero in ecx and edx, and changes no register that the
    // compiler uses, no memory and no stack.
    unsafe { asm!("wrpkru", in("eax") rights, in("ecx") 0, in("edx") 0, options(nostack)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_goes_through_the_word_that_it_is_made_for() {
        let code = Native::branch_through(Address::new(0x1000), Address::new(0x2008)).unwrap();
        assert_eq!(code[..6], [0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25]);
        assert_eq!(code[6..10], (0x2008_i32 - 0x100a).to_le_bytes());
        let back = Native::branch_through(Address::new(0x1000), Address::new(0x10)).unwrap();
        assert_eq!(back[6..10], (0x10_i32 - 0x100a).to_le_bytes());
    }
}
