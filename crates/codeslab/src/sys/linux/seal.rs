//! Sealing: what nobody in this process can undo.
//!
//! - Seals of memory files close them to calls and to new mappings, whoever makes them; views that exist go on working. With
//!   `F_SEAL_FUTURE_WRITE` (Linux 5.1) no hole can be punched either, but memory can be provided.
//!   <https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html>
//! - `mseal` (Linux 6.10) closes mappings to munmap, mremap, mprotect, and to mmap in their place. There is no way back.
//!   Sealed neighbours still merge. <https://docs.kernel.org/userspace-api/mseal.html>

use super::{Address, Limit, RawFd, Refusal, Seal, last_refusal};

pub(super) fn file(file: RawFd, seal: Seal) -> Result<(), Refusal> {
    let size = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    let seals = match seal {
        Seal::Writes => size | libc::F_SEAL_FUTURE_WRITE,
        Seal::Size | Seal::Mappings => size,
    };
    // SAFETY: the descriptor is open, and seals touch no memory.
    if unsafe { libc::fcntl(file, libc::F_ADD_SEALS, seals) } == 0 {
        return Ok(());
    }
    let refusal = last_refusal("fcntl(F_ADD_SEALS)", 0);
    // That is what a kernel answers that does not know a seal.
    let limit = match refusal.errno {
        libc::EINVAL => Limit::Unsupported,
        _ => refusal.limit,
    };
    Err(Refusal { limit, ..refusal })
}

/// mseal. Nothing happens to a range of no bytes, which tells whether the kernel knows the call.
///
/// # Safety
/// The range is mapped, and its owner does without unmapping it.
pub(super) unsafe fn mapping(at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: the caller's obligations; it changes nothing but what later calls may do.
    if unsafe { libc::syscall(libc::SYS_mseal, at.value(), size, 0) } == 0 {
        Ok(())
    } else {
        Err(last_refusal("mseal", size))
    }
}
