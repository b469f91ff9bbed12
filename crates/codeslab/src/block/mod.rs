//! A block: address space in which every address reaches every other, divided into slabs for code, constants and data.
//!
//! Slabs grow in steps out of what the block has left: code upwards from the start, data downwards from the end, constants
//! upwards from a place in between. A slab that meets its neighbour goes on in the largest gap that is left, so a block is
//! full only when nothing can grow in it, whatever the mixture, and it is a handful of mappings all the time.

pub(crate) mod geometry;
pub(crate) mod page_map;
pub(crate) mod place;
pub(crate) mod thread_cache;

mod growth;
mod mappings;
mod ready;

use crate::block::geometry::{Carving, GRANULE, Geometry, Part, Parts, Spans};
use crate::block::page_map::PageMap;
use crate::block::place::{Packed, Round};
use crate::block::thread_cache::ThreadCache;
use crate::model::address::Window;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::Slab;
use crate::slab::purge::Chunks;
use crate::slab::span::{Span, SpanSet};
use crate::write::backing::Backing;
use crate::write::pages::Pages;
use std::sync::Arc;

/// Bytes by which a slab grows unless more is needed at once. More would be idle in the last step of each slab, less is more
/// calls; the cost of a page has its minimum here (see `Pages::commit`).
const STEP: u64 = 64 << 10;

/// 256ths of all bytes that are code in real objects (three quarters of glibc).
pub(crate) const TYPICAL_CODE_SHARE: u64 = 192;

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    pages: Pages,
    geometry: Geometry,
    cluster: u64,
    slabs: [Slab; 3],
    page_map: Arc<PageMap>,
    chunks: Chunks,
    // What no slab has yet.
    unused: SpanSet,
    // What was too large for a slab the last time, until something is freed there.
    too_large: [u64; 3],
    // Bytes that a slab takes at least. 0 while slabs take no more than they need.
    step: u64,
    // 256ths of the block that code will need, as far as one can guess: constants begin behind them.
    code_share: u64,
    // Invariant: requests of which spans are carved.
    requests: u64,
    // Mappings that were taken from the budget: as many as there are, or may be when what is under way is done.
    counted_mappings: u64,
}

impl Block {
    /// A fresh block. Its slabs take no more than they need until it is told to [`Block::grow_in_steps`].
    pub(crate) fn new(backing: Backing, geometry: Geometry, cluster: u64) -> Result<Self, Refusal> {
        let size = backing.size();
        let no_memory = Refusal::foreseen("malloc", size, Limit::Memory);
        let slabs = slabs(&backing, geometry).ok_or(no_memory.clone())?;
        let runs = slabs.each_ref().map(|slab| Arc::clone(slab.runs()));
        let page_map = PageMap::new(backing.range(), geometry.granularity, runs);
        let chunks = Chunks::new(size, geometry.granularity).ok_or(no_memory.clone())?;
        let unused = SpanSet::from_iter([Span { offset: 0, size }]);
        backing.budget().map(1)?;
        Ok(Self {
            pages: Pages::new(Arc::new(backing)),
            geometry,
            cluster,
            slabs,
            page_map: Arc::new(page_map.ok_or(no_memory)?),
            chunks,
            unused,
            too_large: [u64::MAX; 3],
            step: 0,
            code_share: TYPICAL_CODE_SHARE,
            requests: 0,
            counted_mappings: 1,
        })
    }

    /// From now on slabs take more than they need at once, for the requests to come, of which `code_share` 256ths are code.
    pub(crate) fn grow_in_steps(&mut self, code_share: u64) {
        self.code_share = code_share;
        // At most an eighth of the block, so that small blocks hold all three kinds.
        self.step = STEP.min(self.size() / 8);
    }

    pub(crate) const fn cluster(&self) -> u64 {
        self.cluster
    }

    pub(crate) const fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(crate) const fn page_map(&self) -> &Arc<PageMap> {
        &self.page_map
    }

    pub(crate) fn range(&self) -> Window {
        self.page_map.range()
    }

    pub(crate) fn size(&self) -> u64 {
        self.pages.backing().size()
    }

    pub(crate) fn slab(&self, protection: Protection) -> &Slab {
        &self.slabs[protection.index()]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.requests == 0
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.slabs.iter().map(Slab::used_bytes).sum()
    }

    /// Carves all parts or nothing. `None` if they do not fit.
    pub(crate) fn carve(&mut self, parts: &Parts) -> Result<Option<Spans>, Refusal> {
        if parts.iter().flatten().any(|part| self.is_hopeless(*part)) {
            return Ok(None);
        }
        // Without growing first: nothing must grow for a request that does not fit in the end.
        let mut spans = [None; 3];
        for (part, span) in parts.iter().zip(&mut spans) {
            *span =
                part.and_then(|part| self.slabs[part.slab.index()].carve(part.size, part.align));
        }
        let grown = if self.has_room(parts, &spans) {
            self.count_mappings_to_come(parts, &spans)
                .and_then(|()| self.grow_and_carve(parts, &mut spans))
        } else {
            Ok(false)
        };
        let carved = grown.and_then(|grown| {
            if grown {
                self.make_present(parts, &spans)?;
                self.pages.open_view()?;
            }
            Ok(grown)
        });
        let carved = match carved {
            Ok(true) => {
                self.requests += 1;
                Ok(Some(Spans::of(&spans)))
            }
            failed => {
                self.uncarve(parts, &spans);
                self.note_too_large(parts, &spans);
                failed.map(|_| None)
            }
        };
        self.count_mappings();
        carved
    }

    /// Brings back memory under the spans that went back to the system.
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    fn make_present(&mut self, parts: &Parts, spans: &Carving) -> Result<(), Refusal> {
        for (part, span) in parts.iter().zip(spans) {
            let (Some(part), Some(span)) = (part, span) else {
                continue;
            };
            while let Some(chunk) = self.chunks.absent_under(*span) {
                // SAFETY: the chunk was discarded, and lay in a free run until now: nobody uses any of it.
                unsafe { self.pages.restore(chunk, part.slab) }?;
                self.chunks.note_restored(chunk);
            }
        }
        Ok(())
    }

    fn is_hopeless(&self, part: Part) -> bool {
        // Offsets are aligned in the block, so addresses are aligned as much as the block is.
        let is_misaligned = self.range().first().value() & (part.align - 1) != 0;
        is_misaligned || part.size >= self.too_large[part.slab.index()]
    }

    /// Remembers what did not fit by itself, for the next request.
    fn note_too_large(&mut self, parts: &Parts, spans: &Carving) {
        for (part, span) in parts.iter().zip(spans) {
            let Some(part) = part else { continue };
            let sharing = parts
                .iter()
                .flatten()
                .filter(|other| other.slab == part.slab)
                .count();
            if span.is_none() && sharing == 1 && part.align <= GRANULE && !self.has_room_for(*part)
            {
                self.too_large[part.slab.index()] = part.size;
            }
        }
    }

    /// Carves the parts that have no span yet, from slabs that grow for them. False if there is no room after all.
    fn grow_and_carve(&mut self, parts: &Parts, spans: &mut Carving) -> Result<bool, Refusal> {
        for (part, span) in parts.iter().zip(spans) {
            if let (Some(part), None) = (part, *span) {
                *span = self.carve_part(*part)?;
                if span.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn uncarve(&mut self, parts: &Parts, spans: &Carving) {
        for (part, span) in parts.iter().zip(spans) {
            if let (Some(part), Some(span)) = (part, span) {
                self.slabs[part.slab.index()].free(*span);
            }
        }
    }

    fn carve_part(&mut self, part: Part) -> Result<Option<Span>, Refusal> {
        let Some(needed) = self.geometry.bytes_for(part) else {
            return Ok(None);
        };
        if !self.grow(part.slab, needed)? {
            return Ok(None);
        }
        Ok(self.slabs[part.slab.index()].carve(part.size, part.align))
    }

    /// Takes back the last tenant's spans and gives all pages back, which saves cleaning them. If the system refuses, it has
    /// only taken the spans back.
    pub(crate) fn free_last(&mut self, spans: &Spans, are_clean: bool) {
        self.requests -= 1;
        if self.reset().is_err() {
            self.requests += 1;
            let cleaned = if are_clean { *spans } else { self.clean(spans) };
            self.uncarve_clean(&cleaned);
        }
    }

    /// Makes spans that nobody uses safe to lie around. What the system does not let us clean is not among what comes back, and is
    /// never given out again.
    #[inline]
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    pub(crate) fn clean(&self, spans: &Spans) -> Spans {
        let backing = self.pages.backing();
        spans.filter(|protection, span| {
            let slab = self.geometry.slab_of(protection);
            // SAFETY: the span is carved, committed for its slab, and no longer used.
            unsafe { backing.retract(span, slab, self.pages.view()) }.is_ok()
        })
    }

    /// Takes back the end of a span, all but the first `size` bytes, which nobody uses. What the system does not let us clean stays.
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    pub(crate) fn shrink(&mut self, protection: Protection, offset: u64, size: u64) {
        let slab = self.geometry.slab_of(protection);
        let span = self.slab(slab).span_at(offset);
        // A span keeps a granule, so that it is somewhere.
        let kept = self.geometry.granules_of(protection, size.max(1)) * GRANULE;
        if kept >= span.size {
            return;
        }
        let tail = Span {
            offset: offset + kept,
            size: span.size - kept,
        };
        // SAFETY: the tail is carved, committed for its slab, and no longer used.
        let retracted = unsafe { self.pages.backing().retract(tail, slab, self.pages.view()) };
        if retracted.is_ok() {
            let run = self.slabs[slab.index()].free_tail(span, kept);
            self.too_large[slab.index()] = u64::MAX;
            self.note_idle(slab, tail, run);
        }
    }

    /// What is carved at `starts`, if it can be rested: if it is small, and nothing has to be asked of the system.
    #[inline]
    pub(crate) fn round_at(&self, starts: Packed) -> Option<Round> {
        let round = Round::at(starts, |protection, offset| {
            let slab = self.geometry.slab_of(protection);
            self.page_map.runs(slab).run_at(offset).size / GRANULE
        })?;
        (self.pages.has_view() && ThreadCache::keeps(round)).then_some(round)
    }

    /// Makes a round of [`Block::round_at`], which nobody uses any more, ready to be used again.
    #[inline]
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    pub(crate) fn rest(&self, round: Round) {
        let Some(view) = self.pages.view() else {
            return;
        };
        for protection in Protection::ALL {
            if let Some(span) = round.get(protection) {
                let slab = self.geometry.slab_of(protection);
                // SAFETY: the span is carved, committed for its slab, and no longer used.
                unsafe { self.pages.backing().retract_in(view, span, slab) };
                self.page_map.runs(slab).set_resting(span.offset, true);
            }
        }
    }

    /// Notes that a round is in use again.
    #[inline]
    pub(crate) fn wake(&self, round: Round) {
        for protection in Protection::ALL {
            if let Some(span) = round.get(protection) {
                let slab = self.geometry.slab_of(protection);
                self.page_map.runs(slab).set_resting(span.offset, false);
            }
        }
    }

    /// Whether what is carved can be written without opening anything.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.pages.has_view() || self.geometry.writer != Writer::DualMapping
    }

    /// Makes a tenant's spans, which are clean, free.
    pub(crate) fn uncarve_clean(&mut self, spans: &Spans) {
        for (protection, span) in spans.iter() {
            let slab = self.geometry.slab_of(protection);
            let run = self.slabs[slab.index()].free(span);
            self.too_large[slab.index()] = u64::MAX;
            self.note_idle(slab, span, run);
        }
        self.requests -= 1;
    }

    /// Gives memory back to the system when much of a slab is idle. What was freed is a part of a free `run` now.
    fn note_idle(&mut self, slab: Protection, freed: Span, run: Span) {
        if self.chunks.note_freed(slab.index(), freed, run) {
            self.sweep(slab);
        }
    }

    /// Gives back the memory of all chunks in free runs of a slab.
    #[allow(unsafe_code, reason = "the slabs know what is free")]
    pub(crate) fn sweep(&mut self, slab: Protection) {
        let runs = self.slabs[slab.index()].long_free_runs(self.chunks.chunk_bytes());
        let idle: Vec<Span> = runs
            .into_iter()
            .flat_map(|run| self.chunks.present_in(run))
            .collect();
        for range in idle {
            // SAFETY: the range lies in a free run, so nobody uses it, and it is committed for its slab. What the system does
            // not take back stays.
            if unsafe { self.pages.discard(range, slab) }.is_ok() {
                self.chunks.note_discarded(range);
            }
        }
        self.chunks.note_swept(slab.index());
    }

    /// Notes that the spans of a request are freed although they are still carved, or no longer.
    #[inline]
    pub(crate) fn set_resting(&self, spans: &Spans, are_resting: bool) {
        for (protection, span) in spans.iter() {
            let slab = self.geometry.slab_of(protection);
            self.page_map
                .runs(slab)
                .set_resting(span.offset, are_resting);
        }
    }

    /// Notes that spans which another thread gave back are in its owner's hands: they rest.
    pub(crate) fn note_taken(&self, spans: &Spans) {
        self.set_resting(spans, true);
        for (protection, span) in spans.iter() {
            let slab = self.geometry.slab_of(protection);
            self.page_map.runs(slab).set_returned(span.offset, false);
        }
    }

    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    /// Gives all pages back. Nothing is carved, and nothing will be before [`Block::reset`].
    #[allow(unsafe_code, reason = "an empty block has no users")]
    pub(crate) fn decommit(&mut self) -> Result<(), Refusal> {
        assert!(
            self.is_empty(),
            "a block with {} requests is given back",
            self.requests
        );
        // SAFETY: nothing is carved, so nobody uses anything.
        unsafe { self.pages.decommit() }
    }

    /// Gives all pages back if nothing is carved. The block is as good as new afterwards, or as it was if that is refused.
    pub(crate) fn reset(&mut self) -> Result<(), Refusal> {
        let chunks = Chunks::new(self.size(), self.geometry.granularity);
        let chunks = chunks.ok_or(Refusal::foreseen("malloc", self.size(), Limit::Memory))?;
        self.decommit()?;
        self.slabs.iter_mut().for_each(Slab::clear);
        self.page_map.clear();
        self.chunks = chunks;
        let size = self.size();
        self.unused = SpanSet::from_iter([Span { offset: 0, size }]);
        self.too_large = [u64::MAX; 3];
        self.grow_in_steps(self.code_share);
        self.count_mappings();
        Ok(())
    }

    /// Makes the writable view, if the writer has one.
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        self.count_up_to(self.most_mappings() + 1)?;
        let opened = self.pages.open_view();
        self.count_mappings();
        opened
    }

    /// Drops the writable view. Nothing of the block is in flight.
    pub(crate) fn close_view(&mut self) {
        self.pages.close_view();
        self.count_mappings();
    }

    /// Mappings that the system keeps for it at most: neighbouring blocks may share some.
    pub(crate) fn mappings(&self) -> u64 {
        let slabs: usize = self.slabs.iter().map(|slab| slab.extents().len()).sum();
        (slabs + self.unused.len()) as u64 + u64::from(self.pages.has_view())
    }

    /// Bytes of bookkeeping.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.slabs.iter().map(Slab::metadata_bytes).sum::<u64>() + size_of::<Self>() as u64
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pages.backing().budget().unmap(self.counted_mappings);
    }
}

/// The offset in a block at which nothing may begin: a multiple of 4 GiB. libgcc passes over unwind information of a
/// function whose address has no low 32 bits.
fn avoided(range: Window) -> Option<u64> {
    let multiple = range.first().align_up(1 << 32)?;
    (multiple <= range.last()).then(|| multiple.distance(range.first()))
}

fn slabs(backing: &Backing, geometry: Geometry) -> Option<[Slab; 3]> {
    let avoided = avoided(backing.range());
    let slab = |protection| Slab::new(backing.size(), geometry.granule(protection), avoided);
    let [code, constants, data] = Protection::ALL.map(slab);
    Some([code?, constants?, data?])
}
