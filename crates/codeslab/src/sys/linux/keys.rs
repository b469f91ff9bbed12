//! Memory protection keys: the calls that allocate one and put pages under it. The register that lets a thread write is the processor's
//! (`arch::KeyRegister`). What a reader must know about them:
//!
//! - `pkey_alloc` sets the rights of the calling thread only. Threads inherit theirs from the one that starts them, so
//!   those that are older than the key have all access denied, as Linux has it at first for every key but 0. They can execute
//!   what is under the key and not read it. <https://man7.org/linux/man-pages/man7/pkeys.7.html>
//! - A signal handler begins with those initial rights, whatever the thread had, which gets its own back afterwards. So a
//!   handler that interrupts a copy cannot write either.
//! - The kernel minds a thread's rights where it reads and writes for the thread, and not for `/proc/self/mem` or ptrace.
//! - A key that is freed can be allocated again with rights that threads still have. So ours is never freed. (Whether other code freed
//!   it before, with rights left over in some thread, cannot be found out.)

use super::super::arch::{KeyRegister, Native, Processor};
use super::limits::last_refusal;
use super::mm::{self, pointer};
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use std::sync::atomic::{AtomicU32, Ordering};

/// The key that all of this process's code memory is under.
#[derive(Clone, Copy, Debug)]
struct Key {
    // Invariant: 1 to 15, allocated to this process, and never freed.
    number: u32,
    register: KeyRegister,
}

impl Key {
    /// Allocates it when it is first needed: a process has 15. A forked child inherits it.
    fn of_process() -> Result<Self, Refusal> {
        /// 0 until there is one; that key is every page's.
        static KEY: AtomicU32 = AtomicU32::new(0);
        let none = Refusal::foreseen("pkey_alloc", 0, Limit::Hardware);
        let register = Native::KEY_REGISTER.ok_or(none.clone())?;
        let number = match KEY.load(Ordering::Relaxed) {
            0 if !(register.is_in_use)() => return Err(none),
            0 => {
                let mine = pkey_alloc()?;
                let kept = KEY.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed);
                // SAFETY: another thread was faster; no page is under this key, and it gives this thread no right.
                let faster = kept.err().inspect(|_| unsafe { pkey_free(mine) });
                faster.unwrap_or(mine)
            }
            known => known,
        };
        Ok(Self { number, register })
    }
}

/// Makes reserved pages executable, and writable for threads that the key lets.
///
/// # Safety
/// - The range is part of a reservation of this process that is not released, and not mapped.
/// - No other thread changes mappings in it at the same time.
pub(super) unsafe fn map(at: Address, size: u64) -> Result<(), Refusal> {
    let key = Key::of_process()?;
    // SAFETY: the range is reserved, which is private memory without access, so no thread uses it; none changes its mappings; and
    // the key is allocated to this process.
    unsafe { mm::protect_with_key(at, size, key.number) }
}

/// Copies bytes to pages under the key. Afterwards this thread may read there, and not write, whatever it could before.
///
/// # Safety
/// - The range was mapped by [`map`], and is mapped until the function returns.
/// - No thread uses it meanwhile, and `bytes` lie outside of what is under the key.
pub(super) unsafe fn write(at: Address, bytes: &[u8]) -> Result<(), Refusal> {
    let key = Key::of_process()?;
    // SAFETY: the key is allocated to this process. The range is mapped with every right and under the one key there is; no thread
    // uses it, and `bytes` are not under the key.
    unsafe { (key.register.copy)(key.number, pointer(at), bytes) };
    Ok(())
}

/// `pkey_alloc`, with the right to read. <https://man7.org/linux/man-pages/man2/pkey_alloc.2.html>
fn pkey_alloc() -> Result<u32, Refusal> {
    const PKEY_DISABLE_WRITE: u32 = 2;
    // SAFETY: allocating a key changes rights only to pages under it, and there are none.
    let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, PKEY_DISABLE_WRITE) };
    u32::try_from(key).map_err(|_| {
        let refusal = last_refusal("pkey_alloc", 0);
        let limit = match refusal.errno {
            libc::ENOSPC => Limit::ProtectionKeys,
            _ => refusal.limit,
        };
        Refusal { limit, ..refusal }
    })
}

/// `pkey_free`. <https://man7.org/linux/man-pages/man2/pkey_free.2.html>
///
/// # Safety
/// - No page is under the key, and no thread has the right to write by it.
unsafe fn pkey_free(key: u32) {
    // SAFETY: whichever code is given the key next finds no page under it and no right to write left over.
    unsafe { libc::syscall(libc::SYS_pkey_free, key) };
}
