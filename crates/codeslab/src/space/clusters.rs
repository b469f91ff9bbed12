//! Which address space there is for blocks, and what of it is free. The system is not asked here, so the lock that all shards share may be
//! held around it; a reservation that is no longer needed is handed out, because dropping it asks the system.
//!
//! A cluster is a set of arenas that all reach each other, and an arena is a large reservation of which blocks have parts, so that
//! libraries that are loaded later do not take their neighbourhood. A reservation that would stretch a cluster beyond the reach begins
//! another one.

use crate::model::address::{Address, Window};
use crate::model::architecture::Reach;
use crate::model::stats::Stats;
use crate::slab::span::{Span, SpanSet};
use crate::space::memory_file::SharedFile;
use crate::space::reservation::Reservation;
use crate::space::search::{Neighbourhood, Wanted};
use std::sync::Arc;

/// All address space of a memory.
#[derive(Debug)]
pub(crate) struct Clusters {
    reach: Reach,
    all: Vec<Cluster>,
    next_id: u64,
    // That no reservation has a part of.
    first_file: Option<Arc<SharedFile>>,
    /// Threads that search for address space at this moment.
    pub(super) searching: usize,
    /// How often one of them made room for others.
    pub(super) changes: u64,
}

#[derive(Debug)]
struct Cluster {
    id: u64,
    // Invariant: not empty; all of them within one reach.
    arenas: Vec<Arena>,
}

/// A reservation and what of it is not in a block.
#[derive(Debug)]
struct Arena {
    // The reservation's: looked at for each block that is opened anywhere.
    range: Window,
    reservation: Arc<Reservation>,
    free: SpanSet,
}

/// Address space for one block.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) reservation: Arc<Reservation>,
    /// Where in the reservation it is.
    pub(crate) place: Span,
    /// Which cluster it belongs to.
    pub(crate) cluster: u64,
}

impl Clusters {
    pub(crate) fn new(reach: Reach, file: Option<SharedFile>) -> Self {
        Self {
            reach,
            first_file: file.map(Arc::new),
            all: Vec::new(),
            next_id: 0,
            searching: 0,
            changes: 0,
        }
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        stats.clusters += self.all.len() as u64;
        let sizes = self.arenas().map(|arena| arena.reservation.size());
        stats.reserved_bytes += sizes.sum::<u64>();
    }

    fn arenas(&self) -> impl Iterator<Item = &Arena> {
        self.all.iter().flat_map(|cluster| &cluster.arenas)
    }

    /// Takes address space out of what is reserved: about four times what blocks have of the window by now, between the least
    /// and all that is wanted. `None` if there is not room for all of that.
    pub(crate) fn take(&mut self, wanted: Wanted<'_>) -> Option<Site> {
        let used = self.used_bytes(wanted.window);
        let grown = used.checked_ilog2().map_or(0, |log2| 4 << log2);
        let size = grown.clamp(wanted.least, wanted.size);
        let take = |cluster: &mut Cluster| cluster.take(wanted, size);
        self.all.iter_mut().find_map(take)
    }

    /// Bytes of blocks in reservations that meet a window.
    fn used_bytes(&self, window: Window) -> u64 {
        let meets = |arena: &&Arena| arena.range.intersect(window).is_some();
        self.arenas().filter(meets).map(Arena::used_bytes).sum()
    }

    /// A memory file that further reservations may have parts of: the newest.
    pub(crate) fn shared_file(&mut self) -> Option<Arc<SharedFile>> {
        let newest = self.all.last().and_then(|cluster| cluster.arenas.last());
        let file = newest.and_then(|newest| newest.reservation.shared_file().cloned());
        file.or_else(|| self.first_file.take())
    }

    /// The clusters that may grow where something is wanted, oldest first.
    pub(crate) fn neighbourhoods(&self, window: Window) -> Vec<Neighbourhood> {
        let all = self.all.iter().map(|cluster| Neighbourhood {
            hull: cluster.hull(),
            room: cluster.room(self.reach),
        });
        all.filter(|one| one.room.intersect(window).is_some())
            .collect()
    }

    /// Adds a reservation: to the first cluster all of which it reaches, or else to a new one. The cluster that it was
    /// reserved for may have grown in the meantime, so that is found out here.
    pub(crate) fn insert(&mut self, reservation: Reservation) {
        self.changes += 1;
        let range = reservation.range;
        let arena = Arena::new(reservation);
        let reach = self.reach;
        let is_near = |cluster: &&mut Cluster| cluster.room(reach).contains(range);
        if let Some(cluster) = self.all.iter_mut().find(is_near) {
            cluster.arenas.push(arena);
            return;
        }
        self.all.push(Cluster {
            id: self.next_id,
            arenas: vec![arena],
        });
        self.next_id += 1;
    }

    /// The arena with this reservation, among those of its cluster.
    fn find(&mut self, reservation: &Arc<Reservation>) -> Option<(usize, &mut Vec<Arena>)> {
        let is_it = |one: &Arena| Arc::ptr_eq(&one.reservation, reservation);
        let mut clusters = self.all.iter_mut().map(|cluster| &mut cluster.arenas);
        clusters.find_map(|arenas| Some((arenas.iter().position(is_it)?, arenas)))
    }

    /// Takes back what [`Clusters::take`] gave. An arena of which nothing is used stays.
    pub(crate) fn put_back(&mut self, site: &Site) {
        if let Some((index, arenas)) = self.find(&site.reservation) {
            arenas[index].free.insert(site.place);
        }
    }

    /// The same, and hands out the reservation if nothing of it is used any more, unless it is the last.
    #[must_use = "dropping a reservation asks the system: let go of the lock first"]
    pub(crate) fn release(&mut self, site: &Site) -> Option<Arc<Reservation>> {
        self.put_back(site);
        let is_only = self.arenas().count() == 1;
        let (index, arenas) = self.find(&site.reservation)?;
        let is_unused = !is_only && arenas[index].used_bytes() == 0;
        let unused = is_unused.then(|| arenas.swap_remove(index));
        self.all.retain(|cluster| !cluster.arenas.is_empty());
        unused.map(|arena| arena.reservation)
    }

    /// Takes out every reservation of which nothing is used.
    #[must_use = "dropping a reservation asks the system: let go of the lock first"]
    pub(crate) fn drain_unused(&mut self) -> Vec<Arc<Reservation>> {
        let mut unused = Vec::new();
        for cluster in &mut self.all {
            let drained = cluster
                .arenas
                .extract_if(.., |arena| arena.used_bytes() == 0);
            unused.extend(drained.map(|arena| arena.reservation));
        }
        self.all.retain(|cluster| !cluster.arenas.is_empty());
        unused
    }

    pub(crate) fn forget(&mut self) {
        std::mem::take(&mut self.all)
            .into_iter()
            .for_each(std::mem::forget);
    }
}

impl Cluster {
    /// From the first to the last byte of it.
    fn hull(&self) -> Window {
        let ranges = || self.arenas.iter().map(|arena| arena.range);
        let first = ranges().map(Window::first).min().unwrap_or_default();
        let last = ranges().map(Window::last).max().unwrap_or_default();
        Window::new(first, last).unwrap_or(Window::ANYWHERE)
    }

    /// Where another reservation reaches, and is reached by, all of it.
    fn room(&self, reach: Reach) -> Window {
        let hull = self.hull();
        let first = Address::new(hull.last().value().saturating_sub(reach.bytes()));
        let last = Address::new(hull.first().value().saturating_add(reach.bytes()));
        Window::new(first, last).unwrap_or(hull)
    }

    fn take(&mut self, wanted: Wanted<'_>, size: u64) -> Option<Site> {
        let cluster = self.id;
        self.arenas.iter_mut().find_map(|arena| {
            let place = arena.take(wanted, size)?;
            Some(Site {
                reservation: Arc::clone(&arena.reservation),
                place,
                cluster,
            })
        })
    }
}

impl Arena {
    fn new(reservation: Reservation) -> Self {
        Self {
            range: reservation.range,
            free: SpanSet::whole(reservation.size()),
            reservation: Arc::new(reservation),
        }
    }

    fn used_bytes(&self) -> u64 {
        self.reservation.size() - self.free.bytes()
    }

    /// Takes `size` bytes where there is room for all that is wanted.
    fn take(&mut self, wanted: Wanted<'_>, size: u64) -> Option<Span> {
        let Wanted { align, window, .. } = wanted;
        self.range.intersect(window)?;
        let base = self.range.first();
        let offset = self.free.iter().find_map(|free| {
            let start = base.checked_add(free.offset)?.max(window.first());
            let start = start.align_up(align)?;
            let range = Window::of_range(start, wanted.size)?;
            let room = Span {
                offset: start.distance(base),
                size: wanted.size,
            };
            (free.contains(room) && window.contains(range)).then_some(room.offset)
        })?;
        let place = Span { offset, size };
        self.free.remove(place);
        Some(place)
    }
}
