//! Who has which block. A memory has one [`Pool`], which all of its threads share, and a shard for each thread, which has blocks of
//! its own. The pool makes blocks out of address space (`space`), keeps those that the system does not take back (`retained`), and tells
//! which block an address lies in, whether the process is a forked child, and which epoch it is.

pub(crate) mod blocks;
pub(crate) mod retained;
pub(crate) mod shard;

use crate::block::geometry::Geometry;
use crate::block::page_map::PageMap;
use crate::block::{Block, Growth};
use crate::model::address::{Address, Window};
use crate::model::error::{Error, Result};
use crate::model::layout::{Layout, SHARED_ALIGN};

use crate::model::stats::{Configuration, Found, Stats};
use crate::slab::spans::Spans;
use crate::space::budget::Budget;
use crate::space::clusters::Site;
use crate::space::{Configured, Space};
use crate::sync::biased_lock::ProcessBarrier;
use crate::sys::Platform;
use crate::write;
use crate::write::backing::Backing;

use arc_swap::ArcSwap;
use imbl::OrdMap;
use retained::Retained;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

/// What all shards of a memory share.
#[derive(Debug)]
pub(crate) struct Pool {
    platform: Arc<dyn Platform>,
    pub(crate) configuration: Configuration,
    pub(crate) geometry: Geometry,
    generation: u32,
    // What says without a call whether this is still that generation.
    mark: Option<&'static AtomicU32>,
    publishes_by_writing: bool,
    space: Space,
    retained: Retained,
    // By where they begin. It is replaced as a whole, so that it can be read without a lock, and shares most of itself with the one before.
    blocks: ArcSwap<OrdMap<Address, Arc<PageMap>>>,
    has_barrier: bool,
    budget: Arc<Budget>,
    // The epoch in which something is freed now.
    epoch: AtomicU64,
}

impl ProcessBarrier for Pool {
    #[inline]
    fn is_available(&self) -> bool {
        self.has_barrier
    }

    fn execute(&self) {
        self.platform.process_barrier();
    }
}

impl Pool {
    pub(crate) fn new(platform: Arc<dyn Platform>, configured: Configured) -> Self {
        let (configuration, file) = configured;
        let facts = platform.facts();
        let writer = write::by(configuration.writer, configuration.hardened);
        let geometry = Geometry::new(&configuration, writer, facts);
        let memory = writer.memory(configuration.sealing);
        let space = Space::new(Arc::clone(&platform), &configuration, memory, file);
        let budget = Budget::new(configuration.max_committed, configuration.max_mappings);
        Self {
            configuration,
            geometry,
            generation: platform.generation(),
            mark: platform.generation_mark(),
            publishes_by_writing: !geometry.publishes && facts.fetches_are_coherent,
            space,
            retained: Retained::default(),
            blocks: ArcSwap::default(),
            has_barrier: facts.has_process_barrier,
            platform,
            budget: Arc::new(budget),
            epoch: AtomicU64::new(0),
        }
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    /// Memory files are shared with a forked child: what it wrote would overwrite its parent's code.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        match self.mark {
            Some(mark) => mark.load(Ordering::Relaxed) != self.generation,
            None => self.is_of_another_generation(),
        }
    }

    #[cold]
    fn is_of_another_generation(&self) -> bool {
        self.platform.generation() != self.generation
    }

    #[inline]
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.is_forked() {
            Err(Error::Forked)
        } else {
            Ok(())
        }
    }

    /// Whether what is written is published by that. The compiler does not move the stores behind this.
    #[inline]
    pub(crate) fn publishes_by_writing(&self) -> bool {
        compiler_fence(Ordering::SeqCst);
        self.publishes_by_writing
    }

    /// Whether a request is too large for blocks of the usual size, or aligned to more than they are.
    pub(crate) fn is_oversize(&self, layout: &Layout) -> bool {
        let [code, constants, data] = layout.aligns_log2();
        let align = 1 << code.max(constants).max(data);
        let block_size = self.configuration.block_size;
        layout.size() > block_size || align > block_size.min(SHARED_ALIGN)
    }

    /// A block in `window` with what is carved from it: one that is retained, or else a fresh one. `code_share` is what other blocks
    /// are like, see [`Block::grow_in_steps`].
    pub(crate) fn new_block(
        &self,
        layout: &Layout,
        window: Window,
        code_share: u64,
    ) -> Result<(Block, Spans)> {
        let limit = self.configuration.reach.largest_block();
        let needed = self.geometry.bytes_for_all(layout);
        let needed = needed.filter(|needed| *needed <= limit);
        let too_large = |size| Error::TooLarge { size, limit };
        let needed = needed.ok_or_else(|| too_large(layout.size()))?;
        if let Some(found) = self.retained.carve(layout, window)? {
            return Ok(found);
        }
        // The tables of a block are in proportion to its size.
        self.budget.committed.check(layout.size())?;
        let aligns = layout.segments().map(|(_, segment)| segment.align);
        let align = aligns.max().unwrap_or(1);
        let site = self.space.take_site(needed, align, window)?;
        let mut block = self.block_at(&site)?;
        // A request that needs much of the block comes before all thought for others.
        if needed <= block.size() / 4 {
            block.grow_in_steps(code_share);
        }
        match block.carve(layout, Growth::Allowed) {
            Ok(Some(spans)) => {
                block.grow_in_steps(code_share);
                Ok((block, spans))
            }
            refused => {
                self.retire(block);
                let refusal = refused.err().map(Error::Refused);
                Err(refusal.unwrap_or_else(|| too_large(needed)))
            }
        }
    }

    fn block_at(&self, site: &Site) -> Result<Block> {
        let (writer, budget) = (self.geometry.writer, Arc::clone(&self.budget));
        let backing = Backing::new(site.clone(), writer, budget);
        Block::new(backing, self.geometry).map_err(|refusal| {
            self.space.release_site(site);
            refusal.into()
        })
    }

    /// Gives an empty block back. If the system does not let go of its pages, it is retained for requests to come.
    pub(crate) fn retire(&self, mut block: Block) {
        let first = block.range().first();
        self.blocks.rcu(|blocks| blocks.without(&first));
        let site = block.pages().backing().site.clone();
        if block.decommit().is_ok() {
            drop(block);
            self.space.release_site(&site);
        } else {
            self.retained.retain(block);
        }
    }

    pub(crate) fn reserve(&self, window: Window) -> Result<()> {
        self.check_process()?;
        self.space.reserve(window)
    }

    /// Gives back address space in which there is no block.
    pub(crate) fn trim(&self) {
        // What was refused once may be granted now.
        for block in self.retained.drain() {
            self.retire(block);
        }
        self.space.trim();
    }

    pub(crate) fn index(&self, page_map: &Arc<PageMap>) {
        let first = page_map.range.first();
        self.blocks
            .rcu(|blocks| blocks.update(first, Arc::clone(page_map)));
    }

    /// The span in use that an address lies in.
    pub(crate) fn find(&self, address: Address) -> Option<Found> {
        let blocks = self.blocks.load();
        let (_, page_map) = blocks.get_prev(&address)?;
        let (span, protection) = page_map.used_at(address)?;
        Some(Found {
            address: page_map.range.first().checked_add(span.offset)?,
            size: span.size,
            protection,
        })
    }

    /// The epoch in which something is freed now.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Ends the epoch, and says which it was.
    pub(crate) fn end_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel)
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        self.space.count(stats);
        self.retained.count(stats);
    }

    #[cfg(test)]
    pub(crate) const fn space(&self) -> &Space {
        &self.space
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // In a child, address space may be given back only by exec or exit: its parent runs the code in it.
        if self.is_forked() {
            self.space.forget();
            self.retained.forget();
        }
    }
}
