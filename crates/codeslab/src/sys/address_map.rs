//! What is mapped in a process, as the search for free address space asks it.
//!
//! A port answers one question ([`AddressMap::mapping_from`]), either by asking its system each time or from a list that it read once
//! ([`Snapshot`]). The search itself is `space::gaps`, which is pure and uses nothing else of a platform; [`KeptClear`] keeps it
//! away from addresses that are free and shall stay so.

use crate::model::address::{Address, Window};

/// What is mapped in a process.
pub(crate) trait AddressMap {
    /// The lowest mapping that ends above `at`: the one that covers it, or the next.
    fn mapping_from(&self, at: Address) -> Option<Window>;
}

/// A map with one more range in which nothing is to be placed.
#[allow(dead_code, reason = "not every port keeps addresses clear")]
pub(crate) struct KeptClear<'m> {
    pub(crate) taken: Box<dyn AddressMap + 'm>,
    pub(crate) kept_clear: Window,
}

impl AddressMap for KeptClear<'_> {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let kept_clear = Some(self.kept_clear).filter(|window| at <= window.last());
        let candidates = [self.taken.mapping_from(at), kept_clear];
        candidates
            .into_iter()
            .flatten()
            .min_by_key(|window| window.first())
    }
}

/// A map that was read once.
#[allow(dead_code, reason = "not every port reads a list")]
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    // Invariant: ascending and disjoint.
    mappings: Vec<Window>,
}

#[allow(dead_code, reason = "not every port reads a list")]
impl Snapshot {
    /// A map with these mappings, in any order; they do not overlap.
    pub(crate) fn new(mut mappings: Vec<Window>) -> Self {
        mappings.sort_unstable_by_key(|mapping| mapping.first());
        Self { mappings }
    }
}

impl AddressMap for Snapshot {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let index = self.mappings.partition_point(|mapping| mapping.last() < at);
        self.mappings.get(index).copied()
    }
}
