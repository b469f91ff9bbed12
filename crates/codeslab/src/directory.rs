//! Which block an address lies in, for whoever asks at any time, without a lock.

use crate::address::Address;
use crate::ledger::Ledger;
use arc_swap::ArcSwap;
use imbl::OrdMap;
use std::sync::Arc;

/// The blocks of a memory by where they begin: a map that shares most of itself with the one before and after a change, so that a
/// change costs as little as a search, and whoever searches has one that nobody changes.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    blocks: ArcSwap<OrdMap<Address, Arc<Ledger>>>,
}

impl Directory {
    pub(crate) fn insert(&self, ledger: &Arc<Ledger>) {
        let first = ledger.range().first();
        self.blocks
            .rcu(|blocks| blocks.update(first, Arc::clone(ledger)));
    }

    pub(crate) fn remove(&self, ledger: &Arc<Ledger>) {
        let first = ledger.range().first();
        self.blocks.rcu(|blocks| blocks.without(&first));
    }

    /// The block that an address lies in.
    pub(crate) fn find(&self, address: Address) -> Option<Arc<Ledger>> {
        let blocks = self.blocks.load();
        let (_, ledger) = blocks.get_prev(&address)?;
        (address <= ledger.range().last()).then(|| Arc::clone(ledger))
    }
}
