//! Which reservations and views there are, and which part of which memory file is where.
//!
//! The pages of a section cannot be given back one by one, so a memory file is a section for each granule, made when something is written
//! there and dropped when its part is discarded. A part may be mapped before it has a section: it appears in its places when it gets one.
//! All of this is behind one lock, as the system's own record of address space is, and bytes are copied outside of it.

use super::mm::{Access, Placeholders, Requirements, Section, WriteView};
use super::tiles::Tiles;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of a memory file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId(u64);

/// A reservation, or the address space of a view.
#[derive(Debug)]
struct Region {
    size: u64,
    tiles: Tiles,
    // Which part of a file has its place where. Invariant: they are disjoint.
    mounts: BTreeMap<Address, Mount>,
    // The file and offset of byte 0, if it is a view.
    shows: Option<(FileId, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Mount {
    size: u64,
    file: FileId,
    offset: u64,
}

/// A granule of a memory file.
#[derive(Debug, Default)]
struct Piece {
    section: Option<Arc<Section>>,
    // Kept from the first write until it is mapped anywhere: fresh pages are written in several steps.
    scratch: Option<Arc<WriteView>>,
    places: Vec<(Address, Access)>,
}

/// A way to write to a piece.
pub(super) enum Way {
    Open(Arc<WriteView>),
    /// A view of its own is mapped for the time of the write.
    Through(Arc<Section>),
}

/// Everything that the port keeps.
#[derive(Debug)]
pub(super) struct Store {
    calls: Placeholders,
    granule: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    regions: BTreeMap<Address, Region>,
    // The pieces of each, by their number.
    files: BTreeMap<FileId, BTreeMap<u64, Piece>>,
    next_file: u64,
}

impl Store {
    pub(super) fn new(calls: Placeholders, granule: u64) -> Self {
        Self {
            calls,
            granule,
            state: Mutex::default(),
        }
    }

    pub(super) const fn granule(&self) -> u64 {
        self.granule
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reserve(&self, size: u64, required: Requirements) -> Result<Address, Refusal> {
        let at = self.calls.reserve(size, required)?;
        self.insert(at, size, None);
        Ok(at)
    }

    pub(super) fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        self.calls.reserve_at(at, size)?;
        self.insert(at, size, None);
        Ok(())
    }

    fn insert(&self, at: Address, size: u64, shows: Option<(FileId, u64)>) {
        let region = Region {
            size,
            // SAFETY: the caller has reserved the range just now and told no other code.
            tiles: unsafe { Tiles::new(at, size) },
            mounts: BTreeMap::new(),
            shows,
        };
        self.state().regions.insert(at, region);
    }

    /// Gives a reservation or a view back.
    ///
    /// # Safety
    /// - No thread uses any of it, at the same time or later.
    pub(super) unsafe fn release(&self, at: Address) -> Result<(), Refusal> {
        let mut state = self.state();
        let Some(region) = state.regions.remove(&at) else {
            return Err(Refusal::foreseen("VirtualFree", 0, Limit::Unknown));
        };
        for (at, mount) in &region.mounts {
            state.forget_places(self.granule, *at, *mount);
        }
        // SAFETY: no thread uses any of it from now on.
        unsafe { region.tiles.release(&self.calls) }
    }

    pub(super) fn create_file(&self) -> FileId {
        let mut state = self.state();
        let file = FileId(state.next_file);
        state.next_file += 1;
        state.files.insert(file, BTreeMap::new());
        file
    }

    /// Closes a file. What is mapped of it stays mapped.
    pub(super) fn close_file(&self, file: FileId) {
        let pieces = self.state().files.remove(&file);
        drop(pieces);
    }

    /// Puts a part of a file into a reserved range.
    pub(super) fn map(
        &self,
        file: FileId,
        offset: u64,
        at: Address,
        size: u64,
        access: Access,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        for number in offset / self.granule..(offset + size) / self.granule {
            state.provide(self, file, number)?;
        }
        state.mount(self, at, Mount { size, file, offset }, access)
    }

    /// Gives a granule of a file its memory.
    pub(super) fn provide(&self, file: FileId, number: u64) -> Result<(), Refusal> {
        self.state().provide(self, file, number)
    }

    /// Writes to a granule of a file through a view that shows it, if there is one. The view cannot go meanwhile: it takes the lock to
    /// unmap it. Mapping another one for each write takes much longer.
    ///
    /// # Safety
    /// - From `start` on, the granule has room for the bytes, and no thread uses that part of it.
    pub(super) unsafe fn write_shown(
        &self,
        file: FileId,
        number: u64,
        start: u64,
        bytes: &[u8],
    ) -> Result<bool, Refusal> {
        let mut state = self.state();
        state.provide(self, file, number)?;
        let places = &state.piece(file, number).places;
        let shown = places
            .iter()
            .find(|(_, access)| *access == Access::READ_WRITE);
        let Some((at, _)) = shown else {
            return Ok(false);
        };
        let to = (at.value() + start) as *mut u8;
        // SAFETY: the granule is mapped there, writable, as long as the lock is held; the part is idle by the caller's word, and no
        // reference to it exists, so the bytes lie elsewhere.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(true)
    }

    /// How a granule of a file can be written, after it was given its memory.
    pub(super) fn way_to_write(&self, file: FileId, number: u64) -> Result<Way, Refusal> {
        let mut state = self.state();
        state.provide(self, file, number)?;
        let piece = state.piece(file, number);
        if let Some(view) = &piece.scratch {
            return Ok(Way::Open(Arc::clone(view)));
        }
        let section = piece.section.as_ref();
        let section = section.ok_or(Refusal::foreseen("MapViewOfFile", 0, Limit::Unknown))?;
        if piece.places.is_empty() {
            let view = Arc::new(section.write_view()?);
            piece.scratch = Some(Arc::clone(&view));
            return Ok(Way::Open(view));
        }
        Ok(Way::Through(Arc::clone(section)))
    }

    /// Drops the memory of a granule of a file: it is mapped nowhere until it gets other memory.
    ///
    /// # Safety
    /// - No thread uses it, by whichever address, at the same time or later.
    pub(super) unsafe fn discard(&self, file: FileId, number: u64) -> Result<(), Refusal> {
        let mut state = self.state();
        let piece = state.piece(file, number);
        piece.scratch = None;
        if piece.section.is_none() {
            return Ok(());
        }
        let places = piece.places.clone();
        for (at, _) in places {
            if let Some(region) = state.region_of(at) {
                // SAFETY: no thread uses this granule of the file, by this address either.
                unsafe { region.tiles.unmap(&self.calls, at) }?;
            }
        }
        state.piece(file, number).section = None;
        Ok(())
    }

    /// Reserves the place of a view of a file. It shows nothing yet.
    pub(super) fn reserve_view(
        &self,
        file: FileId,
        offset: u64,
        size: u64,
        lowest: u64,
    ) -> Result<Address, Refusal> {
        let required = |lowest| Requirements { lowest, align: 0 };
        let reserved = self.calls.reserve(size, required(lowest));
        let at = reserved.or_else(|_| self.calls.reserve(size, required(0)))?;
        self.insert(at, size, Some((file, offset)));
        Ok(at)
    }

    /// Makes part of a view accessible.
    pub(super) fn show(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.state();
        let shows = state.region_containing(at).and_then(|(start, region)| {
            let (file, offset) = region.shows?;
            Some((file, offset + at.distance(start)))
        });
        let (file, offset) = shows.ok_or(Refusal::foreseen("a view", size, Limit::Unknown))?;
        let mount = Mount { size, file, offset };
        state.mount(self, at, mount, Access::READ_WRITE)
    }

    /// Puts private memory into a reserved range.
    pub(super) fn commit(&self, at: Address, size: u64, access: Access) -> Result<(), Refusal> {
        let mut state = self.state();
        let region = state.region_of(at).ok_or(NO_RESERVATION)?;
        region.tiles.commit(&self.calls, at, size, access)
    }

    /// The parts of private memory that one call made each.
    pub(super) fn private_parts(&self, at: Address, size: u64) -> Vec<(Address, u64)> {
        let mut state = self.state();
        let region = state.region_of(at);
        region.map_or_else(Vec::new, |region| region.tiles.private_parts(at, size))
    }

    /// Takes everything out of part of a reservation.
    ///
    /// # Safety
    /// - No mapping crosses its ends.
    /// - No thread uses what is there, at the same time or later.
    pub(super) unsafe fn clear(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.state();
        let region = state.region_of(at).ok_or(NO_RESERVATION)?;
        // SAFETY: no mapping is cut, and no thread uses the range from now on.
        unsafe { region.tiles.clear(&self.calls, at, size) }?;
        let end = Address::new(at.value() + size);
        let gone: Vec<_> = region
            .mounts
            .range(at..end)
            .map(|(at, mount)| (*at, *mount))
            .collect();
        for (at, _) in &gone {
            region.mounts.remove(at);
        }
        for (at, mount) in gone {
            state.forget_places(self.granule, at, mount);
        }
        Ok(())
    }

    /// How many reservations, views and files there are.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.regions.len(), state.files.len())
    }
}

const NO_RESERVATION: Refusal = Refusal::foreseen("a reservation", 0, Limit::Unknown);

impl State {
    fn region_containing(&mut self, at: Address) -> Option<(Address, &mut Region)> {
        let below = self.regions.range_mut(..=at).next_back();
        let (start, region) = below?;
        (at.distance(*start) < region.size).then_some((*start, region))
    }

    fn region_of(&mut self, at: Address) -> Option<&mut Region> {
        self.region_containing(at).map(|(_, region)| region)
    }

    fn piece(&mut self, file: FileId, number: u64) -> &mut Piece {
        let pieces = self.files.entry(file).or_default();
        pieces.entry(number).or_default()
    }

    /// Gives a granule its memory, in all of its places.
    fn provide(&mut self, store: &Store, file: FileId, number: u64) -> Result<(), Refusal> {
        let piece = self.piece(file, number);
        if piece.section.is_some() {
            return Ok(());
        }
        let section = Section::create(store.granule)?;
        let places = piece.places.clone();
        for (done, (at, access)) in places.iter().enumerate() {
            let region = self.region_of(*at).ok_or(NO_RESERVATION);
            let mapped =
                region.and_then(|region| region.tiles.map(&store.calls, &section, *at, *access));
            if let Err(refusal) = mapped {
                self.take_away(store, &places[..done]);
                return Err(refusal);
            }
        }
        self.piece(file, number).section = Some(Arc::new(section));
        Ok(())
    }

    /// Undoes what was mapped just now.
    fn take_away(&mut self, store: &Store, places: &[(Address, Access)]) {
        for (at, _) in places {
            if let Some(region) = self.region_of(*at) {
                // SAFETY: it was mapped under the lock that is still held, and its address was told to no code.
                let _ = unsafe { region.tiles.unmap(&store.calls, *at) };
            }
        }
    }

    /// Gives part of a file a place, in which what has memory appears.
    fn mount(
        &mut self,
        store: &Store,
        at: Address,
        mount: Mount,
        access: Access,
    ) -> Result<(), Refusal> {
        let places = places_of(store.granule, at, mount);
        for (done, (number, at)) in places.iter().enumerate() {
            let piece = self.piece(mount.file, *number);
            piece.scratch = None;
            let section = piece.section.clone();
            let region = self.region_of(*at).ok_or(NO_RESERVATION);
            let mapped = match (region, section) {
                (Ok(region), Some(section)) => {
                    region.tiles.map(&store.calls, &section, *at, access)
                }
                (region, _) => region.map(drop),
            };
            if let Err(refusal) = mapped {
                let undo: Vec<_> = places[..done].iter().map(|(_, at)| (*at, access)).collect();
                self.take_away(store, &undo);
                return Err(refusal);
            }
        }
        for (number, at) in places {
            self.piece(mount.file, number).places.push((at, access));
        }
        let region = self.region_of(at).ok_or(NO_RESERVATION)?;
        region.mounts.insert(at, mount);
        Ok(())
    }

    /// Takes the places of a mount from the pieces of its file, if that is still open.
    fn forget_places(&mut self, granule: u64, at: Address, mount: Mount) {
        let Some(pieces) = self.files.get_mut(&mount.file) else {
            return;
        };
        for (number, at) in places_of(granule, at, mount) {
            if let Some(piece) = pieces.get_mut(&number) {
                piece.places.retain(|(place, _)| *place != at);
                if piece.places.is_empty() && piece.section.is_none() {
                    pieces.remove(&number);
                }
            }
        }
    }
}

/// The granules of a mount, by their number in the file, with their addresses.
fn places_of(granule: u64, at: Address, mount: Mount) -> Vec<(u64, Address)> {
    let count = mount.size / granule;
    let place = |index| {
        let number = mount.offset / granule + index;
        (number, Address::new(at.value() + index * granule))
    };
    (0..count).map(place).collect()
}
