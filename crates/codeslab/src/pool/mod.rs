//! What all shards of a memory share: its configuration, and where blocks come from.

pub(crate) mod address_index;
pub(crate) mod blocks;
pub(crate) mod retained;
pub(crate) mod shard;

use crate::block::Block;
use crate::block::geometry::{Geometry, Part, Parts, Spans};
use crate::block::page_map::PageMap;
use crate::model::address::{Address, Window};
use crate::model::error::{Error, Result};
use crate::model::layout::{Layout, MAXIMUM_ALIGN};
use crate::model::protection::Protection;
use crate::model::stats::{Configuration, Stats};
use crate::pool::address_index::AddressIndex;
use crate::pool::retained::Retained;
use crate::slab::span::Span;
use crate::space::budget::Budget;
use crate::space::clusters::{Clusters, Site};
use crate::space::reservation::Reservation;
use crate::space::search::{Search, Wanted};
use crate::sync::biased_lock::ProcessBarrier;
use crate::sys::Platform;
use crate::write::backing::{Backing, backing_for};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What all shards of a memory share.
#[derive(Debug)]
pub(crate) struct Pool {
    platform: Arc<dyn Platform>,
    configuration: Configuration,
    geometry: Geometry,
    generation: u32,
    // What says without a call whether this is still that generation.
    mark: Option<&'static AtomicU32>,
    publishes_by_writing: bool,
    claims: Search,
    // The system is called when this is not locked only: all shards wait for it.
    clusters: Mutex<Clusters>,
    // Told whenever somebody is done with claiming.
    claim_ended: Condvar,
    retained: Retained,
    index_of_addresses: AddressIndex,
    barrier: Barrier,
    budget: Arc<Budget>,
    // The period in which something is freed now.
    period: AtomicU64,
}

/// The system's barrier for all threads of this process.
#[derive(Debug)]
pub(crate) struct Barrier {
    platform: Arc<dyn Platform>,
    is_available: bool,
}

impl ProcessBarrier for Barrier {
    #[inline]
    fn is_available(&self) -> bool {
        self.is_available
    }

    fn execute(&self) {
        self.platform.process_barrier();
    }
}

/// Somebody who is claiming address space, which others may be waiting for.
struct Claiming<'s> {
    shared: &'s Pool,
    changes: u64,
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        let is_awaited = self.shared.clusters().end_claim();
        if is_awaited {
            self.shared.claim_ended.notify_all();
        }
    }
}

impl Pool {
    pub(crate) fn new(platform: Arc<dyn Platform>, configuration: Configuration) -> Self {
        let facts = platform.facts();
        let geometry = Geometry::new(
            configuration.constants,
            configuration.writer,
            facts.page_size.bytes(),
            facts.granularity,
        );
        let backing = backing_for(configuration.writer, configuration.sealing);
        let claims = Search::new(Arc::clone(&platform), configuration.reach, backing);
        let generation = platform.generation();
        let mark = platform.generation_mark();
        let barrier = Barrier {
            platform: Arc::clone(&platform),
            is_available: facts.has_process_barrier,
        };
        Self {
            platform,
            configuration,
            geometry,
            generation,
            mark,
            publishes_by_writing: !geometry.publishes() && facts.fetches_are_coherent,
            claims,
            clusters: Mutex::new(Clusters::new(configuration.reach)),
            claim_ended: Condvar::new(),
            retained: Retained::default(),
            index_of_addresses: AddressIndex::default(),
            barrier,
            budget: Arc::new(Budget::new(
                configuration.max_committed,
                configuration.max_mappings,
            )),
            period: AtomicU64::new(0),
        }
    }

    pub(crate) const fn configuration(&self) -> Configuration {
        self.configuration
    }

    fn clusters(&self) -> MutexGuard<'_, Clusters> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The segments of a request as parts to carve.
    pub(crate) fn parts(&self, layout: &Layout) -> Result<Parts> {
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
                let slab = self.geometry.slab_of(protection);
                parts[protection.index()] = Some(Part {
                    slab,
                    size: segment.size,
                    align: segment.align,
                });
            }
        }
        Ok(parts)
    }

    /// Whether a request is too large for blocks of the usual size.
    pub(crate) fn is_oversize(&self, layout: &Layout) -> bool {
        layout.size() > self.configuration.block_size
    }

    /// Bytes of a fresh block that holds all parts for certain.
    fn bytes_needed(&self, parts: &Parts) -> Result<u64> {
        let limit = self.configuration.reach.largest_block();
        let needed = self
            .geometry
            .bytes_for_all(parts)
            .filter(|needed| *needed <= limit);
        needed.ok_or_else(|| Error::TooLarge {
            size: parts.iter().flatten().map(|part| part.size).sum(),
            limit,
        })
    }

    /// A fresh block in `window`, with what is carved from it for `parts`. `code_share` is what other blocks are like, see [`Block::grow_in_steps`].
    pub(crate) fn new_block(
        &self,
        parts: &Parts,
        window: Window,
        code_share: u64,
    ) -> Result<(Block, Spans)> {
        let needed = self.bytes_needed(parts)?;
        if let Some(found) = self.retained.carve(parts, window)? {
            return Ok(found);
        }
        let align = parts
            .iter()
            .flatten()
            .map(|part| part.align)
            .max()
            .unwrap_or(1);
        let site = self.take_site(needed, align, window)?;
        let (size, mut block) = (site.size, self.block_at(site)?);
        // A request that needs much of the block comes before all thought for others.
        if needed <= size / 4 {
            block.grow_in_steps(code_share);
        }
        match block.carve(parts) {
            Ok(Some(spans)) => {
                block.grow_in_steps(code_share);
                Ok((block, spans))
            }
            refused => {
                self.retire(block);
                let size = needed;
                let limit = self.configuration.reach.largest_block();
                Err(refused
                    .err()
                    .map_or(Error::TooLarge { size, limit }, Error::Refused))
            }
        }
    }

    fn block_at(&self, site: Site) -> Result<Block> {
        let reservation = Arc::clone(&site.reservation);
        let backing = Backing::new(
            site.reservation,
            site.offset,
            site.size,
            self.configuration.writer,
            Arc::clone(&self.budget),
        );
        let place = backing.place();
        Block::new(backing, self.geometry, site.cluster).map_err(|refusal| {
            self.give_back(&reservation, place);
            refusal.into()
        })
    }

    /// Address space for a block. Others may be claiming some at the same time: who finds nothing waits for them, and looks
    /// again if there is more room then. It may be what they did not need, or more than they needed.
    fn take_site(&self, needed: u64, align: u64, window: Window) -> Result<Site> {
        loop {
            let claiming = self.begin_claim();
            let found = self.try_sizes(needed, align, window);
            let changes = claiming.changes;
            drop(claiming);
            match found {
                Ok(Some(site)) => return Ok(site),
                _ if self.has_changed_since(changes) => {}
                Ok(None) => return Err(self.claims.out_of_reach(needed, align, window)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sees to it that there is room for a block in a window, without opening one.
    pub(crate) fn reserve(&self, window: Window) -> Result<()> {
        self.check_process()?;
        let site = self.take_site(self.geometry.granularity, 1, window)?;
        let place = Span {
            offset: site.offset,
            size: site.size,
        };
        self.clusters().restore(&site.reservation, place);
        Ok(())
    }

    fn begin_claim(&self) -> Claiming<'_> {
        let changes = self.clusters().begin_claim();
        Claiming {
            shared: self,
            changes,
        }
    }

    /// Whether there may be more room than there was, when nobody is claiming any.
    fn has_changed_since(&self, changes: u64) -> bool {
        let mut clusters = self.clusters();
        loop {
            if let Some(has_changed) = clusters.has_changed_since(changes) {
                return has_changed;
            }
            clusters.begin_waiting();
            let waited = self.claim_ended.wait(clusters);
            clusters = waited.unwrap_or_else(PoisonError::into_inner);
            clusters.end_waiting();
        }
    }

    /// A site of the usual size where that is enough and there is room in the window, else a smaller one, at last one to
    /// measure.
    fn try_sizes(&self, needed: u64, align: u64, window: Window) -> Result<Option<Site>> {
        let usual = self.configuration.block_size.max(needed);
        let sizes = std::iter::successors(Some(usual), |size| {
            (*size > needed).then(|| (size / 2).max(needed))
        });
        for size in sizes {
            let align = if size > needed {
                self.block_align(size)
            } else {
                align
            };
            let Some(wanted) = self.claims.wanted(size, needed, align, window) else {
                return Ok(None);
            };
            let found = self.find_site(wanted)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Looks for address space in what is reserved, under the lock, and claims more, under none. `None` if there is no room.
    fn find_site(&self, wanted: Wanted<'_>) -> Result<Option<Site>> {
        let mut clusters = self.clusters();
        if let Some(site) = clusters.take(wanted) {
            return Ok(Some(site));
        }
        let neighbourhoods = clusters.neighbourhoods(wanted.window);
        let file = clusters.shared_file();
        drop(clusters);
        let wanted = Wanted {
            file: file.as_ref(),
            ..wanted
        };
        self.settle(wanted, self.claims.claim(wanted, &neighbourhoods))
    }

    /// Looks again with what was claimed meanwhile.
    fn settle(
        &self,
        wanted: Wanted<'_>,
        claimed: Result<Option<Reservation>>,
    ) -> Result<Option<Site>> {
        let mut clusters = self.clusters();
        if let Some(site) = clusters.take(wanted) {
            drop(clusters);
            // Somebody else made room. Ours goes back, and if the system refused us, maybe because of theirs, no matter.
            drop(claimed);
            self.clusters().note_change();
            return Ok(Some(site));
        }
        let Some(reservation) = claimed? else {
            return Ok(None);
        };
        clusters.insert(reservation);
        Ok(clusters.take(wanted))
    }

    /// What blocks for many requests are aligned to, so that any of them fits.
    fn block_align(&self, size: u64) -> u64 {
        size.min(MAXIMUM_ALIGN).max(self.geometry.granularity)
    }

    /// Gives an empty block back. If the system does not let go of its pages, it is kept for requests to come.
    pub(crate) fn retire(&self, mut block: Block) {
        self.index_of_addresses.remove(block.page_map());
        let place = block.pages().backing().place();
        let reservation = Arc::clone(block.pages().backing().reservation());
        if block.decommit().is_ok() {
            drop(block);
            self.give_back(&reservation, place);
        } else {
            self.retained.park(block);
        }
    }

    /// Takes the place of a block back. A reservation that is unused then goes back to the system when the lock is let go.
    fn give_back(&self, reservation: &Arc<Reservation>, place: Span) {
        let unused = self.clusters().give_back(reservation, place);
        drop(unused);
    }

    /// Gives back address space in which there is no block.
    pub(crate) fn trim(&self) {
        // What was refused once may be granted now.
        for block in self.retained.drain() {
            self.retire(block);
        }
        let unused = self.clusters().drain_unused();
        drop(unused);
    }

    /// Whether somebody holds the lock that all shards share.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.clusters.try_lock().is_err()
    }

    /// How many are claiming address space.
    #[cfg(test)]
    pub(crate) fn claimants(&self) -> usize {
        self.clusters().claimants()
    }

    /// Whether what is written is published when it is written, and nothing is left to do. The compiler does not move the stores
    /// behind this.
    #[inline]
    pub(crate) fn publishes_by_writing(&self) -> bool {
        compiler_fence(Ordering::SeqCst);
        self.publishes_by_writing
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    #[inline]
    pub(crate) const fn barrier(&self) -> &Barrier {
        &self.barrier
    }

    /// Makes a block known to whoever looks for an address.
    pub(crate) fn enter(&self, page_map: &Arc<PageMap>) {
        self.index_of_addresses.insert(page_map);
    }

    /// The period in which something is freed now.
    pub(crate) fn period(&self) -> u64 {
        self.period.load(Ordering::Acquire)
    }

    /// Ends the period, and says which it was.
    pub(crate) fn next_period(&self) -> u64 {
        self.period.fetch_add(1, Ordering::AcqRel)
    }

    /// The span in use that an address lies in, where it begins, and its slab.
    pub(crate) fn find(&self, address: Address) -> Option<(Address, u64, Protection)> {
        let page_map = self.index_of_addresses.find(address)?;
        let (span, slab) = page_map.used_at(address)?;
        let start = page_map.range().first().checked_add(span.offset)?;
        Some((start, span.size, slab))
    }

    #[inline]
    pub(crate) const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let clusters = self.clusters();
        stats.clusters += clusters.count() as u64;
        stats.reserved_bytes += clusters.reserved_bytes();
        self.retained.count(stats);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // In a child, address space may be given back only by exec or exit: see `Shard`.
        if self.is_forked() {
            self.clusters().forget();
            self.retained.forget();
        }
    }
}
