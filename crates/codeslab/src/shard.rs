//! A shard: blocks that one thread carves from, so that threads do not wait for each other.
//!
//! A shard's lock is biased to that thread. What others free they clean themselves and leave in a queue; what they allocate comes
//! from their own shards. So they meet where there are more threads than shards, and when somebody asks for everything: to
//! trim it or to count it. Locks are taken in this order: a shard's, then the clusters'. Bytes are written and published
//! under no lock.
#![allow(
    unsafe_code,
    reason = "an allocation refers to its block, which lives as long as it has allocations"
)]

use crate::address::{Address, Window};
use crate::biased::{Biased, Guard};
use crate::block::Block;
use crate::blocks::{Blocks, Held, Returned};
use crate::division::{GRANULE, Spans};
use crate::error::{Limit, Refusal, Result};
use crate::ground::Ground;
use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::lent::{Bases, Home, Lent, home, needs_own_pages};
use crate::magazine::Shape;
use crate::options::Quarantine;
use crate::place::Place;
use crate::protection::Protection;
use crate::returns::{Returns, Taker};
use crate::shared::Shared;
use crate::stats::{BlockPicture, Stats};
use crate::thread;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    shared: Arc<Shared>,
    // The number of the thread that it belongs to, while there is one.
    number: usize,
    blocks: Biased<Blocks<Arc<Head>>>,
    // Allocations that were published or given up, of all there ever were, by its thread and by others: see `Blocks::begun`.
    landed_here: AtomicU64,
    landed_elsewhere: AtomicU64,
    // Closed when no request will come any more.
    returns: Returns<(u32, Spans)>,
    quarantine: Quarantine,
}

/// What an allocation needs to know of its block without a lock. It holds the shard; so a shard lives as long as it has blocks.
#[derive(Debug)]
pub(crate) struct Head {
    shard: Arc<Shard>,
    index: u32,
    ledger: Arc<Ledger>,
    ground: Arc<Ground>,
}

/// What was just carved, and where it is written.
#[derive(Debug)]
#[must_use]
pub(crate) struct Carved {
    pub(crate) tenant: Tenant,
    pub(crate) bases: Bases,
}

/// What is carved out of a block for one request. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Tenant {
    // Invariant: the head of the block that `place` is carved from. The block keeps it.
    head: NonNull<Head>,
    place: Place,
}

// SAFETY: heads are shared between threads by reference, and the place is the tenant's own.
unsafe impl Send for Tenant {}
// SAFETY: likewise.
unsafe impl Sync for Tenant {}

/// Blocks of which nothing is used, on their way back to the system.
#[must_use]
#[expect(
    clippy::box_collection,
    reason = "a pointer is cheaper to look at than a vector"
)]
pub(crate) struct Emptied(Option<Box<Vec<Held<Arc<Head>>>>>);

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
fn retire(held: Held<Arc<Head>>) {
    let shard = Arc::clone(&held.head.shard);
    drop(held.head);
    shard.shared.retire(*held.block);
}

impl Shard {
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Self {
        let quarantine = shared.configuration().quarantine;
        Self {
            number,
            blocks: Biased::new(Blocks::new(shared.configuration().block_size)),
            shared,
            landed_here: AtomicU64::new(0),
            landed_elsewhere: AtomicU64::new(0),
            returns: Returns::default(),
            quarantine,
        }
    }

    #[inline]
    fn is_mine(&self) -> bool {
        thread::is_own(self.number)
    }

    /// Does something with its blocks, and afterwards, under no lock, gives back those that are empty.
    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut Blocks<Arc<Head>>) -> R) -> (R, Emptied) {
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
    fn take_returns(&self, blocks: &mut Guard<'_, Blocks<Arc<Head>>>) {
        // SAFETY: whoever has the lock is the only one.
        while let Some((index, spans)) = unsafe { self.returns.pop() } {
            self.take_returned(blocks, index, spans);
        }
    }

    fn take_returned(&self, blocks: &mut Blocks<Arc<Head>>, index: u32, spans: Spans) {
        blocks.block(index as usize).note_taken(&spans);
        self.take_back(blocks, index, spans, true);
    }

    #[inline]
    fn take_back(&self, blocks: &mut Blocks<Arc<Head>>, index: u32, spans: Spans, is_clean: bool) {
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
        self.shared.check_process()?;
        let shape = Shape::of(layout, self.shared.division());
        let (carved, emptied) = self.with(|blocks| {
            if let Some(shape) = &shape
                && let Some((index, spans)) = blocks.reuse(shape, window)?
            {
                return self.settle(blocks, index, &spans);
            }
            self.carve(blocks, layout, window)
        });
        emptied.retire();
        carved
    }

    fn carve(
        self: &Arc<Self>,
        blocks: &mut Blocks<Arc<Head>>,
        layout: &Layout,
        window: Window,
    ) -> Result<Carved> {
        let parts = self.shared.parts(layout)?;
        // What is written to is known here only, so this is where views that nobody needs are noticed.
        if blocks.has_many_views() && self.is_idle(blocks) {
            blocks.close_views();
        }
        // Oversize requests get blocks of their own.
        if !self.shared.is_oversize(layout)
            && let Some((index, spans)) = blocks.carve(&parts, window)?
        {
            return self.settle(blocks, index, &spans);
        }
        let (block, spans) = self.shared.new_block(&parts, window, blocks.code_share())?;
        let index = blocks.adopt(Box::new(block), |index, block| self.head(index, block));
        self.settle(blocks, index, &spans)
    }

    /// Says whose the spans are now. If there is no memory for that, they are taken back.
    #[inline]
    fn settle(
        &self,
        blocks: &mut Blocks<Arc<Head>>,
        index: usize,
        spans: &Spans,
    ) -> Result<Carved> {
        let Some(place) = Place::new(spans) else {
            self.note_landed();
            self.take_back(blocks, index as u32, *spans, false);
            return Err(Refusal::foreseen("malloc", 16, Limit::Memory).into());
        };
        Ok(Carved {
            tenant: Tenant {
                head: NonNull::from(&**blocks.head(index)),
                place,
            },
            bases: blocks.block(index).mapping().bases(),
        })
    }

    fn head(self: &Arc<Self>, index: usize, block: &Block) -> Arc<Head> {
        self.shared.enter(block.ledger());
        Arc::new(Head {
            shard: Arc::clone(self),
            index: index as u32,
            ledger: Arc::clone(block.ledger()),
            ground: Arc::clone(block.mapping().ground()),
        })
    }

    /// Whether nothing is in flight.
    fn is_idle(&self, blocks: &Blocks<Arc<Head>>) -> bool {
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
            self.landed_elsewhere.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes back what is at `place` in the block of `head`, which nobody uses any more.
    #[inline]
    fn free(&self, head: &Head, place: &Place) -> Emptied {
        // In a child, what is freed stays as it is: its parent runs it.
        if self.shared.is_forked() {
            return Emptied(None);
        }
        self.free_spans(head, head.spans_at(place))
    }

    #[inline]
    fn free_spans(&self, head: &Head, spans: Spans) -> Emptied {
        if self.is_mine() {
            return self
                .with(|blocks| self.take_back(blocks, head.index, spans, false))
                .1;
        }
        Self::free_from_elsewhere(head, spans)
    }

    #[cold]
    fn quarantine(&self, blocks: &mut Blocks<Arc<Head>>, returned: Returned) {
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
    fn free_from_elsewhere(head: &Head, spans: Spans) -> Emptied {
        // Whoever takes the spans may retire the block and, with it, this shard, while this thread is still in here.
        let shard = Arc::clone(&head.shard);
        if shard.quarantine == Quarantine::Intact {
            return shard
                .with(|blocks| shard.take_back(blocks, head.index, spans, false))
                .1;
        }
        let cleaned = head.clean(&spans);
        if thread::is_taken(shard.number) {
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

impl Head {
    #[inline]
    fn spans_at(&self, place: &Place) -> Spans {
        let division = self.shard.shared.division();
        let (mut starts, mut sizes) = ([0; 3], [0; 3]);
        for protection in Protection::ALL {
            if let Some(offset) = place.offset(protection) {
                let runs = self.ledger.runs(division.slab_of(protection));
                starts[protection.index()] = (offset / GRANULE) as u32;
                sizes[protection.index()] = (runs.run_at(offset).size / GRANULE) as u32;
            }
        }
        Spans::new(starts, sizes)
    }

    /// Notes that spans are freed although their owner does not know yet.
    fn note_returned(&self, spans: &Spans) {
        let division = self.shard.shared.division();
        for (protection, span) in spans.iter() {
            let runs = self.ledger.runs(division.slab_of(protection));
            runs.set_returned(span.offset, true);
        }
    }

    /// Makes spans that nobody uses safe to lie around, past all views. What the system does not let us clean is not among what comes
    /// back, and is never given out again.
    fn clean(&self, spans: &Spans) -> Spans {
        let division = self.shard.shared.division();
        spans.filter(|protection, span| {
            let slab = division.slab_of(protection);
            // SAFETY: the span is carved, committed for its slab, and no longer used.
            unsafe { self.ground.retract(span, slab, None) }.is_ok()
        })
    }
}

impl Tenant {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the invariant; the block lives as long as something is carved from it.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        &self.head().shard.shared
    }

    /// Where the segment of this protection is.
    #[inline]
    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        let offset = self.place.offset(protection)?;
        self.head().ledger.range().first().checked_add(offset)
    }

    /// Has what cannot be written in its place written elsewhere, for a request with this layout.
    #[inline]
    pub(crate) fn stage(&self, lent: &mut Lent, layout: &Layout) -> Result<()> {
        if self.shared().division().stages() {
            self.stage_all(lent, layout)?;
        }
        Ok(())
    }

    #[cold]
    fn stage_all(&self, lent: &mut Lent, layout: &Layout) -> Result<()> {
        for protection in Protection::ALL {
            let size = layout.segment(protection).size;
            if size > 0 && self.home(protection) == Home::Staged {
                let bytes = self.head().ground.stage(size)?;
                let staged = lent.stage(protection, bytes);
                staged.ok_or(Refusal::foreseen("malloc", size, Limit::Memory))?;
            }
        }
        Ok(())
    }

    fn slab_of(&self, protection: Protection) -> Protection {
        self.shared().division().slab_of(protection)
    }

    fn home(&self, protection: Protection) -> Home {
        home(self.shared().division().writer, self.slab_of(protection))
    }

    /// The bytes of a segment of `size` bytes, to be written before it is published. Data reads as zero.
    ///
    /// # Safety
    /// It was lent for this tenant, which is not published yet. The segment is as large.
    pub(crate) unsafe fn bytes_mut<'a>(
        &self,
        lent: &'a mut Lent,
        protection: Protection,
        size: u64,
    ) -> &'a mut [u8] {
        let Some(offset) = self.place.offset(protection) else {
            return &mut [];
        };
        // SAFETY: the span was carved for this tenant, so it is committed and nobody else's. The view was open when it was carved, and is
        // not closed while anything of the block is in flight.
        unsafe { lent.bytes_mut(self.home(protection), protection, offset, size) }
    }

    /// Makes what was lent executable, readable, writable, each as it should be.
    #[inline]
    pub(crate) fn publish(&self, lent: &Lent) -> Result<()> {
        let shared = self.shared();
        shared.check_process()?;
        if shared.division().publishes() {
            self.publish_all(lent)?;
        }
        Ok(())
    }

    /// What is executed of it: where, and how many bytes.
    #[inline]
    pub(crate) fn executed(&self, layout: &Layout) -> impl Iterator<Item = (Address, u64)> {
        Protection::ALL.into_iter().filter_map(|protection| {
            let is_code = self.slab_of(protection) == Protection::ReadExecute;
            let at = self.address(protection).filter(|_| is_code)?;
            Some((at, layout.segment(protection).size))
        })
    }

    #[cold]
    fn publish_all(&self, lent: &Lent) -> Result<()> {
        for protection in Protection::ALL {
            let slab = self.slab_of(protection);
            let staged = lent.staged(protection);
            let is_published =
                staged.is_none() && !needs_own_pages(self.shared().division().writer, slab);
            if let (false, Some(offset)) = (is_published, self.place.offset(protection)) {
                let Head { ledger, ground, .. } = self.head();
                let publisher = ground.publisher(ledger.runs(slab).run_at(offset));
                publisher.publish(ground.platform(), staged, slab)?;
            }
        }
        Ok(())
    }

    /// Gives back the end of a segment, all but the first `size` bytes. It is not published yet.
    pub(crate) fn shrink(&self, protection: Protection, size: u64) {
        let Some(offset) = self.place.offset(protection) else {
            return;
        };
        let head = self.head();
        let index = head.index as usize;
        let shrink = |blocks: &mut Blocks<_>| blocks.shrink(index, protection, offset, size);
        head.shard.with(shrink).1.retire();
    }

    /// It is published, or about to be freed.
    #[inline]
    pub(crate) fn note_landed(&self) {
        self.head().shard.note_landed();
    }
}

impl Drop for Tenant {
    #[inline]
    fn drop(&mut self) {
        let emptied = {
            let head = self.head();
            head.shard.free(head, &self.place)
        };
        emptied.retire();
    }
}
