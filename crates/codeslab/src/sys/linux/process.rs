//! What the system tells about this process as a whole: its pages, its addresses, random numbers, and its memory as a file.

use super::limits::refusal;
use crate::model::address::{Address, Window};
use crate::model::error::Refusal;
use crate::model::page::PageSize;
use crate::sys::arch::{Native, Processor};
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
    use crate::sys::dynamic_linker;

    #[test]
    fn what_the_process_has_lies_where_programs_may_have_memory() {
        let local = 0_u8;
        let here = [
            &raw const local as u64,
            addresses as *const () as u64,
            dynamic_linker::symbol(c"malloc").map_or(0x1_0000, Address::value),
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
}
