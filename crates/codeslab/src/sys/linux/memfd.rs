//! Memory files.

use super::{FromRawFd, MemoryFile, OwnedFd, Refusal, descriptor, last_refusal};

/// A memory file that cannot be executed as a program where the kernel knows the difference (Linux 6.3); mapping it
/// executable is another matter and works. Older kernels answer EINVAL to the flag. Either way it can be sealed.
pub(super) fn memfd() -> Result<OwnedFd, Refusal> {
    const MFD_NOEXEC_SEAL: u32 = 8;
    match memfd_with(libc::MFD_CLOEXEC | MFD_NOEXEC_SEAL) {
        Err(refusal) if refusal.errno == libc::EINVAL => {
            memfd_with(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
        }
        answer => answer,
    }
}

fn memfd_with(flags: u32) -> Result<OwnedFd, Refusal> {
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(c"codeslab".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(last_refusal("memfd_create", 0));
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// fallocate. <https://man7.org/linux/man-pages/man2/fallocate.2.html>
pub(super) fn fallocate(
    file: MemoryFile,
    mode: i32,
    offset: u64,
    size: u64,
) -> Result<(), Refusal> {
    let (offset, length) = (offset.cast_signed(), size.cast_signed());
    // SAFETY: the descriptor is open. Those who punch holes say that nobody uses that part.
    let failed = unsafe { libc::fallocate(descriptor(file), mode, offset, length) } != 0;
    if failed {
        Err(last_refusal("fallocate", size))
    } else {
        Ok(())
    }
}
