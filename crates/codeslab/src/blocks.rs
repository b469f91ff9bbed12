//! The blocks that the threads of one shard carve from.

use crate::address::Window;
use crate::block::{Block, TYPICAL_CODE_SHARE};
use crate::division::{Parts, Spans};
use crate::error::Refusal;
use crate::protection::Protection;
use crate::stats::{BlockPicture, SlabPicture, SpanPicture, Stats};

/// An empty block with at most this many bytes committed is kept as it is for the next request.
const IDLE_BYTES: u64 = 1 << 20;

/// As many writable views are kept although nothing is written: a new view faults again on every page.
const MOST_IDLE_VIEWS: usize = 4;

/// Blocks by index. An index stays the same as long as the block lives.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    all: Vec<Option<Box<Block>>>,
    // The block that was carved from last.
    current: usize,
    // The block in which something was freed last.
    freed_last: usize,
    // Invariant: the blocks that have a writable view, and maybe others, each once.
    viewed: Vec<usize>,
    // Allocations that there are, and that there ever were.
    allocations: u64,
    begun: u64,
}

impl Blocks {
    pub(crate) fn block(&self, index: usize) -> &Block {
        self.all[index]
            .as_deref()
            .expect("a block lives as long as something is carved from it")
    }

    fn note_allocation(&mut self) {
        self.allocations += 1;
        self.begun += 1;
    }

    /// Notes that a block has a writable view. It may have had one before that went with its pages.
    fn note_view(&mut self, index: usize) {
        if !self.viewed.contains(&index) {
            self.viewed.push(index);
        }
    }

    /// How many allocations there ever were.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }

    fn live_blocks(&self) -> impl Iterator<Item = &Block> {
        self.all.iter().flatten().map(|block| &**block)
    }

    /// Carves all parts from one of its blocks that lies in `window`. `None` if none has room.
    pub(crate) fn carve(
        &mut self,
        parts: &Parts,
        window: Window,
    ) -> Result<Option<(usize, Spans)>, Refusal> {
        let last = self.all.len();
        for index in std::iter::once(self.current).chain((0..last).rev()) {
            let Some(block) = self.all.get_mut(index).and_then(Option::as_deref_mut) else {
                continue;
            };
            if !window.contains(block.range()) {
                continue;
            }
            let had_view = block.mapping().has_view();
            let carved = block.carve(parts);
            if !had_view && block.mapping().has_view() {
                self.note_view(index);
            }
            if let Some(spans) = carved? {
                self.current = index;
                self.note_allocation();
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
    pub(crate) fn adopt(&mut self, block: Box<Block>) -> usize {
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
        self.note_view(index);
        self.current = index;
        self.note_allocation();
        index
    }

    /// Takes spans back. A block that is empty then is kept if it is the only one of the usual size; otherwise it is handed
    /// out, to be given back. `is_idle` says that nothing is in flight.
    pub(crate) fn free(
        &mut self,
        index: usize,
        offsets: &[Option<u64>; 3],
        usual_bytes: u64,
        is_idle: bool,
    ) -> Option<Box<Block>> {
        self.allocations -= 1;
        if self.block(index).tenants() > 1 {
            self.open_view_to_free(index, is_idle);
            self.all[index].as_deref_mut()?.free(offsets);
            return None;
        }
        let is_usual = self.block(index).mapping().size() == usual_bytes;
        let is_large = self.block(index).mapping().committed_bytes() > IDLE_BYTES;
        let is_spare = |other: &Block| other.is_empty() && other.mapping().size() == usual_bytes;
        if is_usual && !self.live_blocks().any(is_spare) {
            let block = self.all[index].as_deref_mut()?;
            if is_large {
                block.free_last(offsets);
            } else {
                block.free(offsets);
            }
            return None;
        }
        let block = self.all[index].as_deref_mut()?;
        block.free_last(offsets);
        self.all[index].take()
    }

    /// Whoever frees twice in a row in a block frees more: through a view that is cheaper than a call each time.
    fn open_view_to_free(&mut self, index: usize, is_idle: bool) {
        let is_row = std::mem::replace(&mut self.freed_last, index) == index;
        if !is_row || self.block(index).mapping().has_view() {
            return;
        }
        if self.has_many_views() && is_idle {
            self.close_views();
        }
        // A refusal is no matter: what is freed is overwritten with a call then.
        if !self.has_many_views()
            && self.all[index]
                .as_deref_mut()
                .is_some_and(|block| block.open_view().is_ok())
        {
            self.note_view(index);
        }
    }

    /// Takes out all blocks of which nothing is used.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Box<Block>> + use<> {
        let drained = self
            .all
            .iter_mut()
            .map(|slot| slot.take_if(|block| block.is_empty()));
        drained.collect::<Vec<_>>().into_iter().flatten()
    }

    /// Whether more writable views are open than are kept while nothing is written.
    pub(crate) fn has_many_views(&self) -> bool {
        self.viewed.len() > MOST_IDLE_VIEWS
    }

    /// Drops all writable views. Nothing is in flight.
    pub(crate) fn close_views(&mut self) {
        for index in std::mem::take(&mut self.viewed) {
            if let Some(block) = self.all.get_mut(index).and_then(Option::as_deref_mut) {
                block.close_view();
            }
        }
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
