//! Which block an address lies in, for threads that ask at any time, without a lock: a map that is replaced as a whole. It shares
//! most of itself with the one before, so a change costs as little as a search.

use crate::block::page_map::PageMap;
use crate::model::address::Address;
use arc_swap::ArcSwap;
use imbl::OrdMap;
use std::sync::Arc;

/// The blocks of a memory by where they begin.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    blocks: ArcSwap<OrdMap<Address, Arc<PageMap>>>,
}

impl AddressIndex {
    pub(crate) fn insert(&self, page_map: &Arc<PageMap>) {
        let first = page_map.range().first();
        self.blocks
            .rcu(|blocks| blocks.update(first, Arc::clone(page_map)));
    }

    pub(crate) fn remove(&self, page_map: &Arc<PageMap>) {
        let first = page_map.range().first();
        self.blocks.rcu(|blocks| blocks.without(&first));
    }

    /// The block that an address lies in.
    pub(crate) fn find(&self, address: Address) -> Option<Arc<PageMap>> {
        let blocks = self.blocks.load();
        let (_, page_map) = blocks.get_prev(&address)?;
        (address <= page_map.range().last()).then(|| Arc::clone(page_map))
    }
}
