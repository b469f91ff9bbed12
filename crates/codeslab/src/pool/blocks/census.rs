//! What the blocks of a shard hold, counted and drawn.

use super::Blocks;
use crate::block::Block;
use crate::model::protection::Protection;
use crate::model::stats::{BlockPicture, SlabPicture, SpanPicture, Stats};

impl<H> Blocks<H> {
    pub(crate) fn count(&self, stats: &mut Stats) {
        self.live_blocks().for_each(|block| count(block, stats));
        stats.used_bytes -= self.cache.bytes();
        let quarantined = self.quarantined_bytes();
        stats.used_bytes -= quarantined;
        stats.quarantined_bytes += quarantined;
        stats.live += self.begun - self.ended - self.quarantined.len() as u64;
        stats.in_flight += self.in_flight();
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        self.live_blocks().map(picture).collect()
    }
}

pub(crate) fn count(block: &Block, stats: &mut Stats) {
    stats.blocks += 1;
    stats.committed_bytes += block.pages().committed_bytes();
    stats.used_bytes += block.used_bytes();
    stats.mappings += block.mappings();
    stats.metadata_bytes += block.metadata_bytes();
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
        size: block.size(),
        cluster: block.pages().backing().site.cluster,
        slabs,
    }
}
