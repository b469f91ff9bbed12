//! What the system tells about this process as a whole: its pages, its addresses, random numbers, its own memory.

use super::mach;
use crate::model::address::{Address, Window};
use crate::model::page::PageSize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 16 KiB on Apple silicon, 4 KiB on x86-64 and for programs that are translated.
pub(super) fn page_size() -> Option<PageSize> {
    PageSize::new(mach::page_bytes())
}

/// Where user programs may have memory: above the 4 GiB that programs of 64 bits keep clear (`__PAGEZERO`), which the system does not list
/// as mapped, and below the end of 47 bits, of which it keeps back the last part (`mach/arm/vm_param.h`, `mach/i386/vm_param.h`).
pub(super) fn addresses() -> Window {
    let (first, last) = (Address::new(1 << 32), Address::new(0x7fff_fdff_ffff));
    Window::new(first, last).unwrap_or(Window::ANYWHERE)
}

/// From where on the next `size` bytes of writable mappings should be looked for: far from where the system puts programs, heaps and
/// libraries. They must not use up the address space within reach of the code, and they should not be guessed from one where the other is.
pub(super) fn far_away(size: u64) -> Address {
    const STRIDE: u64 = 64 << 10;
    /// Programs and heaps are in the first tebibytes, on x86-64 libraries in the last.
    const FIRST: u64 = 1 << 44;
    const SPREAD: u64 = 3 << 44;
    static START: OnceLock<u64> = OnceLock::new();
    static USED: AtomicU64 = AtomicU64::new(0);
    // Without randomness views begin at one address, which is no worse than usual.
    let start = START.get_or_init(|| random() % SPREAD);
    let used = USED.fetch_add(size.next_multiple_of(STRIDE), Ordering::Relaxed);
    Address::new((FIRST + start.wrapping_add(used) % SPREAD) & !(STRIDE - 1))
}

/// getentropy; 0 if the system has nothing.
pub(super) fn random() -> u64 {
    let mut random = [0; 8];
    let place = random.as_mut_ptr().cast();
    // SAFETY: the place has the eight bytes that the system is told of.
    unsafe { libc::getentropy(place, random.len()) };
    u64::from_ne_bytes(random)
}

/// Copies memory page by page, as far as there is some: how many bytes that were.
pub(super) fn read(at: Address, into: &mut [u8]) -> usize {
    /// No smaller than this on any machine: a read within one is whole or nothing.
    const PAGE: u64 = 4096;
    let mut count = 0;
    while count < into.len() {
        let next = at.value().saturating_add(count as u64);
        let rest = &mut into[count..];
        let size = rest.len().min((PAGE - next % PAGE) as usize);
        if !mach::read(next, &mut rest[..size]) {
            break;
        }
        count += size;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_far_as_it_is_mapped_and_no_further() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut copy = [0; 200];
        assert_eq!(read(Address::new(bytes.as_ptr() as u64), &mut copy), 200);
        assert_eq!(copy[..], bytes);
        assert_eq!(read(Address::new(8), &mut copy), 0);
        assert_eq!(read(Address::new(u64::MAX - 8), &mut copy), 0);
    }

    #[test]
    fn what_the_process_has_lies_where_programs_may_have_memory() {
        let local = 0_u8;
        for at in [&raw const local as u64, addresses as *const () as u64] {
            let byte = Window::of_range(Address::new(at), 1).unwrap();
            assert!(addresses().contains(byte), "{byte} in {}", addresses());
        }
        assert_ne!(random(), random());
    }
}
