//! What all handles and allocations of a memory share: the shards, and where their blocks come from.
//!
//! Each thread carves from the blocks of one shard, so threads do not wait for each other. Locks are taken in this order: a
//! shard, then the clusters. Bytes are written, published and staged under no lock.

use crate::address::{Address, Window};
use crate::block::{Block, Division, Part, Parts, Spans, bytes_needed};
use crate::cluster::{Clusters, Site};
use crate::error::{Error, Result};
use crate::layout::{Layout, MAXIMUM_ALIGN};
use crate::mapping::{Bytes, Mapping, Publisher, backing_for};
use crate::protection::Protection;
use crate::shard::{Freed, Shard};
use crate::stats::{BlockPicture, Configuration, Stats};
use crate::sys::Platform;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most shards there are; more threads share them.
const MOST_SHARDS: usize = 16;

/// What all handles and allocations of a memory have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    platform: Arc<dyn Platform>,
    configuration: Configuration,
    division: Division,
    process_id: u32,
    shards: Box<[ShardCell]>,
    clusters: Mutex<Clusters>,
}

/// A shard on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ShardCell {
    shard: Mutex<Shard>,
    in_flight: AtomicU64,
}

impl ShardCell {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // A panic under this lock would be a broken invariant of ours; going on is no worse than stopping everybody.
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an allocation is: 24 bytes, because there are as many as there are allocations. How long its spans are, the slabs
/// know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    base: Address,
    // The block's index in its shard times the number of shards, plus the shard's index.
    block: u32,
    // In units of `UNIT` bytes from `base`.
    starts: [u32; 3],
}

/// The bytes of each segment that is being written, and how to publish them.
pub(crate) type Segments = [Option<(Bytes, Publisher)>; 3];

/// Every span begins at a multiple of this many bytes.
const UNIT: u64 = 16;
/// Stands for no span.
const NOWHERE: u32 = u32::MAX;

impl Place {
    fn offset(&self, protection: Protection) -> Option<u64> {
        let start = self.starts[protection.index()];
        (start != NOWHERE).then(|| u64::from(start) * UNIT)
    }

    fn offsets(&self) -> [Option<u64>; 3] {
        Protection::ALL.map(|protection| self.offset(protection))
    }

    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        self.base.checked_add(self.offset(protection)?)
    }
}

thread_local! {
    /// Which shard this thread carves from, counted without end.
    static TURN: Cell<Option<usize>> = const { Cell::new(None) };
}

fn turn_of_this_thread() -> usize {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    TURN.with(|turn| {
        turn.get().unwrap_or_else(|| {
            let mine = TURNS.fetch_add(1, Ordering::Relaxed);
            turn.set(Some(mine));
            mine
        })
    })
}

impl Shared {
    pub(crate) fn new(platform: Arc<dyn Platform>, configuration: Configuration) -> Self {
        let facts = platform.facts();
        let division = Division {
            constants: configuration.constants,
            writer: configuration.writer,
            page_bytes: facts.page_size.bytes(),
            granularity: facts.granularity,
        };
        let shards = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_SHARDS);
        let align = configuration
            .block_size
            .min(MAXIMUM_ALIGN)
            .max(facts.granularity);
        let backing = backing_for(configuration.writer);
        let clusters = Clusters::new(Arc::clone(&platform), configuration.reach, backing, align);
        Self {
            process_id: platform.process_id(),
            platform,
            configuration,
            division,
            shards: (0..shards).map(|_| ShardCell::default()).collect(),
            clusters: Mutex::new(clusters),
        }
    }

    fn clusters(&self) -> MutexGuard<'_, Clusters> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_forked(&self) -> bool {
        self.platform.process_id() != self.process_id
    }

    /// Memory files are shared with a forked child: what it wrote would overwrite its parent's code.
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.is_forked() {
            Err(Error::Forked)
        } else {
            Ok(())
        }
    }

    /// Carves `layout` out of a block in `window`, and lends what was carved.
    pub(crate) fn allocate(&self, layout: &Layout, window: Window) -> Result<(Place, Segments)> {
        self.check_process()?;
        let parts = self.parts(layout)?;
        let shard_index = turn_of_this_thread() % self.shards.len();
        let cell = &self.shards[shard_index];
        let mut shard = cell.lock();
        let (index, spans) = match shard.carve(&parts, window)? {
            Some(found) => found,
            None => self.carve_from_new_block(cell, &mut shard, &parts, window)?,
        };
        let block = shard.block(index);
        let place = Place {
            base: block.range().first(),
            block: (index * self.shards.len() + shard_index) as u32,
            starts: spans.map(|span| span.map_or(NOWHERE, |span| (span.offset / UNIT) as u32)),
        };
        cell.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok((place, block.lend(&parts, &spans)))
    }

    /// The segments of a request as parts to carve.
    fn parts(&self, layout: &Layout) -> Result<Parts> {
        if layout.size() == 0 {
            return Err(Error::EmptyRequest);
        }
        let maximum = self.configuration.block_size.min(MAXIMUM_ALIGN);
        let mut parts = [None; 3];
        for protection in Protection::ALL {
            let segment = layout.segment(protection);
            if segment.align > maximum {
                return Err(Error::InvalidAlignment {
                    align: segment.align,
                    maximum,
                });
            }
            if segment.size > 0 {
                let slab = self.division.slab_of(protection);
                parts[protection.index()] = Some(Part {
                    slab,
                    size: segment.size,
                    align: segment.align,
                });
            }
        }
        Ok(parts)
    }

    fn carve_from_new_block(
        &self,
        cell: &ShardCell,
        shard: &mut Shard,
        parts: &Parts,
        window: Window,
    ) -> Result<(usize, Spans)> {
        let limit = self.configuration.reach.largest_block();
        let too_large = || Error::TooLarge {
            size: parts.iter().flatten().map(|part| part.size).sum(),
            limit,
        };
        let needed =
            bytes_needed(parts, self.division.granularity).filter(|needed| *needed <= limit);
        let needed = needed.ok_or_else(too_large)?;
        let site = self.take_site(needed, window)?;
        let mapping = Mapping::new(
            site.reservation,
            site.offset,
            site.size,
            self.configuration.writer,
        );
        let mut block = Block::new(mapping, self.division, site.cluster);
        // A request that needs much of the block comes before all thought for others.
        if needed <= site.size / 4 {
            block.grow_in_steps(shard.code_share());
        }
        match block.carve(parts) {
            Ok(Some(spans)) => {
                block.grow_in_steps(shard.code_share());
                // Nothing more is written to the blocks before it, until something of them is reused.
                if cell.in_flight.load(Ordering::Acquire) == 0 {
                    shard.close_views();
                }
                Ok((shard.adopt(block), spans))
            }
            refused => {
                self.retire(block);
                Err(refused.err().map_or_else(too_large, Error::Refused))
            }
        }
    }

    /// Address space for a block: of the usual size where that is enough and fits the window, else to measure.
    fn take_site(&self, needed: u64, window: Window) -> Result<Site> {
        let usual = self.configuration.block_size;
        let mut clusters = self.clusters();
        if needed > usual {
            return clusters.take(needed, window);
        }
        match clusters.take(usual, window) {
            Err(Error::OutOfReach { .. }) if needed < usual => clusters.take(needed, window),
            answer => answer,
        }
    }

    pub(crate) fn publish(
        &self,
        publisher: &Publisher,
        bytes: &Bytes,
        protection: Protection,
    ) -> Result<()> {
        let protection = self.division.slab_of(protection);
        publisher.publish(&*self.platform, bytes, protection)?;
        if protection == Protection::ReadExecute {
            self.platform
                .synchronize_instructions(publisher.address(), publisher.size());
        }
        Ok(())
    }

    fn cell_of(&self, place: Place) -> &ShardCell {
        &self.shards[place.block as usize % self.shards.len()]
    }

    pub(crate) fn note_published(&self, place: Place) {
        self.cell_of(place)
            .in_flight
            .fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn abandon(&self, place: Place) {
        self.note_published(place);
        self.free(place);
    }

    /// Takes an allocation back that nobody uses any more.
    pub(crate) fn free(&self, place: Place) {
        if self.is_forked() {
            return;
        }
        let index = place.block as usize / self.shards.len();
        let usual = self.configuration.block_size;
        let freed = self
            .cell_of(place)
            .lock()
            .free(index, &place.offsets(), usual);
        if let Freed::Drained(block) = freed {
            self.retire(block);
        }
    }

    /// Gives an empty block back. If the system does not let go of its pages, its address space is not used again.
    fn retire(&self, mut block: Block) {
        let place = block.mapping().place();
        let reservation = Arc::clone(block.mapping().reservation());
        if block.reset().is_ok() {
            drop(block);
            self.clusters().give_back(&reservation, place);
        }
    }

    pub(crate) fn trim(&self) {
        if self.is_forked() {
            return;
        }
        for cell in &self.shards {
            let mut shard = cell.lock();
            shard
                .drain()
                .into_iter()
                .for_each(|block| self.retire(block));
        }
        self.clusters().trim();
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for cell in &self.shards {
            cell.lock().count(&mut stats);
            stats.in_flight += cell.in_flight.load(Ordering::Relaxed);
        }
        stats.live = stats.live.saturating_sub(stats.in_flight);
        let clusters = self.clusters();
        stats.clusters = clusters.count() as u64;
        stats.reserved_bytes = clusters.reserved_bytes();
        stats
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        let mut blocks: Vec<_> = self
            .shards
            .iter()
            .flat_map(|cell| cell.lock().pictures())
            .collect();
        blocks.sort_by_key(|block| block.address);
        blocks
    }

    pub(crate) const fn configuration(&self) -> Configuration {
        self.configuration
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A child's giving back would punch holes into files that its parent runs from. Exec or exit cleans up.
        if self.is_forked() {
            self.shards.iter().for_each(|cell| cell.lock().forget());
            self.clusters().forget();
        }
    }
}
