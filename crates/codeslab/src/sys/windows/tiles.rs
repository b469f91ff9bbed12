//! One reservation as the system sees it: placeholders, views and private memory side by side, without a gap.
//!
//! A view or private memory takes the place of exactly one placeholder, so a range is made one before it is replaced: placeholders are
//! split at its ends and joined between. What is where is kept here, because the system does not tell a placeholder from private memory
//! without pages. `store` has one of these for each reservation and each view, and a lock around all of them: looking and splitting are
//! two steps.

use super::mm::{self, Access, Free, Placeholders, Section};
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is between two addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Placeholder,
    View,
    Private,
}

#[derive(Clone, Copy, Debug)]
struct Tile {
    size: u64,
    kind: Kind,
}

/// A reservation, tile by tile.
#[derive(Debug)]
pub(super) struct Tiles {
    // Invariant: by address, adjacent, as the system has them; each is codeslab's, and known to nothing else.
    tiles: BTreeMap<u64, Tile>,
}

impl Tiles {
    /// A reservation that is one placeholder.
    ///
    /// # Safety
    /// - It was reserved just now, and nothing but the new value frees any of it.
    pub(super) unsafe fn new(at: Address, size: u64) -> Self {
        let tile = Tile {
            size,
            kind: Kind::Placeholder,
        };
        Self {
            tiles: BTreeMap::from([(at.value(), tile)]),
        }
    }

    /// Puts a view of a section into a range without access.
    pub(super) fn map(
        &mut self,
        calls: &Placeholders,
        section: &Section,
        at: Address,
        access: Access,
    ) -> Result<(), Refusal> {
        self.isolate(at.value(), section.size())?;
        // SAFETY: the range is one placeholder of ours now, as long as the section, and whoever has `self` alone changes it.
        unsafe { calls.map(section, at, access) }?;
        self.set(at.value(), Kind::View);
        Ok(())
    }

    /// Takes a view away, if there is one at this address.
    ///
    /// # Safety
    /// - No thread uses what is mapped there, at the same time or later.
    pub(super) unsafe fn unmap(
        &mut self,
        calls: &Placeholders,
        at: Address,
    ) -> Result<(), Refusal> {
        let Some(tile) = self.tiles.get(&at.value()) else {
            return Ok(());
        };
        if tile.kind == Kind::View {
            // SAFETY: it is a whole view of ours, which no thread uses from now on.
            unsafe { calls.unmap(at, tile.size) }?;
            self.set(at.value(), Kind::Placeholder);
        }
        Ok(())
    }

    /// Puts zeroed private memory into a range without access.
    pub(super) fn commit(
        &mut self,
        calls: &Placeholders,
        at: Address,
        size: u64,
        access: Access,
    ) -> Result<(), Refusal> {
        self.isolate(at.value(), size)?;
        // SAFETY: the range is one placeholder of ours now, and whoever has `self` alone changes it.
        unsafe { calls.commit(at, size, access) }?;
        self.set(at.value(), Kind::Private);
        Ok(())
    }

    /// The parts of a range of private memory that one call made each.
    pub(super) fn private_parts(&self, at: Address, size: u64) -> Vec<(Address, u64)> {
        let range = at.value()..at.value() + size;
        let parts = self.touching(range.clone()).into_iter();
        let is_private = |(_, tile): &(u64, Tile)| tile.kind == Kind::Private;
        let within = |(start, tile): (u64, Tile)| {
            let first = start.max(range.start);
            let end = (start + tile.size).min(range.end);
            (Address::new(first), end - first)
        };
        parts.filter(is_private).map(within).collect()
    }

    /// Makes a range one placeholder, whatever is in it.
    ///
    /// # Safety
    /// - No view and no private memory crosses its ends.
    /// - No thread uses what is there, at the same time or later.
    pub(super) unsafe fn clear(
        &mut self,
        calls: &Placeholders,
        at: Address,
        size: u64,
    ) -> Result<(), Refusal> {
        let range = at.value()..at.value() + size;
        for (start, tile) in self.touching(range.clone()) {
            let at = Address::new(start);
            match tile.kind {
                Kind::Placeholder => continue,
                // SAFETY: it is a whole view of ours, which no thread uses from now on.
                Kind::View => unsafe { calls.unmap(at, tile.size) }?,
                // SAFETY: it is the private memory of one call, whole, which no thread uses from now on.
                Kind::Private => unsafe { mm::free(at, tile.size, Free::ToPlaceholder) }?,
            }
            self.set(start, Kind::Placeholder);
        }
        // Only that later calls have less to do.
        let _ = self.isolate(range.start, size);
        Ok(())
    }

    /// Gives everything back to the system. What it refuses stays reserved.
    ///
    /// # Safety
    /// - No thread uses any of it, at the same time or later.
    pub(super) unsafe fn release(self, calls: &Placeholders) -> Result<(), Refusal> {
        let mut released = Ok(());
        for (start, tile) in self.tiles {
            let at = Address::new(start);
            let emptied = match tile.kind {
                // SAFETY: it is a whole view of ours, which no thread uses from now on.
                Kind::View => unsafe { calls.unmap(at, tile.size) },
                Kind::Placeholder | Kind::Private => Ok(()),
            };
            // SAFETY: it is a whole placeholder or the private memory of one call, which no thread uses from now on.
            let freed = emptied.and_then(|()| unsafe { mm::free(at, tile.size, Free::Release) });
            released = released.and(freed);
        }
        released
    }

    /// Makes a range one placeholder that is made of placeholders.
    fn isolate(&mut self, start: u64, size: u64) -> Result<(), Refusal> {
        let range = start..start + size;
        self.cut(range.start)?;
        self.cut(range.end)?;
        let parts = self.touching(range);
        let is_free = |(_, tile): &(u64, Tile)| tile.kind == Kind::Placeholder;
        if parts.is_empty() || !parts.iter().all(is_free) {
            return Err(Refusal::foreseen("VirtualAlloc2", size, Limit::Occupied));
        }
        if parts.len() > 1 {
            // SAFETY: these are whole placeholders side by side, of one reservation of ours.
            unsafe { mm::free(Address::new(start), size, Free::Coalesce) }?;
            for (part, _) in parts {
                self.tiles.remove(&part);
            }
            let kind = Kind::Placeholder;
            self.tiles.insert(start, Tile { size, kind });
        }
        Ok(())
    }

    /// Splits the placeholder in which an address lies, if one does not begin there.
    fn cut(&mut self, at: u64) -> Result<(), Refusal> {
        let below = self.tiles.range(..at).next_back();
        let Some((&start, &tile)) = below.filter(|(start, tile)| *start + tile.size > at) else {
            return Ok(());
        };
        if tile.kind != Kind::Placeholder {
            return Err(Refusal::foreseen("VirtualFree", tile.size, Limit::Occupied));
        }
        let head = at - start;
        // SAFETY: it is part of a placeholder of ours.
        unsafe { mm::free(Address::new(start), head, Free::ToPlaceholder) }?;
        let kind = Kind::Placeholder;
        self.tiles.insert(start, Tile { size: head, kind });
        let size = tile.size - head;
        self.tiles.insert(at, Tile { size, kind });
        Ok(())
    }

    /// What overlaps a range.
    fn touching(&self, range: Range<u64>) -> Vec<(u64, Tile)> {
        let below = self.tiles.range(..range.start).next_back();
        let crossing = below.filter(|(start, tile)| *start + tile.size > range.start);
        let within = self.tiles.range(range.clone());
        let all = crossing.into_iter().chain(within);
        all.map(|(start, tile)| (*start, *tile)).collect()
    }

    fn set(&mut self, at: u64, kind: Kind) {
        if let Some(tile) = self.tiles.get_mut(&at) {
            tile.kind = kind;
        }
    }
}
