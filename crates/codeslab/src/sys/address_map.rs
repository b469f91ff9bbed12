//! What is mapped in a process: the answer of a port to whoever looks for free address space.

use crate::model::address::{Address, Window};

/// What is mapped in a process.
pub(crate) trait AddressMap {
    /// The lowest mapping that ends above `at`: the one that covers it, or the next.
    fn mapping_from(&self, at: Address) -> Option<Window>;
}

/// A map with more addresses that nothing shall be placed at.
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
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    // Invariant: ascending and disjoint.
    mappings: Vec<Window>,
}

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
