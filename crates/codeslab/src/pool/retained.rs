//! Empty blocks whose pages the system does not take back: they are sealed, or it refused. They wait for requests to come.

use crate::block::Block;
use crate::block::geometry::{Parts, Spans};
use crate::model::address::Window;
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::model::stats::Stats;
use crate::pool::blocks;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where they wait, for all shards.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    parked: Mutex<Vec<Block>>,
}

impl Retained {
    fn parked(&self) -> MutexGuard<'_, Vec<Block>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an empty block, without the memory that it can do without.
    pub(crate) fn park(&self, mut block: Block) {
        block.close_view();
        for slab in Protection::ALL {
            block.sweep(slab);
        }
        self.parked().push(block);
    }

    /// A block in `window` with what is carved from it: the smallest that has room.
    pub(crate) fn carve(
        &self,
        parts: &Parts,
        window: Window,
    ) -> Result<Option<(Block, Spans)>, Refusal> {
        let mut passed_over = Vec::new();
        let mut carved = Ok(None);
        // Carving may call the system, so it is done under no lock.
        while let Some(mut block) = self.take(window) {
            carved = block.carve(parts);
            if let Ok(Some(spans)) = carved {
                self.parked().append(&mut passed_over);
                return Ok(Some((block, spans)));
            }
            passed_over.push(block);
            if carved.is_err() {
                break;
            }
        }
        self.parked().append(&mut passed_over);
        carved.map(|_| None)
    }

    fn take(&self, window: Window) -> Option<Block> {
        let mut parked = self.parked();
        let places = parked
            .iter()
            .enumerate()
            .filter(|(_, block)| window.contains(block.range()));
        let (index, _) = places.min_by_key(|(_, block)| block.size())?;
        Some(parked.swap_remove(index))
    }

    /// Takes all of them out.
    pub(crate) fn drain(&self) -> Vec<Block> {
        std::mem::take(&mut *self.parked())
    }

    /// Forgets all of them: in a forked child, they are the parent's, and a thread that it has not may hold the lock.
    pub(crate) fn forget(&mut self) {
        let parked = self
            .parked
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(parked)
            .into_iter()
            .for_each(std::mem::forget);
    }

    /// Adds what they hold.
    pub(crate) fn count(&self, stats: &mut Stats) {
        for block in self.parked().iter() {
            blocks::count(block, stats);
        }
    }
}
