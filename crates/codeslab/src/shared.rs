//! What all shards of a memory share: its configuration, and where blocks come from.

use crate::address::{Address, Window};
use crate::biased::ProcessBarrier;
use crate::block::Block;
use crate::budget::Budget;
use crate::cluster::{Clusters, Site};
use crate::directory::Directory;
use crate::division::{Division, Part, Parts, Spans};
use crate::error::{Error, Result};
use crate::ground::{Ground, backing_for};
use crate::layout::{Layout, MAXIMUM_ALIGN};
use crate::ledger::Ledger;
use crate::parking::Parking;
use crate::protection::Protection;
use crate::stats::{Configuration, Stats};
use crate::sys::Platform;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all shards of a memory share.
#[derive(Debug)]
pub(crate) struct Shared {
    platform: Arc<dyn Platform>,
    configuration: Configuration,
    division: Division,
    generation: u32,
    clusters: Mutex<Clusters>,
    parking: Parking,
    directory: Directory,
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

impl Shared {
    pub(crate) fn new(platform: Arc<dyn Platform>, configuration: Configuration) -> Self {
        let facts = platform.facts();
        let division = Division {
            constants: configuration.constants,
            writer: configuration.writer,
            page_bytes: facts.page_size.bytes(),
            granularity: facts.granularity,
        };
        let backing = backing_for(configuration.writer, configuration.sealing);
        let clusters = Clusters::new(Arc::clone(&platform), configuration.reach, backing);
        let generation = platform.generation();
        let barrier = Barrier {
            platform: Arc::clone(&platform),
            is_available: facts.has_process_barrier,
        };
        Self {
            platform,
            configuration,
            division,
            generation,
            clusters: Mutex::new(clusters),
            parking: Parking::default(),
            directory: Directory::default(),
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
    pub(crate) fn is_forked(&self) -> bool {
        self.platform.generation() != self.generation
    }

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

    /// Whether a request is too large for blocks of the usual size.
    pub(crate) fn is_oversize(&self, layout: &Layout) -> bool {
        layout.size() > self.configuration.block_size
    }

    /// Bytes of a fresh block that holds all parts for certain.
    fn bytes_needed(&self, parts: &Parts) -> Result<u64> {
        let limit = self.configuration.reach.largest_block();
        let needed = self
            .division
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
        if let Some(found) = self.parking.carve(parts, window)? {
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
        let ground = Ground::new(
            site.reservation,
            site.offset,
            site.size,
            self.configuration.writer,
            Arc::clone(&self.budget),
        );
        let place = ground.place();
        Block::new(ground, self.division, site.cluster).map_err(|refusal| {
            self.clusters().give_back(&reservation, place);
            refusal.into()
        })
    }

    /// Address space for a block: of the usual size where that is enough and there is room in the window, else smaller, at
    /// last to measure.
    fn take_site(&self, needed: u64, align: u64, window: Window) -> Result<Site> {
        let usual = self.configuration.block_size.max(needed);
        let sizes = std::iter::successors(Some(usual), |size| {
            (*size > needed).then(|| (size / 2).max(needed))
        });
        let mut clusters = self.clusters();
        for size in sizes {
            let align = if size > needed {
                self.block_align(size)
            } else {
                align
            };
            if let Some(site) = clusters.take(size, align, window)? {
                return Ok(site);
            }
        }
        Err(clusters.out_of_reach(needed, align, window))
    }

    /// What blocks for many requests are aligned to, so that any of them fits.
    fn block_align(&self, size: u64) -> u64 {
        size.min(MAXIMUM_ALIGN).max(self.division.granularity)
    }

    /// Gives an empty block back. If the system does not let go of its pages, it is kept for requests to come.
    pub(crate) fn retire(&self, mut block: Block) {
        self.directory.remove(block.ledger());
        let place = block.mapping().ground().place();
        let reservation = Arc::clone(block.mapping().ground().reservation());
        if block.decommit().is_ok() {
            drop(block);
            self.clusters().give_back(&reservation, place);
        } else {
            self.parking.park(block);
        }
    }

    /// Gives back address space in which there is no block.
    pub(crate) fn trim(&self) {
        // What was refused once may be granted now.
        for block in self.parking.drain() {
            self.retire(block);
        }
        self.clusters().trim();
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    pub(crate) const fn barrier(&self) -> &Barrier {
        &self.barrier
    }

    /// Makes a block known to whoever looks for an address.
    pub(crate) fn enter(&self, ledger: &Arc<Ledger>) {
        self.directory.insert(ledger);
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
        let ledger = self.directory.find(address)?;
        let (span, slab) = ledger.used_at(address)?;
        let start = ledger.range().first().checked_add(span.offset)?;
        Some((start, span.size, slab))
    }

    pub(crate) const fn division(&self) -> &Division {
        &self.division
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let clusters = self.clusters();
        stats.clusters += clusters.count() as u64;
        stats.reserved_bytes += clusters.reserved_bytes();
        self.parking.count(stats);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // In a child, address space may be given back only by exec or exit: see `Shard`.
        if self.is_forked() {
            self.clusters().forget();
            self.parking.forget();
        }
    }
}
