//! Memory protection keys. What a reader must know about them:
//!
//! - Every page is under one of 16 keys, and every thread has a register, PKRU, with two bits for each key: one denies all
//!   access, one denies writing. Loads and stores are checked against it, *instruction fetches are not*.
//!   Changing it takes no system call: `WRPKRU`. <https://man7.org/linux/man-pages/man7/pkeys.7.html>, Intel SDM volume 3, §4.6.2.
//! - `pkey_alloc` sets the bits of the calling thread only. Threads inherit the register from the one that starts them, so
//!   those that are older than the key have all access denied, as Linux has it at first for every key but 0. They can execute
//!   what is under the key and not read it.
//! - A signal handler begins with that initial register, whatever the thread had, which gets it back afterwards. So a
//!   handler that interrupts a copy cannot write either.
//! - The kernel minds the register where it reads and writes for the thread, and not where somebody writes to
//!   `/proc/self/mem` or through ptrace.
//! - A key that is freed can be allocated again with rights that threads still have. So ours is never freed. (That somebody
//!   else freed it before, with rights left over in some thread, is what nobody can find out.)
//! - Without keys in the processor, or with `nopku`, `WRPKRU` is an invalid instruction. A value of [`Key`] means that it is not.

use super::{Limit, Refusal, last_refusal, pointer};
use crate::model::address::Address;
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Deny a key's pages to be written; the bit beside it denies all access.
const DENY_WRITING: u32 = 2;
const BOTH: u32 = 3;

/// The key that all of this process's code memory is under.
#[derive(Clone, Copy, Debug)]
// Invariant: 1 to 15, allocated, and never freed.
pub(super) struct Key(u32);

impl Key {
    /// Allocates it when it is first needed: a process has 15. A forked child inherits it.
    pub(super) fn of_process() -> Result<Self, Refusal> {
        /// 0 until there is one; that key is everybody's.
        static KEY: AtomicU32 = AtomicU32::new(0);
        let known = KEY.load(Ordering::Relaxed);
        if known != 0 {
            return Ok(Self(known));
        }
        let mine = Self::allocate()?;
        match KEY.compare_exchange(0, mine.0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(mine),
            Err(theirs) => {
                // SAFETY: another thread was faster. Nothing is under our key, and it gives this thread no right.
                unsafe { libc::syscall(libc::SYS_pkey_free, mine.0) };
                Ok(Self(theirs))
            }
        }
    }

    fn allocate() -> Result<Self, Refusal> {
        if !are_in_use() {
            return Err(Refusal::foreseen("pkey_alloc", 0, Limit::Hardware));
        }
        // SAFETY: allocating a key changes the rights to nothing that exists.
        let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, DENY_WRITING) };
        u32::try_from(key).map(Self).map_err(|_| {
            let refusal = last_refusal("pkey_alloc", 0);
            let limit = match refusal.errno {
                libc::ENOSPC => Limit::ProtectionKeys,
                _ => refusal.limit,
            };
            Refusal { limit, ..refusal }
        })
    }

    /// Makes reserved pages executable, and writable for whom the key lets.
    ///
    /// # Safety
    /// The range is reserved, not mapped, and the caller's.
    pub(super) unsafe fn map(self, at: Address, size: u64) -> Result<(), Refusal> {
        let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // Rights and key change in one step, so the pages are never writable without being under the key.
        // SAFETY: the caller's obligations.
        let failed =
            unsafe { libc::syscall(libc::SYS_pkey_mprotect, at.value(), size, rights, self.0) }
                != 0;
        if failed {
            Err(last_refusal("pkey_mprotect", size))
        } else {
            Ok(())
        }
    }

    /// Copies bytes to pages under the key. Afterwards this thread may read there, and not write, whatever it could before.
    ///
    /// # Safety
    /// The range is under this key, nobody uses it, and `bytes` lie elsewhere.
    pub(super) unsafe fn write(self, at: Address, bytes: &[u8]) {
        let (to, from) = (pointer(at), NonNull::from(bytes).cast());
        // SAFETY: there is a key.
        let others = unsafe { rights() } & !(BOTH << self.shift());
        // SAFETY: there is a key. Other keys' rights stay as they are.
        unsafe { set_rights(others) };
        // SAFETY: the caller's obligations; this thread may write there now.
        unsafe { to.copy_from_nonoverlapping(from, bytes.len()) };
        // SAFETY: as above.
        unsafe { set_rights(others | DENY_WRITING << self.shift()) };
    }

    /// Where in the register its two bits are.
    const fn shift(self) -> u32 {
        2 * self.0
    }
}

/// Whether the processor has protection keys and the system uses them.
#[allow(
    unused_unsafe,
    reason = "the intrinsics are safe in newer versions of the standard library"
)]
fn are_in_use() -> bool {
    const STRUCTURED_FEATURES: u32 = 7;
    /// The processor has them; the system does, too.
    const PKU_AND_OSPKE: u32 = 0b11 << 3;
    // SAFETY: every x86-64 processor has the instruction.
    let last = unsafe { __cpuid(0) }.eax;
    // SAFETY: likewise.
    let features = unsafe { __cpuid_count(STRUCTURED_FEATURES, 0) }.ecx;
    last >= STRUCTURED_FEATURES && features & PKU_AND_OSPKE == PKU_AND_OSPKE
}

/// The rights of this thread.
///
/// # Safety
/// There is a key.
unsafe fn rights() -> u32 {
    let rights;
    // SAFETY: the caller's obligation. It reads one register and zeroes another.
    unsafe {
        asm!("rdpkru", in("ecx") 0, out("eax") rights, out("edx") _, options(nomem, nostack));
    };
    rights
}

/// Sets the rights of this thread. No access moves past it: the processor sees to that, and the compiler, since `nomem` is
/// not among the options.
///
/// # Safety
/// There is a key, and the thread needs no right that it loses.
unsafe fn set_rights(rights: u32) {
    // SAFETY: the caller's obligations.
    unsafe { asm!("wrpkru", in("eax") rights, in("ecx") 0, in("edx") 0, options(nostack)) };
}
