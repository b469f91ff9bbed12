//! The blocks that the threads of one shard carve from.

use crate::address::Window;
use crate::block::{Block, Parts, Spans, TYPICAL_CODE_SHARE};
use crate::error::Refusal;
use crate::protection::Protection;
use crate::stats::{BlockPicture, SlabPicture, SpanPicture, Stats};

/// An empty block with at most this many bytes committed is kept as it is for the next request.
const IDLE_BYTES: u64 = 1 << 20;

/// Blocks by index. An index stays the same as long as the block lives.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    all: Vec<Option<Block>>,
    // The block that was carved from last.
    current: usize,
    allocations: u64,
}

impl Blocks {
    pub(crate) fn block(&self, index: usize) -> &Block {
        self.all[index]
            .as_ref()
            .expect("a block lives as long as something is carved from it")
    }

    fn live_blocks(&self) -> impl Iterator<Item = &Block> {
        self.all.iter().flatten()
    }

    /// Carves all parts from one of its blocks that lies in `window`. `None` if none has room.
    pub(crate) fn carve(
        &mut self,
        parts: &Parts,
        window: Window,
    ) -> Result<Option<(usize, Spans)>, Refusal> {
        let last = self.all.len();
        for index in std::iter::once(self.current).chain((0..last).rev()) {
            let Some(block) = self.all.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            if !window.contains(block.range()) {
                continue;
            }
            if let Some(spans) = block.carve(parts)? {
                self.current = index;
                self.allocations += 1;
                return Ok(Some((index, spans)));
            }
        }
        Ok(None)
    }

    /// 256ths of what it holds that are code.
    pub(crate) fn code_share(&self) -> u64 {
        let used = |protection| {
            self.live_blocks()
                .map(|block| block.slab(protection).used_bytes())
                .sum::<u64>()
        };
        let all: u64 = Protection::ALL.into_iter().map(used).sum();
        (used(Protection::ReadExecute) * 256)
            .checked_div(all)
            .unwrap_or(TYPICAL_CODE_SHARE)
    }

    /// Takes a block from which something was carved already.
    pub(crate) fn adopt(&mut self, block: Block) -> usize {
        let index = self
            .all
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(Some(block));
        } else {
            self.all[index] = Some(block);
        }
        self.current = index;
        self.allocations += 1;
        index
    }

    /// Takes spans back. A block that is empty then is kept if it is the only one of the usual size;
    /// otherwise it is handed out, to be given back.
    pub(crate) fn free(
        &mut self,
        index: usize,
        offsets: &[Option<u64>; 3],
        usual_bytes: u64,
    ) -> Option<Block> {
        self.allocations -= 1;
        let spare = |other: &Block| other.is_empty() && other.mapping().size() == usual_bytes;
        let has_spare = self.live_blocks().any(spare);
        let block = self.all[index].as_mut()?;
        block.free(offsets);
        if !block.is_empty() {
            return None;
        }
        if has_spare || block.mapping().size() != usual_bytes {
            return self.all[index].take();
        }
        if block.mapping().committed_bytes() > IDLE_BYTES {
            // If the system refuses, the pages stay and are used again.
            let _ = block.reset();
        }
        None
    }

    /// Takes out all blocks of which nothing is used.
    pub(crate) fn drain(&mut self) -> Vec<Block> {
        let drained = self
            .all
            .iter_mut()
            .filter_map(|slot| slot.take_if(|block| block.is_empty()));
        drained.collect()
    }

    /// Drops the writable views of all blocks. Nothing is in flight.
    pub(crate) fn close_views(&mut self) {
        self.all.iter_mut().flatten().for_each(Block::close_view);
    }

    /// Forgets everything: in a forked child, giving memory back would take it from the parent.
    pub(crate) fn forget(&mut self) {
        std::mem::take(&mut self.all)
            .into_iter()
            .for_each(std::mem::forget);
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        for block in self.live_blocks() {
            stats.blocks += 1;
            stats.committed_bytes += block.mapping().committed_bytes();
            stats.used_bytes += block.used_bytes();
            stats.mappings += block.mappings();
            stats.metadata_bytes += block.metadata_bytes();
        }
        stats.live += self.allocations;
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        self.live_blocks().map(picture).collect()
    }
}

fn picture(block: &Block) -> BlockPicture {
    let address = block.range().first();
    let at = |offset| address.checked_add(offset).unwrap_or(address);
    let slabs_of = |protection: Protection| {
        let slab = block.slab(protection);
        slab.extents().iter().map(move |extent| SlabPicture {
            address: at(extent.offset),
            size: extent.size,
            protection,
            spans: slab
                .spans_in(extent)
                .map(|span| SpanPicture {
                    address: at(span.offset),
                    size: span.size,
                })
                .collect(),
        })
    };
    let mut slabs: Vec<_> = Protection::ALL.into_iter().flat_map(slabs_of).collect();
    slabs.sort_by_key(|slab| slab.address);
    BlockPicture {
        address,
        size: block.mapping().size(),
        cluster: block.cluster(),
        slabs,
    }
}
