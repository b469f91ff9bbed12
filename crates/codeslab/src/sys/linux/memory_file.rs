//! Memory files are `memfd`s. Neighbouring mappings of one with contiguous offsets and equal rights merge, so a slab that grows in steps
//! stays one mapping.
//!
//! Seals of memory files close them to calls and to new mappings, by whichever process; views that exist go on working. With
//! `F_SEAL_FUTURE_WRITE` (Linux 5.1) no hole can be punched either, but memory can be provided.
//! <https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html>

use super::descriptors::Descriptors;
use super::limits::{check_file_size, last_refusal, refusal};
use super::mm::{self, Access, Advice, Source, pointer};
use super::process;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::sys::{MemoryFile, Seal};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Memfd {
    descriptors: Descriptors,
    /// Whether code that is mapped of it is guarded.
    is_guarded: bool,
}

impl Memfd {
    pub(super) fn create(size: u64, is_guarded: bool) -> Result<Self, Refusal> {
        check_file_size("ftruncate", size, size)?;
        let descriptors = Descriptors::open(memfd)?;
        // <https://man7.org/linux/man-pages/man2/ftruncate.2.html>
        let made = descriptors.writing()?.set_len(size);
        made.map_err(|error| refusal("ftruncate", size, &error))?;
        Ok(Self {
            descriptors,
            is_guarded,
        })
    }
}

impl MemoryFile for Memfd {
    fn seal(&self, seal: Seal) -> Result<(), Refusal> {
        let seals = match seal {
            Seal::Writes => SIZE | libc::F_SEAL_FUTURE_WRITE,
            Seal::Size | Seal::Mappings => SIZE,
        };
        add_seals(self.descriptors.writing()?, seals)
    }

    fn provide(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        // SAFETY: without a mode, what the file holds stays.
        unsafe { fallocate(self.descriptors.writing()?, 0, offset, size) }
    }

    fn map_view(&self, offset: u64, size: u64, is_hidden: bool) -> Result<NonNull<u8>, Refusal> {
        let hint = Some(far_away(size));
        let source = Source::File(self.descriptors.writing()?.as_fd(), offset);
        let access = if is_hidden {
            Access::NONE
        } else {
            Access::READ_WRITE
        };
        let view = mm::map(hint, size, access, source)?;
        // A forked child must not write what its parent executes. If the system does not know the advice, the child is
        // refused all the same, unless it writes to what its parent was writing.
        // SAFETY: the view was mapped just now, and the functions that use it ask first whether they run in a child.
        let _ = unsafe { mm::advise(view, size, Advice::NotForChildren) };
        Ok(pointer(view))
    }

    unsafe fn map_at(
        &self,
        at: Address,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let source = Source::File(self.descriptors.reading()?.as_fd(), offset);
        let access = Access::of(protection, self.is_guarded);
        // SAFETY: the range is reserved and held by the caller, so no other thread changes it, and not mapped, so that what is replaced
        // is address space without access, which no thread uses.
        unsafe { mm::map_over(at, size, access, source) }
    }

    /// pwrite. <https://man7.org/linux/man-pages/man2/pwrite.2.html>
    unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        // The file may be older than the limit.
        check_file_size("pwrite", size, offset.saturating_add(size))?;
        let written = self.descriptors.writing()?.write_all_at(bytes, offset);
        written.map_err(|error| refusal("pwrite", size, &error))
    }

    unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the part is idle by the caller's word: no code in it is executed, and no reference to it exists.
        unsafe { fallocate(self.descriptors.writing()?, mode, offset, size) }
    }
}

/// A memory file that cannot be executed as a program, but mapped executable, where the kernel knows the difference (Linux 6.3; older ones
/// answer EINVAL). Either way it can be sealed.
fn memfd() -> Result<OwnedFd, Refusal> {
    const MFD_NOEXEC_SEAL: u32 = 8;
    match memfd_create(libc::MFD_CLOEXEC | MFD_NOEXEC_SEAL) {
        Err(refusal) if refusal.errno == libc::EINVAL => {
            memfd_create(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
        }
        answer => answer,
    }
}

/// `memfd_create`. <https://man7.org/linux/man-pages/man2/memfd_create.2.html>
fn memfd_create(flags: u32) -> Result<OwnedFd, Refusal> {
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(c"codeslab".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(last_refusal("memfd_create", 0));
    }
    // SAFETY: the call has opened the descriptor, and this is the only place that knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// fallocate. <https://man7.org/linux/man-pages/man2/fallocate.2.html>
///
/// # Safety
/// - With a mode that punches a hole: wherever that part is mapped, code in it is not executed, and no reference to it exists.
unsafe fn fallocate(file: &File, mode: i32, offset: u64, size: u64) -> Result<(), Refusal> {
    let (start, length) = (offset.cast_signed(), size.cast_signed());
    // SAFETY: the descriptor is borrowed and so open. Where a hole is punched, no code is executed and nothing is referred to.
    let answer = unsafe { libc::fallocate(file.as_raw_fd(), mode, start, length) };
    mm::refused_unless_zero("fallocate", size, answer.into())
}

/// Seals that a file changes its size, and that it gets other seals.
const SIZE: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// fcntl with `F_ADD_SEALS`. <https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html>
fn add_seals(file: &File, seals: i32) -> Result<(), Refusal> {
    // SAFETY: the descriptor is borrowed and so open, and seals touch no memory.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
    let mut sealed = mm::refused_unless_zero("fcntl(F_ADD_SEALS)", 0, answer.into());
    if let Err(refusal) = &mut sealed
        && refusal.errno == libc::EINVAL
    {
        // That is what a kernel answers that does not know a seal.
        refusal.limit = Limit::Unsupported;
    }
    sealed
}

/// Where the next `size` bytes of writable views and of tables should go: far from where the system puts libraries and blocks. They must
/// not use up the address space within reach of the code, and it should not be guessed from one where the other is.
pub(super) fn far_away(size: u64) -> Address {
    const STRIDE: u64 = 64 << 10;
    static START: OnceLock<u64> = OnceLock::new();
    static USED: AtomicU64 = AtomicU64::new(0);
    // From an eighth of the address space to its half: programs are below, libraries above.
    let first = (process::addresses().last().value() / 8).next_power_of_two();
    let spread = 3 * first;
    // Without randomness views begin at one address, which is no worse than usual.
    let start = START.get_or_init(|| process::random() % spread);
    let used = USED.fetch_add(size.next_multiple_of(STRIDE), Ordering::Relaxed);
    Address::new((first + start.wrapping_add(used) % spread) & !(STRIDE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writable_views_go_where_programs_and_libraries_are_not() {
        let top = process::addresses().last().value().next_power_of_two();
        for _ in 0..100 {
            let at = far_away(1 << 30).value();
            assert!(at >= top / 8 && at < top / 2, "{at:#x}");
            assert_eq!(at % (64 << 10), 0);
        }
    }
}
