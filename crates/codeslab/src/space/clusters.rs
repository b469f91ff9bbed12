//! Which address space there is for blocks, and what of it is free. Pure: the system is not asked here, so a lock that all
//! shards share may be held around it.
//!
//! A cluster is a set of reservations that all reach each other. Blocks are taken out of large reservations, so that later
//! libraries do not take their neighbourhood. None is ever stretched beyond the reach: a reservation that would do so begins
//! another one.
//!
//! What is no longer needed is handed out, because dropping it asks the system: let go of the lock first.

use crate::model::address::{Address, Window};
use crate::model::architecture::Reach;
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
    // How many claim address space at this moment.
    claimants: usize,
    // How many wait for one of them to be done.
    waiting: usize,
    // How often one of them made room for others.
    changes: u64,
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
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) reservation: Arc<Reservation>,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) cluster: u64,
}

impl Clusters {
    pub(crate) const fn new(reach: Reach) -> Self {
        Self {
            reach,
            all: Vec::new(),
            next_id: 0,
            claimants: 0,
            waiting: 0,
            changes: 0,
        }
    }

    /// Notes that somebody begins to claim address space. Tells how often others had made room by then.
    pub(crate) const fn begin_claim(&mut self) -> u64 {
        self.claimants += 1;
        self.changes
    }

    /// Notes that somebody is done with that: nothing is reserved any more but what is in here. Says whether anybody waits for
    /// it.
    #[must_use = "whoever waits has to be told"]
    pub(crate) const fn end_claim(&mut self) -> bool {
        self.claimants -= 1;
        self.waiting > 0
    }

    /// Notes that somebody begins to wait for the end of a claim.
    pub(crate) const fn begin_waiting(&mut self) {
        self.waiting += 1;
    }

    /// Notes that somebody waits no longer.
    pub(crate) const fn end_waiting(&mut self) {
        self.waiting -= 1;
    }

    #[cfg(test)]
    pub(crate) const fn claimants(&self) -> usize {
        self.claimants
    }

    /// Notes that there is room that there was not before.
    pub(crate) const fn note_change(&mut self) {
        self.changes += 1;
    }

    /// Whether there may be more room than when `changes` was told, or is none and will be none unless somebody frees some;
    /// `None` while somebody is at it.
    pub(crate) fn has_changed_since(&self, changes: u64) -> Option<bool> {
        let has_changed = self.changes != changes;
        (has_changed || self.claimants == 0).then_some(has_changed)
    }

    pub(crate) const fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.arenas().map(|arena| arena.reservation.size()).sum()
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
        let met = self
            .arenas()
            .filter(|arena| arena.range.intersect(window).is_some());
        met.map(Arena::used_bytes).sum()
    }

    /// A memory file that further reservations may have parts of: the newest.
    pub(crate) fn shared_file(&self) -> Option<Arc<SharedFile>> {
        let newest = self.all.last()?.arenas.last()?;
        newest.reservation.shared_file().cloned()
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

    /// Adds a reservation: to the first cluster all of which it reaches, or else to a new one. Whatever it was claimed for may
    /// have grown in the meantime, so that is found out here.
    pub(crate) fn insert(&mut self, reservation: Reservation) {
        self.note_change();
        let range = reservation.range();
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

    /// Takes back what [`Clusters::take`] gave, for a block that comes later.
    pub(crate) fn restore(&mut self, reservation: &Arc<Reservation>, block: Span) {
        if let Some((index, arenas)) = self.find(reservation) {
            arenas[index].free.insert(block);
        }
    }

    /// The territory with this reservation, among those of its cluster.
    fn find(&mut self, reservation: &Arc<Reservation>) -> Option<(usize, &mut Vec<Arena>)> {
        let is_it = |one: &Arena| Arc::ptr_eq(&one.reservation, reservation);
        let mut clusters = self.all.iter_mut().map(|cluster| &mut cluster.arenas);
        clusters.find_map(|arenas| Some((arenas.iter().position(is_it)?, arenas)))
    }

    /// Takes back what [`Clusters::take`] gave. Hands out a reservation of which nothing is used any more, unless it is the
    /// last.
    #[must_use = "dropping a reservation asks the system: let go of the lock first"]
    pub(crate) fn give_back(
        &mut self,
        reservation: &Arc<Reservation>,
        block: Span,
    ) -> Option<Arc<Reservation>> {
        let is_only = self.arenas().count() == 1;
        let (index, all) = self.find(reservation)?;
        all[index].free.insert(block);
        let unused = (!is_only && all[index].is_unused()).then(|| all.swap_remove(index));
        self.all.retain(|cluster| !cluster.arenas.is_empty());
        unused.map(|arena| arena.reservation)
    }

    /// Takes out every reservation of which nothing is used.
    #[must_use = "dropping a reservation asks the system: let go of the lock first"]
    pub(crate) fn drain_unused(&mut self) -> Vec<Arc<Reservation>> {
        let mut unused = Vec::new();
        for cluster in &mut self.all {
            let drained = cluster.arenas.extract_if(.., |arena| arena.is_unused());
            unused.extend(drained.map(|arena| arena.reservation));
        }
        self.all.retain(|cluster| !cluster.arenas.is_empty());
        unused
    }

    /// Forgets everything: in a forked child, it is the parent's.
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
            let offset = arena.take(wanted, size)?;
            Some(Site {
                reservation: Arc::clone(&arena.reservation),
                offset,
                size,
                cluster,
            })
        })
    }
}

impl Arena {
    fn new(reservation: Reservation) -> Self {
        let free = SpanSet::from_iter([Span {
            offset: 0,
            size: reservation.size(),
        }]);
        Self {
            range: reservation.range(),
            reservation: Arc::new(reservation),
            free,
        }
    }

    fn is_unused(&self) -> bool {
        self.used_bytes() == 0
    }

    fn used_bytes(&self) -> u64 {
        self.reservation.size() - self.free.bytes()
    }

    /// Takes `size` bytes where there is room for all that is wanted.
    fn take(&mut self, wanted: Wanted<'_>, size: u64) -> Option<u64> {
        let Wanted { align, window, .. } = wanted;
        self.range.intersect(window)?;
        let base = self.range.first();
        let offset = self.free.iter().find_map(|free| {
            let start = base
                .checked_add(free.offset)?
                .max(window.first())
                .align_up(align)?;
            let range = Window::of_range(start, wanted.size)?;
            let room = Span {
                offset: start.distance(base),
                size: wanted.size,
            };
            (free.contains(room) && window.contains(range)).then_some(room.offset)
        })?;
        self.free.remove(Span { offset, size });
        Some(offset)
    }
}
