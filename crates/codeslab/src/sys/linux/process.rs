//! What the system tells about this process as a whole: its pages, its addresses, its symbols, random numbers, and its memory as a file.
//!
//! Used by the port itself when it is made, and by its files for what does not change while the process runs.

use super::limits::refusal;
use crate::model::address::{Address, Window};
use crate::model::error::Refusal;
use crate::model::page::PageSize;
use crate::model::stats::ProcessLocation;
use crate::sys::arch::{Native, Processor};
use std::ffi::CStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// sysconf. <https://man7.org/linux/man-pages/man3/sysconf.3.html>
pub(super) fn page_size() -> Option<PageSize> {
    // SAFETY: any name may be asked for, and this one is answered on every system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page).ok().and_then(PageSize::new)
}

/// Where user programs may have memory, less the pages that `vm.mmap_min_addr` keeps back by default, and the last one, which x86-64
/// keeps back.
///
/// How many bits an address has depends on processor and kernel (39 to 48 on 64-bit Arm). The name of the executable lies at the top of
/// the first stack, and that at the top of the address space, up to a random distance that is far less than half of it. Where an emulator
/// puts the stack lower, libraries may be higher.
pub(super) fn addresses() -> Window {
    /// As on x86-64 with page tables of four levels, where the system does not tell.
    const USUAL: u64 = 1 << 47;
    const FIRST: u64 = 0x1_0000;
    static ADDRESSES: OnceLock<Window> = OnceLock::new();
    *ADDRESSES.get_or_init(|| {
        let known = auxiliary_value(libc::AT_EXECFN).max(libc::getauxval as *const () as u64);
        let end = known.checked_next_power_of_two().unwrap_or(USUAL);
        let page = page_size().map_or(FIRST, PageSize::bytes);
        let last = Address::new(end.max(1 << 32) - page - 1);
        Window::new(Address::new(FIRST), last).unwrap_or(Window::ANYWHERE)
    })
}

/// Whether this processor and its kernel know guarded pages. <https://docs.kernel.org/arch/arm64/elf_hwcaps.html>
pub(super) fn has_guarded_pages() -> bool {
    /// Of 64-bit Arm.
    const HWCAP2_BTI: u64 = 1 << 17;
    Native::HAS_GUARDED_PAGES && auxiliary_value(libc::AT_HWCAP2) & HWCAP2_BTI != 0
}

/// getauxval; 0 if the system does not tell. <https://man7.org/linux/man-pages/man3/getauxval.3.html>
fn auxiliary_value(kind: libc::c_ulong) -> u64 {
    // SAFETY: any kind may be asked for.
    unsafe { libc::getauxval(kind) }
}

/// getrandom, without waiting; 0 if the system has nothing yet. <https://man7.org/linux/man-pages/man2/getrandom.2.html>
pub(super) fn random() -> u64 {
    let mut random = [0; 8];
    let place = random.as_mut_ptr().cast();
    // SAFETY: the place has the eight bytes that the kernel is told of.
    unsafe { libc::getrandom(place, random.len(), libc::GRND_NONBLOCK) };
    u64::from_ne_bytes(random)
}

/// dladdr. <https://man7.org/linux/man-pages/man3/dladdr.3.html>
pub(super) fn location(at: Address) -> Option<ProcessLocation> {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let address = std::ptr::without_provenance(at.value() as usize);
    // SAFETY: the address is compared and not read, and there is room for what is found.
    let is_found = unsafe { libc::dladdr(address, found.as_mut_ptr()) } != 0;
    // SAFETY: zeros are a value of it, and the call may have written another one.
    let found = unsafe { found.assume_init() };
    let text = |text: *const libc::c_char| {
        if text.is_null() {
            return None;
        }
        // SAFETY: what is not null is a C string of the dynamic linker, which stays while its library is loaded.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    };
    let object = text(found.dli_fname).filter(|_| is_found)?;
    let name = text(found.dli_sname);
    let start = if name.is_some() {
        found.dli_saddr
    } else {
        found.dli_fbase
    };
    Some(ProcessLocation::new(
        name,
        object,
        Address::new(start as u64),
    ))
}

/// dlsym, in everything that is loaded. <https://man7.org/linux/man-pages/man3/dlsym.3.html>
pub(super) fn symbol(name: &CStr) -> Option<Address> {
    // SAFETY: the name is a C string, and RTLD_DEFAULT is a handle at any time.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then(|| Address::new(found as u64))
}

/// dlvsym, in everything that is loaded; dlsym where the C library knows no versions.
/// <https://man7.org/linux/man-pages/man3/dlvsym.3.html>
pub(super) fn symbol_version(name: &CStr, version: &CStr) -> Option<Address> {
    let Some(dlvsym) = dlvsym() else {
        return symbol(name);
    };
    // SAFETY: both are C strings, and RTLD_DEFAULT is a handle at any time.
    let found = unsafe { dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()) };
    (!found.is_null()).then(|| Address::new(found as u64))
}

type Dlvsym = unsafe extern "C" fn(
    *mut libc::c_void,
    *const libc::c_char,
    *const libc::c_char,
) -> *mut libc::c_void;

/// The function, which musl does not have.
pub(super) fn dlvsym() -> Option<Dlvsym> {
    let found = symbol(c"dlvsym")?.value() as usize;
    // SAFETY: what the process calls dlvsym is the C library's function of that name, whose type this is.
    Some(unsafe { std::mem::transmute::<usize, Dlvsym>(found) })
}

/// pwrite to `/proc/self/mem`, which heeds no protection. <https://man7.org/linux/man-pages/man5/proc_pid_mem.5.html>
///
/// # Safety
/// - The range is private memory that this process mapped for codeslab.
/// - No thread uses it at the same time, and `bytes` lie outside of it.
pub(super) unsafe fn write_memory(at: Address, bytes: &[u8]) -> Result<(), Refusal> {
    let refused = |error| refusal("pwrite /proc/self/mem", bytes.len() as u64, &error);
    let memory = File::options().write(true).open("/proc/self/mem");
    let memory = memory.map_err(refused)?;
    memory.write_all_at(bytes, at.value()).map_err(refused)
}

/// pread of `/proc/self/mem`, as far as there is memory; `None` without `/proc`. It ends in the middle where the next page is not mapped.
/// <https://man7.org/linux/man-pages/man5/proc_pid_mem.5.html>
pub(super) fn read(at: Address, into: &mut [u8]) -> Option<usize> {
    let memory = File::open("/proc/self/mem").ok()?;
    let mut count = 0;
    while count < into.len() {
        let next = at.value().saturating_add(count as u64);
        match memory.read_at(&mut into[count..], next) {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_a_symbol_is_found_and_one_that_does_not_exist_is_not() {
        // Sanitizers have functions of their own in the place of many others, not of this one.
        let one = symbol(c"getppid");
        // The version that every C library for x86-64 began with, and that for 64-bit Arm.
        let versions = [c"GLIBC_2.2.5", c"GLIBC_2.17"];
        let found = versions.map(|version| symbol_version(c"getppid", version));
        assert!(found.contains(&one), "{found:?}");
        if symbol(c"dlvsym").is_some() {
            assert_eq!(symbol_version(c"getppid", c"codeslab has none"), None);
        }
    }

    #[test]
    fn what_the_process_has_lies_where_programs_may_have_memory() {
        let local = 0_u8;
        let here = [
            &raw const local as u64,
            addresses as *const () as u64,
            symbol(c"malloc").map_or(0x1_0000, Address::value),
        ];
        for at in here {
            let byte = Window::of_range(Address::new(at), 1).unwrap();
            assert!(addresses().contains(byte), "{byte} in {}", addresses());
        }
    }

    #[test]
    fn memory_is_read_as_far_as_it_is_mapped_and_no_further() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut copy = [0; 200];
        assert_eq!(
            read(Address::new(bytes.as_ptr() as u64), &mut copy),
            Some(200)
        );
        assert_eq!(copy[..], bytes);
        assert_eq!(read(Address::new(8), &mut copy), Some(0));
        assert_eq!(read(Address::new(u64::MAX - 8), &mut copy), Some(0));
    }

    #[test]
    fn a_name_that_the_process_does_not_have_has_no_address() {
        assert_eq!(symbol(c"codeslab has no such symbol"), None);
    }
}
