//! Address space: where blocks may lie, and the reservations that they lie in.
//!
//! [`Space`] gives blocks their sites. What is reserved already it looks up under a lock that all shards share (`clusters`); for
//! more it asks the system under another, one thread at a time (`search`, `gaps`). `reservation`, `memory_file` and `tables` own what the system gave, `budget`
//! counts what a memory takes of it.

pub(crate) mod budget;
pub(crate) mod clusters;
pub(crate) mod gaps;
pub(crate) mod memory_file;
pub(crate) mod reservation;
pub(crate) mod search;
pub(crate) mod tables;

use crate::model::address::Window;
use crate::model::error::Result;
use crate::model::layout::SHARED_ALIGN;
use crate::model::stats::{Configuration, Stats};
use crate::sys::Platform;
use clusters::{Clusters, Site};
use memory_file::SharedFile;
use reservation::MemoryKind;
use search::{Search, Wanted};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a memory is opened with, and the first file that it has parts of, if there is one by now.
pub(crate) type Configured = (Configuration, Option<SharedFile>);

/// The address space of one memory.
#[derive(Debug)]
pub(crate) struct Space {
    granularity: u64,
    block_size: u64,
    search: Search,
    // The system is called when this is not locked only: all shards wait for it.
    clusters: Mutex<Clusters>,
    // Locked by the thread that asks the system for more: what it reserves may do for those that wait.
    searching: Mutex<()>,
}

impl Space {
    /// Nothing is reserved yet; what is will have parts of `file`, if there is one.
    pub(crate) fn new(
        platform: Arc<dyn Platform>,
        configuration: &Configuration,
        memory: MemoryKind,
        file: Option<SharedFile>,
    ) -> Self {
        Self {
            granularity: platform.facts().granularity,
            block_size: configuration.block_size,
            search: Search::new(platform, configuration, memory),
            clusters: Mutex::new(Clusters::new(configuration.reach, file)),
            searching: Mutex::new(()),
        }
    }

    fn clusters(&self) -> MutexGuard<'_, Clusters> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A site for a block of at least `needed` bytes.
    pub(crate) fn take_site(&self, needed: u64, align: u64, window: Window) -> Result<Site> {
        let found = self.try_sizes(needed, align, window)?;
        found.ok_or_else(|| self.search.out_of_reach(needed, align, window))
    }

    /// Takes the site of a block back. A reservation that is unused then goes back to the system when the lock is let go.
    pub(crate) fn release_site(&self, site: &Site) {
        let unused = self.clusters().release(site);
        drop(unused);
    }

    /// Sees to it that there is room for a block in a window, without opening one.
    pub(crate) fn reserve(&self, window: Window) -> Result<()> {
        let site = self.take_site(self.granularity, 1, window)?;
        self.clusters().put_back(&site);
        Ok(())
    }

    /// Gives back to the system what is reserved and holds no block.
    pub(crate) fn trim(&self) {
        let unused = self.clusters().drain_unused();
        drop(unused);
    }

    /// A site of the usual size where that is enough and there is room in the window, else a smaller one, at last one to
    /// measure.
    fn try_sizes(&self, needed: u64, align: u64, window: Window) -> Result<Option<Site>> {
        let usual = self.block_size.max(needed);
        let sizes = std::iter::successors(Some(usual), |size| {
            (*size > needed).then(|| (size / 2).max(needed))
        });
        for size in sizes {
            // Blocks for many requests are aligned so that any of them fits.
            let align = if size > needed {
                size.min(SHARED_ALIGN).max(align)
            } else {
                align
            };
            let Some(wanted) = self.search.wanted(size, needed, align, window) else {
                return Ok(None);
            };
            let found = self.find_site(wanted)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Looks for a site in what is reserved, and reserves more if there is none. `None` if there is no room.
    ///
    /// One thread at a time reserves: what one needs no more another is about to need, and a cluster does not grow under a search. The
    /// system lets one thread at a time change mappings as well.
    fn find_site(&self, wanted: Wanted<'_>) -> Result<Option<Site>> {
        if let Some(site) = self.clusters().take(wanted) {
            return Ok(Some(site));
        }
        let _searching = self
            .searching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut clusters = self.clusters();
        // The thread that searched meanwhile may have reserved enough for both.
        if let Some(site) = clusters.take(wanted) {
            return Ok(Some(site));
        }
        let neighbourhoods = clusters.neighbourhoods(wanted.window);
        let file = clusters.shared_file();
        drop(clusters);
        let file = file.as_ref();
        let reserved = self
            .search
            .reserve(Wanted { file, ..wanted }, &neighbourhoods)?;
        let Some(reservation) = reserved else {
            return Ok(None);
        };
        let mut clusters = self.clusters();
        clusters.insert(reservation);
        Ok(clusters.take(wanted))
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        self.clusters().count(stats);
    }

    /// Whether a thread holds the lock that all shards share.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.clusters.try_lock().is_err()
    }
}
