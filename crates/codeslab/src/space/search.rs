//! Searching for address space and reserving it, nearest first. This is what asks the system, so it is done under no lock: it is told
//! which clusters there are, and [`Space`](super::Space) looks again, under the lock, before it uses the answer. Where another thread or
//! library takes a place first, it searches again, a bounded number of times.

use crate::model::address::{Address, Window};
use crate::model::architecture::Reach;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::stats::Configuration;
use crate::space::gaps::{Remembered, nearest_gap};
use crate::space::memory_file::SharedFile;
use crate::space::reservation::{MemoryKind, Reservation};
use crate::sys::Platform;
use crate::sys::address_map::{AddressMap, Avoiding};
use std::sync::Arc;

/// Bytes that are reserved at once, where there is room.
const ARENA_BYTES: u64 = 256 << 20;
/// Bytes below the system's choice within which the first reservation is put.
const SCATTER: u64 = 1 << 30;
/// The first block in a window is by this much smaller than the usual one: many windows hold one request.
const FIRST_SHARE: u64 = 256;
/// How often a place is searched for again after another thread or library took it.
const ATTEMPTS: usize = 16;
/// How many places are tried on each side where the system does not tell what is mapped.
const PROBES: u64 = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'f> {
    /// Bytes for which there must be room.
    pub(crate) size: u64,
    /// Bytes that are taken at least, see `Clusters::take`; at most as many as there must be room for.
    pub(crate) least: u64,
    // Invariant: a power of two, at least the granularity of the system.
    pub(crate) align: u64,
    /// Where all of it has to lie.
    pub(crate) window: Window,
    /// The memory file that it may be part of.
    pub(crate) file: Option<&'f Arc<SharedFile>>,
}

/// A cluster that a further reservation may join.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbourhood {
    /// From the first to the last byte of the cluster.
    pub(crate) hull: Window,
    /// Where another reservation reaches, and is reached by, all of it.
    pub(crate) room: Window,
}

/// What became of an attempt to reserve a place.
#[derive(Debug)]
enum Attempt {
    Reserved(Reservation),
    /// Another mapping is in the way.
    Occupied(Window),
    /// The system does not give as much.
    TooLarge,
}

/// Places that the map has as free and that are not: a program that is emulated does not see what its emulator maps.
#[derive(Debug, Default)]
struct Unseen {
    last: Option<Window>,
    places: Vec<Window>,
}

impl Unseen {
    /// A place was occupied. Once may mean that another thread was faster, which is in the map the next time.
    fn note(&mut self, place: Window) {
        if self.last.replace(place) == Some(place) {
            self.places.push(place);
        }
    }

    /// Those of at most so many bytes: what is smaller may find room in a larger one.
    fn up_to(&self, size: u64) -> Vec<Window> {
        let places = self.places.iter().copied();
        places.filter(|place| place.size() <= size).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Search {
    platform: Arc<dyn Platform>,
    reach: Reach,
    // Bytes that are reserved at once at most, unless more is asked for.
    arena_bytes: u64,
    backing: MemoryKind,
}

impl Search {
    pub(crate) fn new(
        platform: Arc<dyn Platform>,
        configuration: &Configuration,
        backing: MemoryKind,
    ) -> Self {
        let Configuration {
            reach,
            branch_reach,
            ..
        } = *configuration;
        // Code of neighbouring blocks calls each other without stubs as long as branches span all of their reservation.
        let arena_bytes = ARENA_BYTES.min(reach.bytes() / 4).min(branch_reach.bytes());
        Self {
            platform,
            reach,
            arena_bytes,
            backing,
        }
    }

    /// A block of `size` bytes, of which `needed` are known to be needed; `None` if no program may have memory in the window.
    pub(crate) fn wanted(
        &self,
        size: u64,
        needed: u64,
        align: u64,
        window: Window,
    ) -> Option<Wanted<'static>> {
        let facts = self.platform.facts();
        let window = window.intersect(facts.addresses)?;
        let least = if window == facts.addresses {
            size
        } else {
            // Four times what is needed, so that its slabs can grow.
            let least = (size / FIRST_SHARE).max(4 * needed.max(facts.granularity));
            least.next_power_of_two().min(size)
        };
        Some(Wanted {
            size,
            least,
            align: align.max(facts.granularity),
            window,
            file: None,
        })
    }

    /// A reservation with room for what is wanted: near one of the clusters, in their order, or else wherever it may lie.
    /// `None` if there is no gap.
    pub(crate) fn reserve(
        &self,
        wanted: Wanted<'_>,
        neighbourhoods: &[Neighbourhood],
    ) -> Result<Option<Reservation>> {
        for Neighbourhood { hull, room } in neighbourhoods {
            let Some(window) = room.intersect(wanted.window) else {
                continue;
            };
            let found = self.reserve_beside(*hull, Wanted { window, ..wanted })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if wanted.window == self.platform.facts().addresses {
            return self.reserve_anywhere(wanted).map(Some);
        }
        self.reserve_near(wanted.window.center(), wanted)
    }

    /// That there is no room in a window, with the nearest gap outside of it.
    pub(crate) fn out_of_reach(&self, size: u64, align: u64, window: Window) -> Error {
        let facts = self.platform.facts();
        let (anywhere, align) = (facts.addresses, align.max(facts.granularity));
        let map = self.platform.address_map().ok();
        let nearest =
            map.and_then(|map| nearest_gap(&*map, anywhere, window.center(), size, align));
        Error::OutOfReach {
            size,
            window,
            nearest,
        }
    }

    /// Sizes to try: as much as blocks will need for a while, and less where that is refused.
    fn sizes(&self, size: u64, room: u64) -> impl Iterator<Item = u64> + use<> {
        let most = self.arena_bytes.min(room).max(size);
        // Whole blocks, so that nothing is left over.
        std::iter::successors(Some(most / size * size), move |tried| {
            (*tried > size).then(|| tried / 2 / size * size)
        })
        .map(move |tried| tried.max(size))
    }

    fn reserve_anywhere(&self, wanted: Wanted<'_>) -> Result<Reservation> {
        let size = self.sizes(wanted.size, u64::MAX).next();
        let scatter = |at| (0..ATTEMPTS).find_map(|_| self.scatter(at, size?, wanted));
        if let Some(scattered) = self.platform.usual_place().and_then(scatter) {
            return Ok(scattered);
        }
        let mut refused = None;
        for size in self.sizes(wanted.size, u64::MAX) {
            let (platform, backing) = (&self.platform, self.backing);
            match Reservation::anywhere(platform, size, wanted.align, backing, wanted.file) {
                Ok(reservation) => {
                    let file = reservation.shared_file();
                    let scattered =
                        self.scatter(reservation.address(), size, Wanted { file, ..wanted });
                    return Ok(scattered.unwrap_or(reservation));
                }
                Err(refusal) if is_about_size(&refusal) => refused = Some(refusal),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(refused.map_or(Error::EmptyRequest, Error::Refused))
    }

    /// A reservation at a random place below, if there is room: the system puts everything side by side, so that one address would tell
    /// all others. Near enough still for short calls into the libraries there.
    fn scatter(&self, below: Address, size: u64, wanted: Wanted<'_>) -> Option<Reservation> {
        let most = SCATTER.min(self.reach.largest_block());
        // Not by less than its size: what was reserved there is in the way.
        let room = most.checked_sub(size).filter(|room| *room > 0)?;
        let shift = (size + self.platform.random() % room) & !(wanted.align - 1);
        let at = below.align_down(wanted.align).checked_sub(shift)?;
        let range = Window::of_range(at, size)?;
        let is_address = self.platform.facts().addresses.contains(range);
        match is_address.then(|| self.reserve_at(range, wanted)) {
            Some(Ok(Attempt::Reserved(scattered))) => Some(scattered),
            _ => None,
        }
    }

    /// A reservation beside a cluster, or as near to it as there is a gap.
    fn reserve_beside(&self, hull: Window, wanted: Wanted<'_>) -> Result<Option<Reservation>> {
        for size in self.sizes(wanted.size, wanted.window.size()) {
            let below = hull.first().checked_sub(size);
            let below = below.map(|at| at.align_down(wanted.align));
            let above = hull.last().checked_add(1);
            let above = above.and_then(|at| at.align_up(wanted.align));
            let found = self.reserve_one([below, above], size, wanted)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.reserve_near(hull.first(), wanted)
    }

    /// Reserves the first of these places that lies in the window and is free.
    fn reserve_one(
        &self,
        places: [Option<Address>; 2],
        size: u64,
        wanted: Wanted<'_>,
    ) -> Result<Option<Reservation>> {
        for at in places.into_iter().flatten() {
            let range = Window::of_range(at, size);
            if let Some(range) = range.filter(|range| wanted.window.contains(*range))
                && let Attempt::Reserved(reservation) = self.reserve_at(range, wanted)?
            {
                return Ok(Some(reservation));
            }
        }
        Ok(None)
    }

    /// A reservation as near to `near` as there is a gap. `None` if there is none.
    fn reserve_near(&self, near: Address, wanted: Wanted<'_>) -> Result<Option<Reservation>> {
        let mut unseen = Unseen::default();
        for _ in 0..ATTEMPTS {
            // Asked again each time: what was faster is in it now.
            let Ok(map) = self.platform.address_map() else {
                return self.probe(near, wanted);
            };
            let map = Remembered::new(&*map);
            let gap = |size| {
                let (map, places): (&dyn AddressMap, _) = (&map, unseen.up_to(size));
                let map = Avoiding { map, places };
                nearest_gap(&map, wanted.window, near, size, wanted.align)
            };
            let sizes = self.sizes(wanted.size, wanted.window.size());
            let gaps = sizes.filter_map(|size| Window::of_range(gap(size)?, size));
            match self.reserve_first(gaps, wanted)? {
                Attempt::Reserved(reservation) => return Ok(Some(reservation)),
                Attempt::Occupied(place) => unseen.note(place),
                Attempt::TooLarge => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Reserves the first of these places that is not too large for the system. After one that is occupied the caller searches again.
    fn reserve_first(
        &self,
        gaps: impl Iterator<Item = Window>,
        wanted: Wanted<'_>,
    ) -> Result<Attempt> {
        let mut attempts = gaps.map(|gap| self.reserve_at(gap, wanted));
        let found = attempts.find(|attempt| !matches!(attempt, Ok(Attempt::TooLarge)));
        found.unwrap_or(Ok(Attempt::TooLarge))
    }

    /// Where the system does not tell what is mapped: tries a number of places, outwards from `near`.
    fn probe(&self, near: Address, wanted: Wanted<'_>) -> Result<Option<Reservation>> {
        let Some(starts) = wanted.window.starts_for(wanted.size) else {
            return Ok(None);
        };
        let stride = (starts.last().distance(starts.first()) / PROBES).max(wanted.size);
        for step in 0..PROBES {
            let away = stride.saturating_mul(step);
            let places = [near.checked_sub(away), near.checked_add(away)];
            let places = places.map(|at| Some(at?.align_down(wanted.align)));
            let found = self.reserve_one(places, wanted.size, wanted)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reserves a place. That the system does not give as much is an error only if nothing smaller will do.
    fn reserve_at(&self, place: Window, wanted: Wanted<'_>) -> Result<Attempt> {
        let is_least = place.size() == wanted.size;
        match Reservation::at(&self.platform, place, self.backing, wanted.file) {
            Ok(reservation) => Ok(Attempt::Reserved(reservation)),
            Err(refusal) if refusal.is_occupied() => Ok(Attempt::Occupied(place)),
            Err(refusal) if is_about_size(&refusal) && !is_least => Ok(Attempt::TooLarge),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Whether a smaller reservation might do.
const fn is_about_size(refusal: &Refusal) -> bool {
    matches!(
        refusal.limit,
        Limit::AddressSpace
            | Limit::Data
            | Limit::FileSize
            | Limit::Memory
            | Limit::Commit
            | Limit::Quota
    )
}
