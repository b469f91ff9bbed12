//! The system calls that map memory: one thin function for each, with types in the place of flags and of values with two meanings.
//!
//! What makes mappings is split by what it can break. [`map`] and [`map_if_free`] put mappings where none are, so they are safe; [`map_over`]
//! (`MAP_FIXED`) replaces what it meets, and everything that changes, empties or removes mappings that exist is `unsafe` as well. The
//! other files of this port use these and call none of the system calls themselves.

use super::limits::last_refusal;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// What pages may be used for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access(i32);

impl Access {
    pub(super) const NONE: Self = Self(libc::PROT_NONE);
    pub(super) const READ_WRITE: Self = Self(libc::PROT_READ | libc::PROT_WRITE);
    /// Everything; pages get it together with a key only: see [`protect_with_key`].
    const ALL: Self = Self(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    /// What pages of this protection may be used for. Code that `is_guarded` can be branched to indirectly at landing pads only.
    pub(super) const fn of(protection: Protection, is_guarded: bool) -> Self {
        /// Of 64-bit Arm. <https://docs.kernel.org/arch/arm64/elf_hwcaps.html> (`HWCAP2_BTI`)
        const PROT_BTI: i32 = 0x10;
        match protection {
            Protection::ReadExecute if is_guarded => {
                Self(libc::PROT_READ | libc::PROT_EXEC | PROT_BTI)
            }
            Protection::ReadExecute => Self(libc::PROT_READ | libc::PROT_EXEC),
            Protection::ReadOnly => Self(libc::PROT_READ),
            Protection::ReadWrite => Self::READ_WRITE,
        }
    }
}

/// What is behind a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'f> {
    /// Private memory, of which nothing is set aside before it is touched.
    Private,
    /// A file from this offset on, which all of its mappings share.
    File(BorrowedFd<'f>, u64),
}

/// Maps wherever the system likes, or near `hint` if that is free.
pub(super) fn map(
    hint: Option<Address>,
    size: u64,
    access: Access,
    source: Source<'_>,
) -> Result<Address, Refusal> {
    let hint = hint.unwrap_or(Address::new(0));
    // SAFETY: without MAP_FIXED the system chooses addresses at which nothing is mapped.
    unsafe { mmap(hint, size, access, source, 0) }
}

/// Maps exactly there, unless anything is mapped there already.
pub(super) fn map_if_free(
    at: Address,
    size: u64,
    access: Access,
    source: Source<'_>,
) -> Result<(), Refusal> {
    // SAFETY: with this flag the system maps where nothing is mapped, or refuses; kernels before 4.17 do not know it and choose
    // addresses at which nothing is mapped.
    let got = unsafe { mmap(at, size, access, source, libc::MAP_FIXED_NOREPLACE) }?;
    if got == at {
        return Ok(());
    }
    // SAFETY: an old kernel took the address for a hint and gave this range instead, just now: no other code knows its address.
    let _ = unsafe { unmap(got, size) };
    Err(Refusal {
        call: "mmap",
        errno: libc::EEXIST,
        size,
        limit: Limit::Occupied,
    })
}

/// Maps exactly there, in place of what is mapped there now.
///
/// # Safety
/// - The range is part of a reservation of this process that is not released.
/// - No other thread changes mappings in it at the same time.
/// - No thread uses what is mapped there now, at the same time or later.
pub(super) unsafe fn map_over(
    at: Address,
    size: u64,
    access: Access,
    source: Source<'_>,
) -> Result<(), Refusal> {
    // SAFETY: what MAP_FIXED replaces is part of a reservation of ours, which no thread changes or uses meanwhile, nor what was there later.
    unsafe { mmap(at, size, access, source, libc::MAP_FIXED) }.map(drop)
}

/// mmap. <https://man7.org/linux/man-pages/man2/mmap.2.html>
///
/// # Safety
/// - With `MAP_FIXED` in `flags`: the three obligations of [`map_over`].
unsafe fn mmap(
    at: Address,
    size: u64,
    access: Access,
    source: Source<'_>,
    flags: i32,
) -> Result<Address, Refusal> {
    const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let (descriptor, offset, kind) = match source {
        Source::Private => (-1, 0, PRIVATE),
        Source::File(file, offset) => (file.as_raw_fd(), offset, libc::MAP_SHARED),
    };
    let (hint, length) = (at.value() as *mut libc::c_void, size as usize);
    let (flags, offset) = (flags | kind, offset.cast_signed());
    // SAFETY: with MAP_FIXED, what is replaced belongs to a reservation of ours and is neither used nor changed by another thread; without
    // it, nothing is replaced. The descriptor, if there is one, is borrowed and so open.
    let got = unsafe { libc::mmap(hint, length, access.0, flags, descriptor, offset) };
    if got == libc::MAP_FAILED {
        Err(last_refusal("mmap", size))
    } else {
        Ok(Address::new(got as u64))
    }
}

/// munmap; nothing happens to a range of no bytes. <https://man7.org/linux/man-pages/man2/munmap.2.html>
///
/// # Safety
/// - The range was mapped by this process for codeslab, which has not unmapped it.
/// - No thread uses it, at the same time or later.
pub(super) unsafe fn unmap(at: Address, size: u64) -> Result<(), Refusal> {
    if size == 0 {
        return Ok(());
    }
    // SAFETY: the range is mapped and codeslab's own, and no thread uses it from now on.
    let answer = unsafe { libc::munmap(at.value() as *mut libc::c_void, size as usize) };
    refused_unless_zero("munmap", size, answer.into())
}

/// mprotect. <https://man7.org/linux/man-pages/man2/mprotect.2.html>
///
/// # Safety
/// - The range is private memory in a reservation of this process that is not released, or part of a view.
/// - No other thread changes mappings in it at the same time.
/// - No thread uses it in a way that `access` forbids, at the same time or later.
pub(super) unsafe fn protect(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    let start = at.value() as *mut libc::c_void;
    // SAFETY: the range is private memory or a view of ours, whose mappings no other thread changes, and which no thread uses otherwise
    // than it may afterwards.
    let answer = unsafe { libc::mprotect(start, size as usize, access.0) };
    refused_unless_zero("mprotect", size, answer.into())
}

/// `pkey_mprotect`: gives pages every right and puts them under a key, in one step, so that they are never writable without being under
/// the key. <https://man7.org/linux/man-pages/man2/pkey_mprotect.2.html>
///
/// # Safety
/// - The range is part of a reservation of this process that is not released, and private memory.
/// - No other thread changes mappings in it at the same time, and no thread uses it.
/// - `key` is allocated to this process.
pub(super) unsafe fn protect_with_key(at: Address, size: u64, key: u32) -> Result<(), Refusal> {
    let call = libc::SYS_pkey_mprotect;
    // SAFETY: the range is reserved private memory of ours, whose mappings no other thread changes and which no thread uses; the key is
    // this process's.
    let answer = unsafe { libc::syscall(call, at.value(), size, Access::ALL.0, key) };
    refused_unless_zero("pkey_mprotect", size, answer)
}

/// What the system is told about memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Advice {
    /// Forked children do not get it.
    NotForChildren,
    /// Forked children get it, zeroed (Linux 4.14).
    ZeroedForChildren,
    /// What private memory holds is not needed any more: it reads as zero afterwards.
    Discard,
}

/// madvise. <https://man7.org/linux/man-pages/man2/madvise.2.html>
///
/// # Safety
/// - The range is mapped by this process for codeslab until the function returns.
/// - With [`Advice::Discard`]: no thread uses it at the same time, nor relies later on what it holds.
/// - With the advice about children: code of ours that runs in a child copes with it.
pub(super) unsafe fn advise(at: Address, size: u64, advice: Advice) -> Result<(), Refusal> {
    let advice = match advice {
        Advice::NotForChildren => libc::MADV_DONTFORK,
        Advice::ZeroedForChildren => libc::MADV_WIPEONFORK,
        Advice::Discard => libc::MADV_DONTNEED,
    };
    let start = at.value() as *mut libc::c_void;
    // SAFETY: the range is mapped and ours; what is discarded is neither used nor relied on, and children cope with what they get.
    let answer = unsafe { libc::madvise(start, size as usize, advice) };
    refused_unless_zero("madvise", size, answer.into())
}

/// mseal (Linux 6.10). Nothing happens to a range of no bytes, which tells whether the kernel knows the call.
/// <https://docs.kernel.org/userspace-api/mseal.html>
///
/// # Safety
/// - The range is mapped by this process for codeslab, or has no bytes.
/// - Its owner does not rely on unmapping, replacing or protecting it later.
pub(super) unsafe fn seal(at: Address, size: u64) -> Result<(), Refusal> {
    /// The same on every processor.
    const SYS_MSEAL: libc::c_long = 462;
    // SAFETY: the range is ours or empty; the call touches no memory, and what it forbids later is not relied on.
    let answer = unsafe { libc::syscall(SYS_MSEAL, at.value(), size, 0) };
    refused_unless_zero("mseal", size, answer)
}

/// The pointer to an address at which something is mapped.
pub(super) fn pointer(at: Address) -> NonNull<u8> {
    NonNull::new(at.value() as *mut u8).expect("the system maps nothing at zero")
}

pub(super) fn refused_unless_zero(
    call: &'static str,
    size: u64,
    answer: libc::c_long,
) -> Result<(), Refusal> {
    match answer {
        0 => Ok(()),
        _ => Err(last_refusal(call, size)),
    }
}
