//! Linux.
//!
//! What a reader must know about it:
//! - Memory files are `memfd`s. A shared mapping of one is one VMA, and neighbours with contiguous offsets and equal rights
//!   merge, so a slab that grows in steps stays one mapping. <https://man7.org/linux/man-pages/man2/memfd_create.2.html>
//! - A process may have `vm.max_map_count` mappings (65,530 by default); the call that would exceed it fails with ENOMEM, as
//!   do those that meet `RLIMIT_AS` or run out of memory. We look which it was, on the failing path only.
//! - `MAP_FIXED_NOREPLACE` needs Linux 4.17; older kernels take it for a hint, so the address that comes back is compared.
//! - `ftruncate` and `pwrite` beyond `RLIMIT_FSIZE` kill the process with SIGXFSZ, so the limit is asked first.
//! - `PROCMAP_QUERY` (Linux 6.11) finds the mapping at or above an address in half a microsecond, however many there are.
//!   <https://docs.kernel.org/filesystems/proc.html>
#![allow(unsafe_code, reason = "this file is where the system is called")]

mod fork;
mod limits;
mod maps;
mod memfd;
mod pkeys;
mod probe;
mod seal;

use super::address_map::{AddressMap, KeptClear, Snapshot};
use super::{Facts, MemoryFile, Platform, Seal};
use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use limits::{limit_behind, resource_limit};
use memfd::{fallocate, memfd};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub(super) fn platform() -> Result<Arc<dyn Platform>> {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page_size = u64::try_from(page).ok().and_then(PageSize::new);
    let page_size = page_size.ok_or(Error::UnsupportedPlatform(
        "a system with an unknown page size",
    ))?;
    Ok(Arc::new(Linux {
        page_size,
        generation: fork::Generation::new()?,
        has_process_barrier: membarrier(REGISTER_PRIVATE_EXPEDITED),
        maps: maps::KeptMaps::default(),
    }))
}

#[derive(Debug)]
struct Linux {
    page_size: PageSize,
    generation: fork::Generation,
    has_process_barrier: bool,
    maps: maps::KeptMaps,
}

/// Where user programs may have memory with four-level page tables, less the pages that `vm.mmap_min_addr` keeps back
/// by default.
const USER_ADDRESSES: (u64, u64) = (0x1_0000, 0x7fff_ffff_efff);

impl Platform for Linux {
    fn facts(&self) -> Facts {
        let (first, last) = USER_ADDRESSES;
        Facts {
            architecture: Architecture::X86_64,
            page_size: self.page_size,
            granularity: self.page_size.bytes(),
            file_bytes: 1 << 30,
            addresses: Window::new(Address::new(first), Address::new(last))
                .unwrap_or(Window::ANYWHERE),
            has_process_barrier: self.has_process_barrier,
            // As long as code goes through caches by physical address: see `synchronize_instructions`.
            fetches_are_coherent: true,
        }
    }

    fn probe(&self, writer: Writer, file_size: u64) -> Result<(), Refusal> {
        probe::probe(self, writer, file_size)
    }

    fn probe_seal(&self, seal: Seal) -> Result<(), Refusal> {
        probe::probe_seal(self, seal)
    }

    fn address_map(&self) -> Result<Box<dyn AddressMap + '_>, Refusal> {
        let taken: Box<dyn AddressMap> = match self.maps.live(self.generation()) {
            Some(live) => Box::new(live),
            None => Box::new(maps::read()?),
        };
        // The heap grows upwards as long as nothing is in its way.
        Ok(match maps::room_for_heap() {
            Some(kept_clear) => Box::new(KeptClear { taken, kept_clear }),
            None => taken,
        })
    }

    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal> {
        let slack = align.saturating_sub(self.page_size.bytes());
        let padded =
            size.checked_add(slack)
                .ok_or(Refusal::foreseen("mmap", size, Limit::AddressSpace))?;
        let start = map(None, padded, libc::PROT_NONE, RESERVE, None)?;
        let aligned = Address::new(start.value().next_multiple_of(align));
        let head = aligned.distance(start);
        // SAFETY: the head is ours and unused. Should unmapping fail, it merely stays reserved.
        let _ = unsafe { unmap(start, head) };
        let end = Address::new(aligned.value() + size);
        // SAFETY: likewise the tail.
        let _ = unsafe { unmap(end, slack - head) };
        Ok(aligned)
    }

    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let got = map(
            Some(at),
            size,
            libc::PROT_NONE,
            RESERVE | libc::MAP_FIXED_NOREPLACE,
            None,
        )?;
        if got == at {
            return Ok(());
        }
        // SAFETY: a kernel that takes the flag for a hint gave us another range, which nobody uses.
        let _ = unsafe { unmap(got, size) };
        Err(Refusal {
            call: "mmap",
            errno: libc::EEXIST,
            size,
            limit: Limit::Occupied,
        })
    }

    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the caller's obligations are those of `unmap`.
        let released = unsafe { unmap(at, size) };
        if released.is_err() {
            // SAFETY: nobody uses the range. Of mapped files this drops nothing but page tables.
            let _ = unsafe { self.discard_private(at, size) };
        }
        released
    }

    fn create_file(&self, size: u64) -> Result<MemoryFile, Refusal> {
        if size > resource_limit(libc::RLIMIT_FSIZE) {
            return Err(Refusal::foreseen("ftruncate", size, Limit::FileSize));
        }
        let file = File::from(memfd()?);
        file.set_len(size)
            .map_err(|error| io_refusal("ftruncate", size, &error))?;
        Ok(MemoryFile(file.into_raw_fd().cast_unsigned().into()))
    }

    fn seal_file(&self, file: MemoryFile, seal: Seal) -> Result<(), Refusal> {
        seal::file(descriptor(file), seal)
    }

    fn provide(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal> {
        fallocate(file, 0, offset, size)
    }

    fn close_file(&self, file: MemoryFile) {
        // SAFETY: the number is a descriptor that `create_file` let go of, and it is closed once.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor(file)) });
    }

    unsafe fn map_file(
        &self,
        at: Address,
        size: u64,
        file: MemoryFile,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        map(
            Some(at),
            size,
            protection_bits(protection),
            flags,
            Some((descriptor(file), offset)),
        )
        .map(drop)
    }

    unsafe fn seal_mapping(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the caller's obligations.
        unsafe { seal::mapping(at, size) }
    }

    fn map_view(&self, size: u64, file: MemoryFile, offset: u64) -> Result<NonNull<u8>, Refusal> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let place = Some((descriptor(file), offset));
        let view = map(Some(far_away(size)), size, rights, libc::MAP_SHARED, place).map(pointer)?;
        // A forked child must not write what its parent executes. If the system does not know the advice, the child is
        // refused all the same, unless it writes to what its parent was writing.
        // SAFETY: the view is new.
        unsafe { libc::madvise(view.as_ptr().cast(), size as usize, libc::MADV_DONTFORK) };
        Ok(view)
    }

    unsafe fn seal_view(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        // SAFETY: the caller's obligations.
        unsafe { seal::mapping(Address::new(view.as_ptr() as u64), size) }
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64) {
        // SAFETY: the caller says that the view is whole and unused. A failure leaves it mapped, which harms nobody.
        let _ = unsafe { unmap(Address::new(view.as_ptr() as u64), size) };
    }

    fn populate(&self, view: NonNull<u8>, size: u64) {
        // A read fault maps 16 pages at once, and in a shared mapping of a memory file for writing too; populating for
        // writing goes page by page. Linux 5.14; older kernels answer EINVAL and fault when it is touched.
        const MADV_POPULATE_READ: i32 = 22;
        // SAFETY: populating does not change what memory holds.
        unsafe { libc::madvise(view.as_ptr().cast(), size as usize, MADV_POPULATE_READ) };
    }

    fn write_file(&self, file: MemoryFile, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        // The file may be older than the limit.
        if offset.saturating_add(size) > resource_limit(libc::RLIMIT_FSIZE) {
            return Err(Refusal::foreseen("pwrite", size, Limit::FileSize));
        }
        borrow(file)
            .write_all_at(bytes, offset)
            .map_err(|error| io_refusal("pwrite", size, &error))
    }

    unsafe fn discard_file(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        fallocate(file, mode, offset, size)
    }

    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the range is reserved, which is private memory without access, and the caller's.
        unsafe { self.protect(at, size, protection) }?;
        Ok(pointer(at))
    }

    unsafe fn protect(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        // SAFETY: the caller owns the range and says that nobody relies on its present rights.
        let failed = unsafe {
            libc::mprotect(
                pointer(at).as_ptr().cast(),
                size as usize,
                protection_bits(protection),
            )
        } != 0;
        if failed {
            Err(last_refusal("mprotect", size))
        } else {
            Ok(())
        }
    }

    unsafe fn write_self(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        let refused = |error| io_refusal("pwrite /proc/self/mem", bytes.len() as u64, &error);
        let memory = File::options()
            .write(true)
            .open("/proc/self/mem")
            .map_err(refused)?;
        memory.write_all_at(bytes, at.value()).map_err(refused)
    }

    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the caller's obligations.
        unsafe { pkeys::Key::of_process()?.map(at, size) }
    }

    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the caller's obligations; the range is under the one key that there is.
        unsafe { pkeys::Key::of_process()?.write(at, bytes) };
        Ok(())
    }

    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the caller says that nobody uses the range.
        let failed = unsafe {
            libc::madvise(
                pointer(at).as_ptr().cast(),
                size as usize,
                libc::MADV_DONTNEED,
            )
        } != 0;
        if failed {
            Err(last_refusal("madvise", size))
        } else {
            Ok(())
        }
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        map(
            Some(at),
            size,
            libc::PROT_NONE,
            RESERVE | libc::MAP_FIXED,
            None,
        )
        .map(drop)
    }

    fn synchronize_instructions(&self, _ranges: &[(Address, u64)]) {
        // Nothing executes these addresses before it is told of them, which orders the stores before the fetches; caches are
        // coherent by physical address, whichever address a store went through (AMD APM volume 2, §7.6.1). What a processor
        // had fetched ahead before it was told is another matter (Intel SDM volume 3, §10.1.3 asks for a serializing
        // instruction there): where a place is reused, the embedder's own hand-over is what there is. What is left to do is
        // to keep the compiler from moving the stores.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    fn process_barrier(&self) {
        // Whether a forked child is registered as its parent was is not said anywhere.
        if self.has_process_barrier && !membarrier(PRIVATE_EXPEDITED) {
            membarrier(REGISTER_PRIVATE_EXPEDITED);
            membarrier(PRIVATE_EXPEDITED);
        }
    }

    fn process_symbol(&self, name: &CStr) -> Option<Address> {
        // SAFETY: the name is a C string. The handle RTLD_DEFAULT searches everything that is loaded.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!found.is_null()).then(|| Address::new(found as u64))
    }

    fn random(&self) -> u64 {
        random()
    }

    fn generation(&self) -> u32 {
        self.generation.number()
    }

    fn generation_mark(&self) -> Option<&'static AtomicU32> {
        self.generation.mark()
    }
}

const RESERVE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// mmap. <https://man7.org/linux/man-pages/man2/mmap.2.html>
fn map(
    at: Option<Address>,
    size: u64,
    rights: i32,
    flags: i32,
    file: Option<(RawFd, u64)>,
) -> Result<Address, Refusal> {
    let hint = at.map_or(std::ptr::null_mut(), |at| at.value() as *mut libc::c_void);
    let (descriptor, offset) = file.unwrap_or((-1, 0));
    // SAFETY: without MAP_FIXED nothing that exists is touched; with it, the callers own the range.
    let got = unsafe {
        libc::mmap(
            hint,
            size as usize,
            rights,
            flags,
            descriptor,
            offset.cast_signed(),
        )
    };
    if got == libc::MAP_FAILED {
        Err(last_refusal("mmap", size))
    } else {
        Ok(Address::new(got as u64))
    }
}

/// getrandom, without waiting; 0 if the system has nothing yet. <https://man7.org/linux/man-pages/man2/getrandom.2.html>
fn random() -> u64 {
    let mut random = [0; 8];
    // SAFETY: the buffer has eight bytes.
    unsafe {
        libc::getrandom(
            random.as_mut_ptr().cast(),
            random.len(),
            libc::GRND_NONBLOCK,
        )
    };
    u64::from_ne_bytes(random)
}

/// Commands of membarrier (Linux 4.14).
const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

/// membarrier, and whether it did anything. <https://man7.org/linux/man-pages/man2/membarrier.2.html>
fn membarrier(command: i32) -> bool {
    // SAFETY: it orders memory accesses and touches nothing.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Where the next `size` bytes of writable views should go: far from where the system puts libraries and blocks. Views must
/// not use up the address space within reach of the code, and nobody should guess from one where the other is.
fn far_away(size: u64) -> Address {
    const FIRST: u64 = 0x1000_0000_0000;
    const SPREAD: u64 = 0x3000_0000_0000;
    const STRIDE: u64 = 64 << 10;
    static START: OnceLock<u64> = OnceLock::new();
    static USED: AtomicU64 = AtomicU64::new(0);
    // Without randomness views begin at one place, which is no worse than usual.
    let start = START.get_or_init(|| random() % SPREAD);
    let used = USED.fetch_add(size.next_multiple_of(STRIDE), Ordering::Relaxed);
    Address::new((FIRST + start.wrapping_add(used) % SPREAD) & !(STRIDE - 1))
}

/// munmap. <https://man7.org/linux/man-pages/man2/munmap.2.html>
///
/// # Safety
/// The range is the caller's, and nobody uses it.
unsafe fn unmap(at: Address, size: u64) -> Result<(), Refusal> {
    if size == 0 {
        return Ok(());
    }
    // SAFETY: the caller owns the range.
    let failed = unsafe { libc::munmap(at.value() as *mut libc::c_void, size as usize) } != 0;
    if failed {
        Err(last_refusal("munmap", size))
    } else {
        Ok(())
    }
}

fn descriptor(file: MemoryFile) -> RawFd {
    file.0 as RawFd
}

fn borrow(file: MemoryFile) -> std::mem::ManuallyDrop<File> {
    // SAFETY: the descriptor stays open as long as the file exists, and ManuallyDrop does not close it.
    std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor(file)) })
}

fn pointer(at: Address) -> NonNull<u8> {
    NonNull::new(at.value() as *mut u8).expect("the system maps nothing at zero")
}

const fn protection_bits(protection: Protection) -> i32 {
    match protection {
        Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        Protection::ReadOnly => libc::PROT_READ,
        Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    }
}

fn last_refusal(call: &'static str, size: u64) -> Refusal {
    io_refusal(call, size, &std::io::Error::last_os_error())
}

fn io_refusal(call: &'static str, size: u64, error: &std::io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal {
        call,
        errno,
        size,
        limit: limit_behind(errno, size),
    }
}
