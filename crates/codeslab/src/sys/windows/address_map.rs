//! What is mapped in the process, by question: `VirtualQuery` answers in about a microsecond, however many mappings there are.
//!
//! The search for free address space (`space::search`) asks through `Platform::address_map`; nothing else does.

use super::mm;
use crate::model::address::{Address, Window};
use crate::sys::address_map::AddressMap;

/// Asks the system each time.
#[derive(Debug)]
pub(super) struct LiveMap {
    pub(super) granularity: u64,
}

impl AddressMap for LiveMap {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let mut at = at.align_down(self.granularity);
        loop {
            let run = mm::query(at)?;
            // A mapping ends with a page, and the rest of its granule can be had by no one else.
            let end = run.range.last().align_down(self.granularity);
            let last = end.checked_add(self.granularity - 1)?;
            if !run.is_free {
                return Window::new(run.range.first(), last);
            }
            at = run.range.last().checked_add(1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_has_is_taken_and_what_is_free_is_not() {
        let map = LiveMap {
            granularity: 0x1_0000,
        };
        let own = Address::new(LiveMap::mapping_from as *const () as u64);
        let byte = Window::of_range(own, 1).unwrap();
        assert!(map.mapping_from(own).unwrap().contains(byte));
        let at = mm::reserve_plain(Address::new(0), 0x1000).unwrap();
        let taken = map.mapping_from(at).unwrap();
        assert_eq!(
            (taken.first(), taken.last().value() % 0x1_0000),
            (at, 0xffff)
        );
        // SAFETY: it was reserved just now.
        unsafe { mm::free(at, 0x1000, mm::Free::Release) }.unwrap();
    }
}
