//! Empty blocks whose pages the system does not take back, because they are sealed or because it refused. The pool looks here for a block
//! before it makes a fresh one.

use super::blocks;
use crate::block::{Block, Growth};
use crate::model::address::Window;
use crate::model::error::Refusal;
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::model::stats::Stats;
use crate::slab::spans::Spans;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Retained {
    blocks: Mutex<Vec<Block>>,
}

impl Retained {
    fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Retains an empty block, without the memory that it can do without.
    #[expect(unsafe_code, reason = "an empty block has nothing in flight")]
    pub(crate) fn retain(&self, mut block: Block) {
        debug_assert!(block.requests() == 0, "only empty blocks are retained");
        // SAFETY: the block is empty, so nothing of it is in flight.
        unsafe { block.close_view() };
        for slab in Protection::ALL {
            block.purge(slab);
        }
        self.blocks().push(block);
    }

    /// A block in `window` with what is carved from it: the smallest that has room.
    pub(crate) fn carve(
        &self,
        layout: &Layout,
        window: Window,
    ) -> Result<Option<(Block, Spans)>, Refusal> {
        let mut passed_over = Vec::new();
        let mut carved = Ok(None);
        // Carving may call the system, so it is done under no lock.
        while let Some(mut block) = self.take(window) {
            carved = block.carve(layout, Growth::Allowed);
            if let Ok(Some(spans)) = carved {
                self.blocks().append(&mut passed_over);
                return Ok(Some((block, spans)));
            }
            passed_over.push(block);
            if carved.is_err() {
                break;
            }
        }
        self.blocks().append(&mut passed_over);
        carved.map(|_| None)
    }

    fn take(&self, window: Window) -> Option<Block> {
        let mut blocks = self.blocks();
        let inside = blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| window.contains(block.range()));
        let (index, _) = inside.min_by_key(|(_, block)| block.size())?;
        Some(blocks.swap_remove(index))
    }

    pub(crate) fn drain(&self) -> Vec<Block> {
        std::mem::take(&mut *self.blocks())
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        for block in self.blocks().iter() {
            blocks::count(block, stats);
        }
    }
}
