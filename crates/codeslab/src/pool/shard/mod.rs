//! A shard: blocks that one thread carves from, so that threads do not wait for each other.
//!
//! A shard's lock is biased to that thread. What others free they clean themselves and leave in a queue; what they allocate comes
//! from their own shards. So they meet where there are more threads than shards, and when somebody asks for everything: to
//! trim it or to count it. Locks are taken in this order: a shard's, then the clusters'. Bytes are written and published
//! under no lock.
#![allow(unsafe_code, reason = "a lock relies on who says that it is its owner")]

mod carved;

pub(crate) use carved::Carved;

use crate::block::Block;
use crate::block::geometry::{GRANULE, Spans};
use crate::block::page_map::PageMap;
use crate::block::place::{Packed, Place};
use crate::block::thread_cache::Shape;
use crate::model::address::Window;
use crate::model::error::{Limit, Refusal, Result};
use crate::model::layout::Layout;
use crate::model::options::Quarantine;
use crate::model::protection::Protection;
use crate::model::stats::{BlockPicture, Stats};
use crate::pool::Pool;
use crate::pool::blocks::{Blocks, Held, Returned};
use crate::sync::biased_lock::{BiasedLock, Guard};
use crate::sync::remote_frees::{RemoteFrees, Taker};
use crate::sync::thread_id;
use crate::write::backing::Backing;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    shared: Arc<Pool>,
    // The number of the thread that it belongs to, while there is one.
    number: usize,
    blocks: BiasedLock<Blocks<Arc<BlockHeader>>>,
    // Allocations that were published or given up, of all there ever were, by its thread and by others: see `Blocks::begun`.
    landed_here: AtomicU64,
    landed_elsewhere: AtomicU64,
    // Closed when no request will come any more.
    returns: RemoteFrees<(u32, Spans)>,
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

/// Blocks of which nothing is used, on their way back to the system.
#[must_use]
#[expect(
    clippy::box_collection,
    reason = "a pointer is cheaper to look at than a vector"
)]
pub(crate) struct Emptied(Option<Box<Vec<Held<Arc<BlockHeader>>>>>);

impl Emptied {
    /// Gives them back. With its last block a shard whose memory is gone goes, too: the caller has no reference into it.
    #[inline]
    pub(crate) fn retire(self) {
        if let Some(all) = self.0 {
            all.into_iter().for_each(retire);
        }
    }
}

#[cold]
fn retire(held: Held<Arc<BlockHeader>>) {
    let shard = Arc::clone(&held.head.shard);
    drop(held.head);
    shard.shared.retire(*held.block);
}

impl Shard {
    pub(crate) fn new(shared: Arc<Pool>, number: usize) -> Self {
        let quarantine = shared.configuration().quarantine;
        Self {
            number,
            blocks: BiasedLock::new(Blocks::new(shared.configuration().block_size)),
            shared,
            landed_here: AtomicU64::new(0),
            landed_elsewhere: AtomicU64::new(0),
            returns: RemoteFrees::default(),
            quarantine,
        }
    }

    #[inline]
    fn is_mine(&self) -> bool {
        thread_id::is_own(self.number)
    }

    /// Does something with its blocks, and afterwards, under no lock, gives back those that are empty.
    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut Blocks<Arc<BlockHeader>>) -> R) -> (R, Emptied) {
        let is_mine = self.is_mine();
        // SAFETY: a number belongs to one living thread, and goes to another in a way that orders what both do. `act` knows no shard.
        let mut blocks = unsafe { self.blocks.lock(is_mine, self.shared.barrier()) };
        if !self.returns.is_empty() {
            self.take_returns(&mut blocks);
        }
        let result = act(&mut blocks);
        let emptied = Emptied(blocks.take_emptied());
        (result, emptied)
    }

    #[cold]
    fn take_returns(&self, blocks: &mut Guard<'_, Blocks<Arc<BlockHeader>>>) {
        // SAFETY: whoever has the lock is the only one.
        while let Some((index, spans)) = unsafe { self.returns.pop() } {
            self.take_returned(blocks, index, spans);
        }
    }

    fn take_returned(&self, blocks: &mut Blocks<Arc<BlockHeader>>, index: u32, spans: Spans) {
        blocks.block(index as usize).note_taken(&spans);
        self.take_back(blocks, index, spans, true);
    }

    #[inline]
    fn take_back(
        &self,
        blocks: &mut Blocks<Arc<BlockHeader>>,
        index: u32,
        spans: Spans,
        is_clean: bool,
    ) {
        let returned = Returned {
            index: index as usize,
            spans,
            is_clean,
        };
        if self.quarantine == Quarantine::Off {
            blocks.free(&returned, |blocks| self.is_idle(blocks));
        } else {
            self.quarantine(blocks, returned);
        }
    }

    /// Carves `layout` out of a block in `window`. One more allocation is in flight then.
    #[inline]
    pub(crate) fn allocate(self: &Arc<Self>, layout: &Layout, window: Window) -> Result<Carved> {
        match self.reuse(layout, window) {
            Some(carved) => Ok(carved),
            None => self.allocate_anew(layout, window),
        }
    }

    /// The short way, and most often the whole: this thread's own shard has something of just this shape that was freed lately. What
    /// it takes fits into registers and is looked at once.
    #[inline(never)]
    fn reuse(&self, layout: &Layout, window: Window) -> Option<Carved> {
        let shape = Shape::of(layout, self.shared.geometry())?;
        let mut blocks = self.enter()?;
        let (head, starts) = blocks.reuse(shape, window)?;
        Some(Carved::new(head, Place::of_packed(starts)))
    }

    /// Its blocks, if this thread owns them, and nothing else is to be done first.
    #[inline]
    fn enter(&self) -> Option<Guard<'_, Blocks<Arc<BlockHeader>>>> {
        if !self.is_mine() || self.shared.is_forked() {
            return None;
        }
        // SAFETY: as in `with`; this thread is the owner.
        let blocks = unsafe { self.blocks.lock_as_owner(self.shared.barrier()) }?;
        self.returns.is_empty().then_some(blocks)
    }

    #[cold]
    fn allocate_anew(self: &Arc<Self>, layout: &Layout, window: Window) -> Result<Carved> {
        self.shared.check_process()?;
        let (carved, emptied) = self.with(|blocks| {
            // Who came here because of somebody else's shard, or of returns, may still find something.
            if let Some(shape) = Shape::of(layout, self.shared.geometry())
                && let Some((head, starts)) = blocks.reuse(shape, window)
            {
                return Ok(Carved::new(head, Place::of_packed(starts)));
            }
            self.carve(blocks, layout, window)
        });
        emptied.retire();
        carved
    }

    fn carve(
        self: &Arc<Self>,
        blocks: &mut Blocks<Arc<BlockHeader>>,
        layout: &Layout,
        window: Window,
    ) -> Result<Carved> {
        let parts = self.shared.parts(layout)?;
        // Oversize requests get blocks of their own.
        let is_oversize = self.shared.is_oversize(layout);
        if !is_oversize && let Some((head, starts)) = blocks.carve_ready(&parts, window) {
            return Ok(Carved::new(head, Place::of_packed(starts)));
        }
        // What is written to is known here only, so this is where views that nobody needs are noticed.
        if blocks.has_many_views() && self.is_idle(blocks) {
            blocks.close_first_views();
        }
        if !is_oversize && let Some((index, spans)) = blocks.carve(&parts, window)? {
            return self.settle(blocks, index, &spans);
        }
        let (block, spans) = self.shared.new_block(&parts, window, blocks.code_share())?;
        let index = blocks.adopt(Box::new(block), |index, block| self.head(index, block));
        self.settle(blocks, index, &spans)
    }

    /// Says whose the spans are now. If there is no memory for that, they are taken back.
    fn settle(
        &self,
        blocks: &mut Blocks<Arc<BlockHeader>>,
        index: usize,
        spans: &Spans,
    ) -> Result<Carved> {
        let Some(place) = Place::new(spans) else {
            self.note_landed();
            self.take_back(blocks, index as u32, *spans, false);
            return Err(Refusal::foreseen("malloc", 16, Limit::Memory).into());
        };
        Ok(Carved::new(blocks.head(index), place))
    }

    fn head(self: &Arc<Self>, index: usize, block: &Block) -> Arc<BlockHeader> {
        self.shared.enter(block.page_map());
        Arc::new(BlockHeader {
            shard: Arc::clone(self),
            index: index as u32,
            page_map: Arc::clone(block.page_map()),
            backing: Arc::clone(block.pages().backing()),
        })
    }

    /// Whether nothing is in flight.
    fn is_idle(&self, blocks: &Blocks<Arc<BlockHeader>>) -> bool {
        blocks.begun() == self.landed()
    }

    fn landed(&self) -> u64 {
        self.landed_here.load(Ordering::Acquire) + self.landed_elsewhere.load(Ordering::Acquire)
    }

    /// One allocation less is in flight: it is published, or about to be freed.
    #[inline]
    fn note_landed(&self) {
        if self.is_mine() {
            // Nobody else changes it.
            let landed = self.landed_here.load(Ordering::Relaxed);
            self.landed_here.store(landed + 1, Ordering::Release);
        } else {
            self.note_landed_elsewhere();
        }
    }

    #[cold]
    fn note_landed_elsewhere(&self) {
        self.landed_elsewhere.fetch_add(1, Ordering::Release);
    }

    /// Takes back what begins at `starts` in the block of `head` the short way: see [`Shard::reuse`].
    #[inline]
    fn rest(&self, head: &BlockHeader, starts: Packed) -> bool {
        if self.quarantine != Quarantine::Off {
            return false;
        }
        let blocks = self.enter();
        blocks.is_some_and(|mut blocks| blocks.rest(head.index as usize, starts))
    }

    /// Takes back what is at `place` in the block of `head`, which nobody uses any more.
    #[cold]
    fn free(&self, head: &BlockHeader, place: &Place) -> Emptied {
        // In a child, what is freed stays as it is: its parent runs it.
        if self.shared.is_forked() {
            return Emptied(None);
        }
        let spans = head.spans_at(place);
        if self.is_mine() {
            return self
                .with(|blocks| self.take_back(blocks, head.index, spans, false))
                .1;
        }
        Self::free_from_elsewhere(head, spans)
    }

    #[cold]
    fn quarantine(&self, blocks: &mut Blocks<Arc<BlockHeader>>, returned: Returned) {
        let mut returned = returned;
        if self.quarantine == Quarantine::Trapping && !returned.is_clean {
            returned.spans = blocks.block(returned.index).clean(&returned.spans);
            returned.is_clean = true;
        }
        if self.returns.is_closed() {
            blocks.free(&returned, |blocks| self.is_idle(blocks));
        } else {
            blocks.quarantine(returned, self.shared.period());
        }
    }

    /// Takes back what was freed in this period or before.
    pub(crate) fn end_grace(&self, period: u64) {
        let ((), emptied) =
            self.with(|blocks| blocks.end_grace(period, |blocks| self.is_idle(blocks)));
        emptied.retire();
    }

    #[cold]
    fn free_from_elsewhere(head: &BlockHeader, spans: Spans) -> Emptied {
        // Whoever takes the spans may retire the block and, with it, this shard, while this thread is still in here.
        let shard = Arc::clone(&head.shard);
        if shard.quarantine == Quarantine::Intact {
            return shard
                .with(|blocks| shard.take_back(blocks, head.index, spans, false))
                .1;
        }
        let cleaned = head.clean(&spans);
        if thread_id::is_taken(shard.number) {
            head.note_returned(&cleaned);
            match shard.returns.hand_in((head.index, cleaned)) {
                Ok(Taker::Next) => return Emptied(None),
                Ok(Taker::Giver) => return shard.with(|_| ()).1,
                Err((index, spans)) => {
                    return shard
                        .with(|blocks| shard.take_returned(blocks, index, spans))
                        .1;
                }
            }
        }
        shard
            .with(|blocks| shard.take_back(blocks, head.index, cleaned, true))
            .1
    }

    /// Gives back the blocks of which nothing is used, and the writable views if nothing is being written.
    pub(crate) fn trim(&self) {
        let ((), emptied) = self.with(|blocks| {
            if self.is_idle(blocks) {
                blocks.close_views();
            }
            blocks.drain();
        });
        emptied.retire();
    }

    /// No request will come any more: what is empty goes back, and so does what becomes empty.
    pub(crate) fn close(&self) -> Emptied {
        self.returns.close();
        let ((), emptied) = self.with(|blocks| {
            blocks.keep_no_spare();
            blocks.end_grace(u64::MAX, |blocks| self.is_idle(blocks));
            blocks.drain();
        });
        emptied
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let ((), emptied) = self.with(|blocks| {
            blocks.count(stats);
            stats.in_flight += blocks.begun() - self.landed();
        });
        emptied.retire();
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        let (pictures, emptied) = self.with(|blocks| blocks.pictures());
        emptied.retire();
        pictures
    }
}

impl BlockHeader {
    #[inline]
    fn spans_at(&self, place: &Place) -> Spans {
        let geometry = self.shard.shared.geometry();
        let (mut starts, mut sizes) = ([0; 3], [0; 3]);
        for protection in Protection::ALL {
            if let Some(offset) = place.offset(protection) {
                let runs = self.page_map.runs(geometry.slab_of(protection));
                starts[protection.index()] = (offset / GRANULE) as u32;
                sizes[protection.index()] = (runs.run_at(offset).size / GRANULE) as u32;
            }
        }
        Spans::new(starts, sizes)
    }

    /// Notes that spans are freed although their owner does not know yet.
    fn note_returned(&self, spans: &Spans) {
        let geometry = self.shard.shared.geometry();
        for (protection, span) in spans.iter() {
            let runs = self.page_map.runs(geometry.slab_of(protection));
            runs.set_returned(span.offset, true);
        }
    }

    /// Makes spans that nobody uses safe to lie around, past all views. What the system does not let us clean is not among what comes
    /// back, and is never given out again.
    fn clean(&self, spans: &Spans) -> Spans {
        let geometry = self.shard.shared.geometry();
        spans.filter(|protection, span| {
            let slab = geometry.slab_of(protection);
            // SAFETY: the span is carved, committed for its slab, and no longer used.
            unsafe { self.backing.retract(span, slab, None) }.is_ok()
        })
    }
}
