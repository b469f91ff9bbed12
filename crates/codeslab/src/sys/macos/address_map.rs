//! What is mapped in the process, by question: `mach_vm_region` finds the mapping at or above an address, however many there are.
//!
//! The search for free address space (`space::search`) asks through `Platform::address_map`; nothing else does. The system's shared
//! libraries lie in one map of their own, which is one mapping here.

use super::mach;
use crate::model::address::{Address, Window};
use crate::sys::address_map::AddressMap;

/// Asks the system each time.
#[derive(Debug)]
pub(super) struct LiveMap;

impl AddressMap for LiveMap {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        mach::region_from(at).map(|region| region.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_has_is_taken_and_what_is_reserved_is_too() {
        let local = 0_u8;
        let own = Address::new(&raw const local as u64);
        let here = Address::new(LiveMap::mapping_from as *const () as u64);
        for at in [own, here] {
            let byte = Window::of_range(at, 1).unwrap();
            assert!(LiveMap.mapping_from(at).unwrap().contains(byte));
        }
        let size = 1 << 20;
        let at = mach::reserve(size, size).unwrap();
        let taken = LiveMap.mapping_from(at).unwrap();
        assert!(taken.contains(Window::of_range(at, size).unwrap()));
        // SAFETY: it was reserved just now.
        unsafe { mach::unmap(at, size) }.unwrap();
    }
}
