//! What is mapped in a process, as the search for free address space (`space::gaps`) asks it. A port answers either by asking its system each
//! time or from a list that it read once ([`Snapshot`]).

use crate::model::address::{Address, Window};
use std::ops::Deref;

/// What is mapped in a process.
pub(crate) trait AddressMap {
    /// The lowest mapping that ends above `at`: the one that covers it, or the next.
    fn mapping_from(&self, at: Address) -> Option<Window>;
}

/// A map with some more places in which nothing is to be placed.
pub(crate) struct Avoiding<M> {
    pub(crate) map: M,
    /// In any order; they may overlap each other and what is mapped.
    pub(crate) places: Vec<Window>,
}

impl<'m, M: Deref<Target = dyn AddressMap + 'm>> AddressMap for Avoiding<M> {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let places = self.places.iter().copied();
        let above = places.filter(|window| at <= window.last());
        let candidates = above.chain(self.map.mapping_from(at));
        candidates.min_by_key(|window| window.first())
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
