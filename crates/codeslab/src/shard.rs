//! A shard: blocks that some of the threads carve from, so that threads do not wait for each other.
//!
//! An allocation holds its shard and not the memory: a count that all threads change would be a place where they meet. Locks are
//! taken in this order: a shard's blocks, then the clusters. Bytes are written and published under no lock.

use crate::address::{Address, Window};
use crate::blocks::Blocks;
use crate::division::{Parts, Spans};
use crate::error::Result;
use crate::layout::Layout;
use crate::lent::Bytes;
use crate::protection::Protection;
use crate::shared::Shared;
use crate::stats::{BlockPicture, Stats};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A shard, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    shared: Arc<Shared>,
    blocks: Mutex<Blocks>,
    // Allocations that were published or given up, of all there ever were: see `Blocks::begun`.
    landed: AtomicU64,
}

/// Where in its shard an allocation is: 24 bytes, because there are as many as there are allocations. How long its spans are,
/// the slabs know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    base: Address,
    block: u32,
    // In units of `UNIT` bytes from `base`.
    starts: [u32; 3],
}

/// The bytes of each segment that is being written.
pub(crate) type Segments = [Option<Bytes>; 3];

/// Every span begins at a multiple of this many bytes.
const UNIT: u64 = 16;
/// Stands for no span.
const NOWHERE: u32 = u32::MAX;

impl Place {
    fn new(block: usize, base: Address, spans: &Spans) -> Self {
        let starts = spans.map(|span| span.map_or(NOWHERE, |span| (span.offset / UNIT) as u32));
        Self {
            base,
            block: block as u32,
            starts,
        }
    }

    fn offset(&self, protection: Protection) -> Option<u64> {
        let start = self.starts[protection.index()];
        (start != NOWHERE).then(|| u64::from(start) * UNIT)
    }

    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        self.base.checked_add(self.offset(protection)?)
    }
}

impl Shard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            blocks: Mutex::default(),
            landed: AtomicU64::new(0),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        // A panic under this lock would be a broken invariant of ours; going on is no worse than stopping everybody.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carves `layout` out of a block in `window`, and lends what was carved. One more allocation is in flight then.
    pub(crate) fn allocate(&self, layout: &Layout, window: Window) -> Result<(Place, Segments)> {
        self.shared.check_process()?;
        let parts = self.shared.parts(layout)?;
        let mut blocks = self.lock();
        // What is written to is known here only, so this is where views that nobody needs are noticed.
        if blocks.has_many_views() && self.is_idle(&blocks) {
            blocks.close_views();
        }
        // Oversize requests get blocks of their own.
        let found = if self.shared.is_oversize(layout) {
            None
        } else {
            blocks.carve(&parts, window)?
        };
        let (index, spans) = match found {
            Some(found) => found,
            None => self.carve_from_new_block(&mut blocks, &parts, window)?,
        };
        let block = blocks.block(index);
        let place = Place::new(index, block.range().first(), &spans);
        let lent = block.lend(&parts, &spans);
        drop(blocks);
        match lent {
            Ok(segments) => Ok((place, segments)),
            Err(refusal) => {
                self.note_landed();
                self.free(place);
                Err(refusal.into())
            }
        }
    }

    fn carve_from_new_block(
        &self,
        blocks: &mut Blocks,
        parts: &Parts,
        window: Window,
    ) -> Result<(usize, Spans)> {
        let share = blocks.code_share();
        let (block, spans) = self.shared.new_block(parts, window, share)?;
        Ok((blocks.adopt(Box::new(block)), spans))
    }

    /// Makes what was lent executable, readable, writable, each as it should be.
    pub(crate) fn publish(&self, place: Place, segments: &Segments) -> Result<()> {
        self.shared.check_process()?;
        let platform = self.shared.platform();
        let writer = self.shared.configuration().writer;
        for protection in Protection::ALL {
            let (Some(bytes), Some(offset)) =
                (&segments[protection.index()], place.offset(protection))
            else {
                continue;
            };
            let slab = self.shared.division().slab_of(protection);
            if !bytes.are_published(writer, slab) {
                let publisher = self
                    .lock()
                    .block(place.block as usize)
                    .publisher(offset, slab);
                publisher.publish(platform, bytes, slab)?;
            }
            if let (Protection::ReadExecute, Some(at)) = (slab, place.address(protection)) {
                platform.synchronize_instructions(at, bytes.size());
            }
        }
        Ok(())
    }

    /// Whether nothing is in flight.
    fn is_idle(&self, blocks: &Blocks) -> bool {
        blocks.begun() == self.landed.load(Ordering::Acquire)
    }

    /// One allocation less is in flight: it is published, or about to be freed.
    pub(crate) fn note_landed(&self) {
        self.landed.fetch_add(1, Ordering::Release);
    }

    /// Takes an allocation back that nobody uses any more.
    pub(crate) fn free(&self, place: Place) {
        // In a child, what is freed stays as it is: its parent runs it.
        if self.shared.is_forked() {
            return;
        }
        let offsets = Protection::ALL.map(|protection| place.offset(protection));
        let usual = self.shared.configuration().block_size;
        let mut blocks = self.lock();
        let is_idle = self.is_idle(&blocks);
        let drained = blocks.free(place.block as usize, &offsets, usual, is_idle);
        drop(blocks);
        if let Some(block) = drained {
            self.shared.retire(*block);
        }
    }

    /// Gives back the blocks of which nothing is used, and the writable views if nothing is being written.
    pub(crate) fn trim(&self) {
        let mut blocks = self.lock();
        if self.is_idle(&blocks) {
            blocks.close_views();
        }
        drop(blocks);
        let drained = self.lock().drain();
        for block in drained {
            self.shared.retire(*block);
        }
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let blocks = self.lock();
        blocks.count(stats);
        stats.in_flight += blocks.begun() - self.landed.load(Ordering::Acquire);
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        self.lock().pictures()
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        // A child's giving back would punch holes into files that its parent runs from. Exec or exit cleans up.
        if self.shared.is_forked() {
            self.lock().forget();
        }
    }
}
