//! Placement: which address space blocks come from.
//!
//! A cluster is a set of reservations that all reach each other. Blocks are taken out of large reservations, so that later
//! libraries do not take their neighbourhood. When a cluster's neighbourhood is full, or a request has to lie elsewhere, there is
//! a new cluster; none is ever stretched beyond the reach.

use crate::address::{Address, Window};
use crate::code_model::Reach;
use crate::error::{Error, Limit, Refusal, Result};
use crate::reservation::{Backing, Reservation};
use crate::span::{Span, SpanSet};
use crate::sys::Platform;
use crate::sys::gaps::nearest_gap;
use std::sync::Arc;

/// Bytes that are reserved at once, where there is room.
const TERRITORY: u64 = 256 << 20;
/// Bytes below the system's choice within which the first reservation is put.
const SCATTER: u64 = 1 << 30;
/// How often a place is looked for again after somebody else took it.
const ATTEMPTS: usize = 16;
/// How many places are tried on each side where nobody tells what is mapped.
const PROBES: u64 = 64;

/// All address space of a memory.
#[derive(Debug)]
pub(crate) struct Clusters {
    platform: Arc<dyn Platform>,
    reach: Reach,
    backing: Backing,
    all: Vec<Cluster>,
    next_id: u64,
}

#[derive(Debug)]
struct Cluster {
    id: u64,
    // Invariant: not empty; all of them within one reach.
    territories: Vec<Territory>,
}

/// A reservation and what of it is not in a block.
#[derive(Debug)]
struct Territory {
    reservation: Arc<Reservation>,
    free: SpanSet,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    size: u64,
    // Invariant: a power of two, at least the granularity of the system.
    align: u64,
}

/// What became of a claim.
#[derive(Debug)]
enum Claim {
    Got(Reservation),
    /// Somebody else has the place.
    Occupied,
    /// The system does not give as much.
    TooLarge,
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
    pub(crate) const fn new(platform: Arc<dyn Platform>, reach: Reach, backing: Backing) -> Self {
        Self {
            platform,
            reach,
            backing,
            all: Vec::new(),
            next_id: 0,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.territories()
            .map(|territory| territory.reservation.size())
            .sum()
    }

    fn territories(&self) -> impl Iterator<Item = &Territory> {
        self.all.iter().flat_map(|cluster| &cluster.territories)
    }

    /// Takes address space for a block of `size` bytes at a multiple of `align`, all of it in `window`. `None` if there is no
    /// room.
    pub(crate) fn take(&mut self, size: u64, align: u64, window: Window) -> Result<Option<Site>> {
        let addresses = self.platform.facts().addresses;
        let Some(window) = window.intersect(addresses) else {
            return Ok(None);
        };
        let wanted = Wanted {
            size,
            align: align.max(self.platform.facts().granularity),
        };
        for index in 0..self.all.len() {
            let Some(room) = self.all[index].room(self.reach).intersect(window) else {
                continue;
            };
            if let Some(site) = self.all[index].take(wanted, room) {
                return Ok(Some(site));
            }
            let hull = self.all[index].hull();
            if let Some(reservation) = self.reserve_beside(hull, room, wanted)? {
                self.all[index]
                    .territories
                    .push(Territory::new(reservation));
                return Ok(self.all[index].take(wanted, room));
            }
        }
        self.open_cluster(wanted, window)
    }

    fn open_cluster(&mut self, wanted: Wanted, window: Window) -> Result<Option<Site>> {
        let reservation = if window == self.platform.facts().addresses {
            Some(self.reserve_anywhere(wanted)?)
        } else {
            self.reserve_near(window.center(), window, wanted)?
        };
        let Some(reservation) = reservation else {
            return Ok(None);
        };
        let mut cluster = Cluster {
            id: self.next_id,
            territories: vec![Territory::new(reservation)],
        };
        let site = cluster.take(wanted, window);
        self.next_id += 1;
        self.all.push(cluster);
        Ok(site)
    }

    /// That there is no room in a window, with the nearest gap outside of it.
    pub(crate) fn out_of_reach(&self, size: u64, align: u64, window: Window) -> Error {
        let facts = self.platform.facts();
        let nearest = self.platform.address_map().ok().and_then(|map| {
            nearest_gap(
                &*map,
                facts.addresses,
                window.center(),
                size,
                align.max(facts.granularity),
            )
        });
        Error::OutOfReach {
            size,
            window,
            nearest,
        }
    }

    /// Sizes to try: as much as blocks will need for a while, and less where that is refused.
    fn sizes(&self, size: u64, room: u64) -> impl Iterator<Item = u64> + use<> {
        let most = TERRITORY.min(self.reach.bytes() / 4).min(room).max(size);
        // Whole blocks, so that nothing is left over.
        std::iter::successors(Some(most / size * size), move |tried| {
            (*tried > size).then(|| tried / 2 / size * size)
        })
        .map(move |tried| tried.max(size))
    }

    fn reserve_anywhere(&self, wanted: Wanted) -> Result<Reservation> {
        let mut refused = None;
        for size in self.sizes(wanted.size, u64::MAX) {
            match Reservation::anywhere(&self.platform, size, wanted.align, self.backing) {
                Ok(reservation) => return Ok(self.scatter(reservation, wanted.align)),
                Err(refusal) if is_about_size(&refusal) => refused = Some(refusal),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(refused.map_or(Error::EmptyRequest, Error::Refused))
    }

    /// The same reservation at a random place below, if there is room: the system puts everything side by side, so that one
    /// address would tell all others. Near enough still for short calls into the libraries above.
    fn scatter(&self, reservation: Reservation, align: u64) -> Reservation {
        let shift =
            (self.platform.random() % SCATTER.min(self.reach.largest_block())) & !(align - 1);
        let at = reservation
            .address()
            .checked_sub(shift)
            .filter(|_| shift >= reservation.size());
        let range = at.and_then(|at| Window::of_range(at, reservation.size()));
        let range = range.filter(|range| self.platform.facts().addresses.contains(*range));
        match range.map(|range| self.claim(range.first(), reservation.size(), false)) {
            Some(Ok(Claim::Got(scattered))) => scattered,
            _ => reservation,
        }
    }

    /// A reservation beside a cluster, or as near to it as there is a gap.
    fn reserve_beside(
        &self,
        hull: Window,
        room: Window,
        wanted: Wanted,
    ) -> Result<Option<Reservation>> {
        let extent = room.last().distance(room.first());
        for size in self.sizes(wanted.size, extent) {
            let below = hull
                .first()
                .checked_sub(size)
                .map(|at| at.align_down(wanted.align));
            let above = hull
                .last()
                .checked_add(1)
                .and_then(|at| at.align_up(wanted.align));
            for at in [below, above].into_iter().flatten() {
                let fits = Window::of_range(at, size).is_some_and(|wanted| room.contains(wanted));
                if fits
                    && let Claim::Got(reservation) = self.claim(at, size, size == wanted.size)?
                {
                    return Ok(Some(reservation));
                }
            }
        }
        self.reserve_near(hull.first(), room, wanted)
    }

    /// A reservation inside `window`, as near to `near` as there is a gap. `None` if there is none.
    fn reserve_near(
        &self,
        near: Address,
        window: Window,
        wanted: Wanted,
    ) -> Result<Option<Reservation>> {
        let extent = window.last().distance(window.first());
        for size in self.sizes(wanted.size, extent) {
            for _ in 0..ATTEMPTS {
                // Asked again each time: whoever was faster is in it now.
                let Ok(map) = self.platform.address_map() else {
                    return self.probe(near, window, wanted);
                };
                let Some(at) = nearest_gap(&*map, window, near, size, wanted.align) else {
                    break;
                };
                match self.claim(at, size, size == wanted.size)? {
                    Claim::Got(reservation) => return Ok(Some(reservation)),
                    Claim::Occupied => {}
                    Claim::TooLarge => break,
                }
            }
        }
        Ok(None)
    }

    /// Where nobody tells what is mapped: tries a number of places, outwards from `near`.
    fn probe(&self, near: Address, window: Window, wanted: Wanted) -> Result<Option<Reservation>> {
        let Some(starts) = window.starts_for(wanted.size) else {
            return Ok(None);
        };
        let stride = (starts.last().distance(starts.first()) / PROBES).max(wanted.size);
        for step in 0..PROBES {
            let away = stride.saturating_mul(step);
            for at in [near.checked_sub(away), near.checked_add(away)]
                .into_iter()
                .flatten()
            {
                let at = at.align_down(wanted.align);
                let fits =
                    Window::of_range(at, wanted.size).is_some_and(|range| window.contains(range));
                if fits && let Claim::Got(reservation) = self.claim(at, wanted.size, true)? {
                    return Ok(Some(reservation));
                }
            }
        }
        Ok(None)
    }

    /// Claims a place. That the system does not give as much is an error only if nothing smaller will do.
    fn claim(&self, at: Address, size: u64, is_least: bool) -> Result<Claim> {
        match Reservation::at(&self.platform, at, size, self.backing) {
            Ok(reservation) => Ok(Claim::Got(reservation)),
            Err(refusal) if refusal.is_occupied() => Ok(Claim::Occupied),
            Err(refusal) if is_about_size(&refusal) && !is_least => Ok(Claim::TooLarge),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Takes back what [`Clusters::take`] gave. A reservation of which nothing is used goes back to the system, unless it
    /// is the last.
    pub(crate) fn give_back(&mut self, reservation: &Arc<Reservation>, block: Span) {
        let only = self.territories().count() == 1;
        for cluster in &mut self.all {
            let found = cluster
                .territories
                .iter_mut()
                .position(|one| Arc::ptr_eq(&one.reservation, reservation));
            if let Some(index) = found {
                cluster.territories[index].free.insert(block);
                if !only && cluster.territories[index].is_unused() {
                    cluster.territories.swap_remove(index);
                }
            }
        }
        self.all.retain(|cluster| !cluster.territories.is_empty());
    }

    /// Gives back every reservation of which nothing is used.
    pub(crate) fn trim(&mut self) {
        for cluster in &mut self.all {
            cluster
                .territories
                .retain(|territory| !territory.is_unused());
        }
        self.all.retain(|cluster| !cluster.territories.is_empty());
    }
}

impl Clusters {
    /// Forgets everything: in a forked child, it is the parent's.
    pub(crate) fn forget(&mut self) {
        std::mem::take(&mut self.all)
            .into_iter()
            .for_each(std::mem::forget);
    }
}

/// Whether a smaller reservation might do.
const fn is_about_size(refusal: &Refusal) -> bool {
    matches!(
        refusal.limit,
        Limit::AddressSpace | Limit::Data | Limit::FileSize | Limit::Memory
    )
}

impl Cluster {
    /// From the first to the last byte of it.
    fn hull(&self) -> Window {
        let ranges = || {
            self.territories
                .iter()
                .map(|territory| territory.reservation.range())
        };
        let first = ranges().map(Window::first).min().unwrap_or_default();
        let last = ranges().map(Window::last).max().unwrap_or_default();
        Window::new(first, last).unwrap_or(Window::ANYWHERE)
    }

    /// Where another block reaches, and is reached by, all of it.
    fn room(&self, reach: Reach) -> Window {
        let hull = self.hull();
        let first = Address::new(hull.last().value().saturating_sub(reach.bytes()));
        let last = Address::new(hull.first().value().saturating_add(reach.bytes()));
        Window::new(first, last).unwrap_or(hull)
    }

    fn take(&mut self, wanted: Wanted, room: Window) -> Option<Site> {
        let cluster = self.id;
        self.territories.iter_mut().find_map(|territory| {
            let offset = territory.take(wanted, room)?;
            Some(Site {
                reservation: Arc::clone(&territory.reservation),
                offset,
                size: wanted.size,
                cluster,
            })
        })
    }
}

impl Territory {
    fn new(reservation: Reservation) -> Self {
        let free = SpanSet::from_iter([Span {
            offset: 0,
            size: reservation.size(),
        }]);
        Self {
            reservation: Arc::new(reservation),
            free,
        }
    }

    fn is_unused(&self) -> bool {
        self.free.bytes() == self.reservation.size()
    }

    fn take(&mut self, wanted: Wanted, room: Window) -> Option<u64> {
        let Wanted { size, align } = wanted;
        let base = self.reservation.address();
        let offset = self.free.iter().find_map(|free| {
            let start = base
                .checked_add(free.offset)?
                .max(room.first())
                .align_up(align)?;
            let wanted = Window::of_range(start, size)?;
            let taken = Span {
                offset: start.distance(base),
                size,
            };
            (free.contains(taken) && room.contains(wanted)).then_some(taken.offset)
        })?;
        self.free.remove(Span { offset, size });
        Some(offset)
    }
}
