//! Address space: where blocks may lie, and the reservations that they lie in.
//!
//! [`Space`] gives blocks their sites. What is reserved already it looks up under a lock that all shards share (`clusters`); for
//! more it asks the system under none (`search`, `gaps`). `reservation`, `memory_file` and `tables` own what the system gave, `budget`
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
use reservation::{MemoryKind, Reservation};
use search::{Search, Wanted};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    search_ended: Condvar,
}

/// A thread that is searching, which others may be waiting for. What it reserved and did not need has gone back when it is dropped.
struct Searching<'s>(&'s Space);

impl Drop for Searching<'_> {
    fn drop(&mut self) {
        self.0.clusters().searching -= 1;
        self.0.search_ended.notify_all();
    }
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
            search_ended: Condvar::new(),
        }
    }

    fn clusters(&self) -> MutexGuard<'_, Clusters> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A site for a block of at least `needed` bytes. Other threads may be searching at the same time: a thread that finds nothing
    /// waits for them, and looks again if there is more room then. It may be what they did not need, or more than they needed.
    pub(crate) fn take_site(&self, needed: u64, align: u64, window: Window) -> Result<Site> {
        loop {
            let (searching, changes) = self.begin_search();
            let found = self.try_sizes(needed, align, window);
            drop(searching);
            match found {
                Ok(Some(site)) => return Ok(site),
                _ if self.has_changed_since(changes) => {}
                Ok(None) => return Err(self.search.out_of_reach(needed, align, window)),
                Err(error) => return Err(error),
            }
        }
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

    /// Notes that this thread begins to search, and how often others had made room by then.
    fn begin_search(&self) -> (Searching<'_>, u64) {
        let mut clusters = self.clusters();
        clusters.searching += 1;
        (Searching(self), clusters.changes)
    }

    /// Whether there may be more room than there was. If not, there will be none unless a block is freed: no thread is searching.
    fn has_changed_since(&self, changes: u64) -> bool {
        let clusters = self.clusters();
        let is_open = |all: &mut Clusters| all.changes == changes && all.searching > 0;
        let waited = self.search_ended.wait_while(clusters, is_open);
        waited.unwrap_or_else(PoisonError::into_inner).changes != changes
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

    /// Looks for a site in what is reserved, under the lock, and reserves more, under none. `None` if there is no room.
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
        self.take_after(wanted, self.search.reserve(wanted, &neighbourhoods))
    }

    /// Looks again, with what was reserved meanwhile.
    fn take_after(
        &self,
        wanted: Wanted<'_>,
        reserved: Result<Option<Reservation>>,
    ) -> Result<Option<Site>> {
        let mut clusters = self.clusters();
        if let Some(site) = clusters.take(wanted) {
            drop(clusters);
            // Another thread made room. Ours goes back, and if the system refused us, maybe because of theirs, no matter.
            drop(reserved);
            self.clusters().changes += 1;
            return Ok(Some(site));
        }
        let Some(reservation) = reserved? else {
            return Ok(None);
        };
        clusters.insert(reservation);
        Ok(clusters.take(wanted))
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        self.clusters().count(stats);
    }

    /// Forgets everything: in a forked child, it is the parent's, and a thread that the child has not may hold the lock.
    pub(crate) fn forget(&mut self) {
        let clusters = self.clusters.get_mut();
        clusters.unwrap_or_else(PoisonError::into_inner).forget();
    }

    /// Whether a thread holds the lock that all shards share.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.clusters.try_lock().is_err()
    }

    /// How many threads are searching.
    #[cfg(test)]
    pub(crate) fn searching(&self) -> usize {
        self.clusters().searching
    }
}
