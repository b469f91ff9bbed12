//! A shard: blocks that one thread carves from, so that threads do not wait for each other.
//!
//! A shard's lock is biased to its owner thread. Requests that another thread frees are retracted by that thread and left in a queue. So
//! threads meet where there are more of them than shards, and when all shards are asked for something: to trim or to count. Locks are taken
//! in this order: a shard's, then that of the retained blocks, or that of the search for address space and that of what is reserved, then that
//! of the open memory files.
#![allow(unsafe_code, reason = "a lock relies on who says that it is its owner")]

pub(crate) mod batch;
mod carved;
mod free;

pub(crate) use carved::Carved;

use super::Pool;
use super::blocks::thread_cache::Shape;
use super::blocks::{Blocks, Held};
use crate::block::Block;
use crate::block::page_map::PageMap;
use crate::model::address::Window;
use crate::model::error::{Error, Result};
use crate::model::layout::Layout;
use crate::model::options::Quarantine;
use crate::model::stats::{BlockPicture, Stats};
use crate::slab::spans::Spans;
use crate::sync::biased_lock::{BiasedLock, Guard};
use crate::sync::remote_frees::RemoteFrees;
use crate::sync::thread_id;
use crate::write::backing::Backing;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    pool: Arc<Pool>,
    // The number of the thread that it belongs to, while there is one.
    owner: usize,
    blocks: BiasedLock<OwnBlocks>,
    // Allocations that were published or given up, of all there ever were, by the owner and by others.
    landed_here: AtomicU64,
    landed_elsewhere: AtomicU64,
    // Closed when no request will come any more. Each with the index of its block, retracted.
    remote_frees: RemoteFrees<(u32, Spans)>,
    quarantine: Quarantine,
}

/// What an allocation needs to know of its block without a lock. It holds the shard; so a shard lives as long as it has blocks.
#[derive(Debug)]
pub(crate) struct BlockHeader {
    shard: Arc<Shard>,
    index: u32,
    page_map: Arc<PageMap>,
    backing: Arc<Backing>,
}

/// The blocks of a shard, each with its header.
type OwnBlocks = Blocks<Arc<BlockHeader>>;

/// Blocks of which nothing is used, on their way back to the system.
#[must_use]
struct Emptied(Vec<Held<Arc<BlockHeader>>>);

impl Emptied {
    /// Gives them back. With its last block a shard whose memory is gone goes, too: the caller has no reference into it.
    #[inline]
    fn retire(self) {
        self.0.into_iter().for_each(retire);
    }
}

#[cold]
fn retire(held: Held<Arc<BlockHeader>>) {
    let shard = Arc::clone(&held.header.shard);
    drop(held.header);
    shard.pool.retire(*held.block);
}

/// Whether a request is refused because of what the memory may take at most.
fn is_for_budget(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.is_budget())
}

impl Shard {
    pub(crate) fn new(pool: Arc<Pool>, owner: usize) -> Self {
        let configuration = pool.configuration;
        Self {
            pool,
            owner,
            blocks: BiasedLock::new(Blocks::new(configuration.block_size)),
            landed_here: AtomicU64::new(0),
            landed_elsewhere: AtomicU64::new(0),
            remote_frees: RemoteFrees::default(),
            quarantine: configuration.quarantine,
        }
    }

    /// Whether the calling thread is its owner.
    #[inline]
    fn is_owned(&self) -> bool {
        thread_id::is_own(self.owner)
    }

    /// Does something with its blocks, and afterwards, under no lock, hands out those that are empty.
    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut OwnBlocks) -> R) -> (R, Emptied) {
        let is_owner = self.is_owned();
        // SAFETY: a number belongs to one living thread, and passes to another in a way that orders what both do; `act` gets no
        // shard, so this thread holds no guard yet.
        let mut blocks = unsafe { self.blocks.lock(is_owner, &*self.pool) };
        let landed = [&self.landed_here, &self.landed_elsewhere];
        let landed = landed.map(|count| count.load(Ordering::Acquire));
        // SAFETY: as many are published or given up.
        unsafe { blocks.note_landed(landed[0] + landed[1]) };
        if !self.remote_frees.is_empty() {
            self.take_remote_frees(&mut blocks);
        }
        let result = act(&mut blocks);
        let emptied = Emptied(blocks.take_emptied());
        (result, emptied)
    }

    /// The same, and gives back those that are empty, which are not what keeps this shard alive.
    fn update<R>(&self, act: impl FnOnce(&mut OwnBlocks) -> R) -> R {
        let (result, emptied) = self.with(act);
        emptied.retire();
        result
    }

    /// Its blocks, if the calling thread owns them, and nothing else is to be done first.
    #[inline]
    fn enter(&self) -> Option<Guard<'_, OwnBlocks>> {
        if !self.is_owned() || self.pool.is_forked() {
            return None;
        }
        // SAFETY: this thread is the owner, as in `with`, and holds no guard.
        let blocks = unsafe { self.blocks.lock_as_owner(&*self.pool) }?;
        self.remote_frees.is_empty().then_some(blocks)
    }

    /// Carves a request out of a block in `window`. One more allocation is in flight then.
    #[allow(
        clippy::inline_always,
        reason = "what comes of it is moved once more, word by word and then in pairs, where it is a call"
    )]
    #[inline(always)]
    pub(crate) fn allocate(self: &Arc<Self>, layout: &Layout, window: Window) -> Result<Carved> {
        match self.recycle(layout, window) {
            Some(carved) => Ok(carved),
            None => self.carve(layout, window),
        }
    }

    /// The short route, and most often the whole: the owner thread finds a request of just this shape that it freed lately.
    #[inline]
    fn recycle(&self, layout: &Layout, window: Window) -> Option<Carved> {
        let shape = Shape::of(layout, &self.pool.geometry)?;
        let mut blocks = self.enter()?;
        let (header, spans) = blocks.recycle(&shape, window)?;
        Some(Carved::new(header, spans))
    }

    /// The long route: from a block that the shard has, or from another that the pool gives it.
    #[cold]
    fn carve(self: &Arc<Self>, layout: &Layout, window: Window) -> Result<Carved> {
        self.pool.check_process()?;
        if layout.size() == 0 {
            return Err(Error::EmptyRequest);
        }
        // Then the short route was not taken, and what it would have found may be there.
        let may_recycle = !self.is_owned() || !self.remote_frees.is_empty();
        let carved = self.update(|blocks| {
            let shape = may_recycle.then(|| Shape::of(layout, &self.pool.geometry));
            let shape = shape.flatten();
            if let Some((header, spans)) = shape.and_then(|shape| blocks.recycle(&shape, window)) {
                return Ok(Carved::new(header, spans));
            }
            match self.carve_or_open(blocks, layout, window) {
                // What is free and has its memory counts, too: it goes back before a request is refused for it.
                Err(error) if is_for_budget(&error) && blocks.purge() => {
                    self.carve_or_open(blocks, layout, window)
                }
                result => result,
            }
        });
        carved.map_err(|error| *error)
    }

    /// Carves from a block that the shard has, or from a fresh one. An error is a pointer, so that what is carved, two words, comes out
    /// in registers.
    fn carve_or_open(
        self: &Arc<Self>,
        blocks: &mut OwnBlocks,
        layout: &Layout,
        window: Window,
    ) -> Result<Carved, Box<Error>> {
        // Oversize requests get blocks of their own.
        if !self.pool.is_oversize(layout) {
            let found = blocks.carve(layout, window).map_err(Error::Refused)?;
            if let Some((header, spans)) = found {
                return Ok(Carved::new(header, spans));
            }
        }
        let (block, spans) = self.pool.new_block(layout, window, blocks.code_share())?;
        let header = blocks.adopt(Box::new(block), |index, block| self.header(index, block));
        Ok(Carved::new(header, spans))
    }

    fn header(self: &Arc<Self>, index: usize, block: &Block) -> Arc<BlockHeader> {
        self.pool.index(block.page_map());
        Arc::new(BlockHeader {
            shard: Arc::clone(self),
            index: index as u32,
            page_map: Arc::clone(block.page_map()),
            backing: Arc::clone(block.pages().backing()),
        })
    }

    /// One allocation less is in flight: it is published, or about to be freed.
    #[inline]
    fn note_landed(&self) {
        if self.is_owned() {
            // Only the owner changes it.
            let landed = self.landed_here.load(Ordering::Relaxed);
            self.landed_here.store(landed + 1, Ordering::Release);
        } else {
            self.landed_elsewhere.fetch_add(1, Ordering::Release);
        }
    }

    /// Gives back the blocks of which nothing is used, and the writable views if nothing is being written.
    pub(crate) fn trim(&self) {
        self.update(|blocks| {
            blocks.close_views(0);
            blocks.drain();
        });
    }

    /// No request will come any more: what is empty goes back, and so does what becomes empty.
    pub(crate) fn close(&self) {
        self.remote_frees.close();
        self.update(|blocks| {
            blocks.keep_no_spare();
            blocks.end_grace_period(u64::MAX);
            blocks.drain();
        });
    }

    /// Frees what was freed in this epoch or before.
    pub(crate) fn end_grace_period(&self, epoch: u64) {
        self.update(|blocks| blocks.end_grace_period(epoch));
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        self.update(|blocks| blocks.count(stats));
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        self.update(|blocks| blocks.pictures())
    }
}
