//! How the slabs of a block grow: where they go on, and by how much. Each step takes more than is needed at once, so that the next requests
//! find room without asking the system.

use super::{Block, STEP};
use crate::model::error::Refusal;
use crate::model::layout::{Layout, Segment};
use crate::model::protection::Protection;
use crate::slab::span::{Located, Span};
use std::cmp::Reverse;

impl Block {
    /// Whether the segments that have no span yet may fit into what is uncommitted.
    pub(super) fn has_room(&self, layout: &Layout, carved: &Located) -> bool {
        let mut left = self.pages.uncommitted().bytes();
        let mut missing = layout
            .segments()
            .filter(|(protection, _)| carved[protection.index()].is_none());
        missing.all(|(protection, segment)| {
            let slab = self.geometry.slab_of(protection);
            let extents = self.slab(slab).extents().iter();
            let spare = extents.map(|extent| self.free_at_ends(slab, extent)).max();
            let needed = self.geometry.bytes_for(slab, segment);
            let needed = needed.map(|needed| needed.saturating_sub(spare.unwrap_or(0)));
            let rest = needed.and_then(|needed| left.checked_sub(needed));
            left = rest.unwrap_or(0);
            rest.is_some() && self.has_room_for(slab, segment)
        })
    }

    /// Whether a slab can grow by what a segment needs.
    pub(super) fn has_room_for(&self, slab: Protection, segment: Segment) -> bool {
        let needed = self.geometry.bytes_for(slab, segment);
        needed.is_some_and(|needed| self.next_pages(slab, needed).is_some())
    }

    /// Free bytes at the ends of an extent, of which growing there makes use.
    fn free_at_ends(&self, slab: Protection, extent: Span) -> u64 {
        let slab = self.slab(slab);
        slab.free_below(extent.end())
            .max(slab.free_from(extent.offset))
    }

    /// Makes sure that a slab has a free run in which a segment fits. False if there is no room for it.
    pub(super) fn grow(&mut self, slab: Protection, segment: Segment) -> Result<bool, Refusal> {
        let needed = self.geometry.bytes_for(slab, segment);
        let pages = needed.and_then(|needed| self.next_pages(slab, needed));
        let (Some(needed), Some(pages)) = (needed, pages) else {
            return Ok(false);
        };
        // An extent of its own cuts a gap in two, and the view if that is to show it.
        self.count_ahead(2 + 2 * u64::from(self.geometry.needs_view))?;
        match self.commit(slab, pages) {
            // Less may be left than a whole step.
            Err(refusal) if refusal.is_budget() => {
                let least = self.least_pages(slab, needed);
                let least = least.filter(|least| least.size < pages.size);
                self.commit(slab, least.ok_or(refusal)?)?;
            }
            committed => committed?,
        }
        Ok(true)
    }

    /// Commits pages and gives them to a slab.
    fn commit(&mut self, slab: Protection, pages: Span) -> Result<(), Refusal> {
        self.pages.commit(pages, slab)?;
        self.page_map.note_pages(pages, slab);
        let run = self.slabs[slab.index()].extend(pages);
        // A request is about to be carved from them, so this is no time to purge.
        self.chunks.note_freed(slab.index(), pages, run);
        Ok(())
    }

    /// Where a slab goes on if it takes no more than it needs.
    fn least_pages(&mut self, slab: Protection, needed: u64) -> Option<Span> {
        let step = std::mem::replace(&mut self.step, 0);
        let least = self.next_pages(slab, needed);
        self.step = step;
        least
    }

    /// Where a slab may go on: what is uncommitted, without the guards at the ends of the block and beside other slabs.
    fn gaps(&self, slab: Protection) -> impl DoubleEndedIterator<Item = Span> + '_ {
        let guard = self.geometry.guard_bytes;
        let own = self.slab(slab).extents();
        self.pages.uncommitted().iter().filter_map(move |gap| {
            let goes_on = own.iter().any(|extent| extent.end() == gap.offset);
            let comes_down = own.iter().any(|extent| extent.offset == gap.end());
            let offset = gap.offset + if goes_on { 0 } else { guard };
            let end = gap.end() - if comes_down { 0 } else { guard };
            Span::between(offset, end)
        })
    }

    /// Where a slab goes on: beside what it has, or else in the largest gap.
    fn next_pages(&self, slab: Protection, needed: u64) -> Option<Span> {
        let extents = self.slab(slab).extents();
        let mut all = extents.iter();
        let beside = all.find_map(|extent| self.pages_beside(extent, slab, needed));
        beside.or_else(|| {
            let fresh = self.step > 0 && extents.is_empty();
            // Data begins at the end of a block, also where constants were first.
            let last = self.gaps(slab).next_back();
            let last = last.filter(|_| fresh && slab == Protection::ReadWrite);
            let at_end = last.filter(|gap| self.whole_step(slab, needed, gap.size).is_some());
            let by_size = |gap: &Span| (gap.size, Reverse(gap.offset));
            let gap = at_end.or_else(|| self.gaps(slab).max_by_key(by_size))?;
            let size = self.whole_step(slab, needed, gap.size)?;
            let offset = self.start_in_gap(slab, gap, size, fresh);
            Some(Span { offset, size })
        })
    }

    fn pages_beside(&self, extent: Span, slab: Protection, needed: u64) -> Option<Span> {
        let pieces = &self.slabs[slab.index()];
        let above = || {
            let gap = self.gaps(slab).find(|gap| gap.offset == extent.end())?;
            let missing = needed.saturating_sub(pieces.free_below(extent.end()));
            let size = self.whole_step(slab, missing, gap.size)?;
            Some(Span {
                offset: gap.offset,
                size,
            })
        };
        let below = || {
            let gap = self.gaps(slab).find(|gap| gap.end() == extent.offset)?;
            let missing = needed.saturating_sub(pieces.free_from(extent.offset));
            let size = self.whole_step(slab, missing, gap.size)?;
            let offset = gap.end() - size;
            Some(Span { offset, size })
        };
        // Data comes down from the end of the block, the others go up.
        if slab == Protection::ReadWrite {
            below().or_else(above)
        } else {
            above().or_else(below)
        }
    }

    /// How much a slab takes for `needed` bytes out of a gap of `available`.
    fn whole_step(&self, slab: Protection, needed: u64, available: u64) -> Option<u64> {
        let least = needed
            .max(1)
            .checked_next_multiple_of(self.geometry.granularity)?;
        let step = self.step_of(slab);
        let step = step.next_multiple_of(self.geometry.granularity);
        (least <= available).then(|| least.max(step).min(available))
    }

    /// A slab of a small block doubles at first: such a block was opened for one request, and may never hold another.
    fn step_of(&self, slab: Protection) -> u64 {
        let extents = self.slab(slab).extents();
        if self.step < STEP {
            return self.step.min(extents.bytes());
        }
        let step = match extents.bytes() {
            // Programs that place little wait for the first step, and pages of a memory file are written there.
            0 => STEP / 4,
            // Each step is calls of the system, which cost a twentieth of all that placing takes; what is idle stays an eighth.
            committed => (committed / 8 / STEP * STEP).clamp(STEP, 4 * STEP),
        };
        match slab {
            Protection::ReadExecute => step,
            // There are few constants beside code, so the last step would be idle for long.
            Protection::ReadOnly => step / 2,
            // They cost nothing until they are touched.
            Protection::ReadWrite => STEP,
        }
    }

    fn start_in_gap(&self, slab: Protection, gap: Span, size: u64, fresh: bool) -> u64 {
        let last = gap.end() - size;
        let between = match slab {
            Protection::ReadExecute => gap.offset,
            Protection::ReadOnly if fresh => (self.size() / 256).saturating_mul(self.code_share),
            // Not at the end, where data goes on: the two would take turns, and each piece is a mapping.
            Protection::ReadOnly if self.step > 0 => gap.offset + gap.size / 2,
            Protection::ReadOnly | Protection::ReadWrite => last,
        };
        let between = between.next_multiple_of(self.geometry.granularity);
        between.clamp(gap.offset, last)
    }
}
