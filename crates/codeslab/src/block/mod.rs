//! A block: address space in which every address reaches every other, divided into slabs for code, constants and data.
//!
//! Slabs grow in steps out of what the block has left (`growth`): code upwards from the start, data downwards from the end,
//! constants upwards from a place in between. A slab that meets its neighbour goes on in the largest gap that is left, so a block
//! is full only when nothing can grow in it, whatever the mixture, and it is a handful of mappings all the time.
//!
//! Shards own blocks. What other threads may ask without the shard's lock is in `page_map`.
#![allow(unsafe_code, reason = "a block knows whose bytes are whose")]

mod free;
pub(crate) mod geometry;
mod growth;
mod mappings;
pub(crate) mod page_map;

use crate::model::address::Window;
use crate::model::error::{Limit, Refusal};
use crate::model::layout::{Layout, Segment};
use crate::model::protection::Protection;
use crate::slab::Slab;
use crate::slab::purge::Chunks;
use crate::slab::span::{Located, Span};
use crate::slab::spans::{GRANULE, Spans};
use crate::space::tables;
use crate::sync::WordSource;
use crate::write::backing::Backing;
use crate::write::pages::Pages;
use geometry::Geometry;
use page_map::PageMap;
use std::sync::Arc;

/// Bytes by which a slab grows. More would be idle in the last step of each slab, less is more calls; a page costs least here.
const STEP: u64 = 64 << 10;

/// 256ths of all bytes that are code in real objects (three quarters of glibc).
pub(crate) const TYPICAL_CODE_SHARE: u64 = 192;

/// Where a request may be carved from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Growth {
    /// From pages that the slabs have.
    Never,
    /// From pages that the slabs have, and from what they grow by.
    Allowed,
}

#[derive(Debug)]
pub(crate) struct Block {
    pages: Pages,
    geometry: Geometry,
    slabs: [Slab; 3],
    page_map: Arc<PageMap>,
    chunks: Chunks,
    // What was too large for a slab the last time, until something is freed there.
    too_large: [u64; 3],
    // Bytes that a slab takes at least. 0 while slabs take no more than they need.
    step: u64,
    // 256ths of the block that code will need, as far as one can guess: constants begin behind them.
    code_share: u64,
    // Requests of which spans are carved.
    requests: u64,
    // Mappings that were taken from the budget: as many as there are, or may be when what is under way is done.
    counted_mappings: u64,
}

impl Block {
    /// A fresh block. Its slabs take no more than they need until it is told to [`Block::grow_in_steps`].
    pub(crate) fn new(backing: Backing, geometry: Geometry) -> Result<Self, Refusal> {
        let size = backing.size();
        let no_memory = || Refusal::foreseen("malloc", size, Limit::Memory);
        let mut source = words(&backing);
        let slabs = slabs(&backing, geometry, &mut source).ok_or_else(no_memory)?;
        let slab_of = |protection| &slabs[geometry.slab_of(protection).index()];
        let runs = Protection::ALL.map(|protection| Arc::clone(slab_of(protection).runs()));
        let page_map = PageMap::new(backing.range(), geometry.granularity, runs, &mut source);
        let page_map = Arc::new(page_map.ok_or_else(no_memory)?);
        let chunks = Chunks::new(size, geometry.granularity).ok_or_else(no_memory)?;
        backing.budget.mappings.take(1)?;
        Ok(Self {
            pages: Pages::new(backing),
            geometry,
            slabs,
            page_map,
            chunks,
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

    pub(crate) const fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(crate) const fn page_map(&self) -> &Arc<PageMap> {
        &self.page_map
    }

    #[inline]
    pub(crate) fn range(&self) -> Window {
        self.page_map.range
    }

    pub(crate) fn size(&self) -> u64 {
        self.pages.backing().size()
    }

    pub(crate) fn slab(&self, protection: Protection) -> &Slab {
        &self.slabs[protection.index()]
    }

    /// How many requests are carved from it, freed ones that are kept whole included.
    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.slabs.iter().map(Slab::used_bytes).sum()
    }

    /// Whether what is carved can be written without opening anything.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.geometry.needs_view || self.pages.has_view()
    }

    /// Carves a whole request, or nothing: `None` if it does not fit.
    pub(crate) fn carve(
        &mut self,
        layout: &Layout,
        growth: Growth,
    ) -> Result<Option<Spans>, Refusal> {
        let mut segments = layout.segments();
        if segments.any(|(protection, segment)| self.is_hopeless(protection, segment)) {
            return Ok(None);
        }
        // Without growing first: nothing must grow for a request that does not fit in the end.
        let mut carved = [None; 3];
        let is_whole = self.carve_segments(layout, &mut carved);
        let spans = self.complete(layout, &mut carved, is_whole, growth);
        if matches!(spans, Ok(Some(_))) {
            self.requests += 1;
        } else {
            if growth == Growth::Allowed {
                self.note_too_large(layout, &carved);
            }
            self.uncarve(&carved);
            self.count_mappings();
        }
        spans
    }

    /// Makes many requests of one. `starts` says how many bytes of each segment come before the part of each, `u64::MAX` where it has none;
    /// what lies before the next part belongs to it. `None`, and nothing changes, if a span would begin where none may.
    pub(crate) fn divide(
        &mut self,
        spans: &Spans,
        starts: &[[u64; 3]],
    ) -> Result<Option<Vec<Spans>>, Refusal> {
        let mut parts = vec![[None; 3]; starts.len()];
        let (whole, mut rest) = (self.page_map.locate(spans), [None; 3]);
        for (protection, whole) in Protection::ALL.into_iter().zip(whole) {
            let (index, Some(whole)) = (protection.index(), whole) else {
                continue;
            };
            let slab = &self.slabs[self.geometry.slab_of(protection).index()];
            let mut end = whole.end();
            for (part, start) in parts.iter_mut().zip(starts).rev() {
                let start = whole.offset.saturating_add(start[index]);
                let Some(span) = Span::between(start, end) else {
                    continue;
                };
                if start > whole.offset && !slab.may_begin(start) {
                    return Ok(None);
                }
                part[index] = Some(span);
                end = start;
            }
            rest[index] = Span::between(whole.offset, end);
        }
        let divided: Option<Vec<Spans>> = parts.iter().map(Spans::new).collect();
        let divided = divided.ok_or_else(|| Refusal::foreseen("malloc", 16, Limit::Memory))?;
        for (protection, whole) in Protection::ALL.into_iter().zip(whole) {
            let slab = self.geometry.slab_of(protection);
            let spans = parts.iter().filter_map(|part| part[protection.index()]);
            for span in spans.filter(|span| whole.is_some_and(|whole| whole.offset < span.offset)) {
                self.slabs[slab.index()].divide(span.offset);
            }
        }
        // What is left before the first part is no request's, and was never written.
        self.uncarve(&rest);
        self.requests += starts.len() as u64 - 1;
        Ok(Some(divided))
    }

    /// Carves what fits into the pages that the slabs have, and says whether that is the whole request.
    #[inline]
    fn carve_segments(&mut self, layout: &Layout, carved: &mut Located) -> bool {
        let mut is_whole = true;
        for (protection, segment) in layout.segments() {
            is_whole &= self.carve_segment(protection, segment, carved);
        }
        is_whole
    }

    #[inline]
    fn carve_segment(
        &mut self,
        protection: Protection,
        segment: Segment,
        carved: &mut Located,
    ) -> bool {
        let slab = self.geometry.slab_of(protection);
        let Some((span, run)) = self.slabs[slab.index()].carve(segment.size, segment.align) else {
            return false;
        };
        self.chunks.note_carved(slab.index(), span, run);
        carved[protection.index()] = Some(span);
        true
    }

    /// Sees to it that every segment has a span with memory that can be written. `None` if there is no room.
    #[inline]
    fn complete(
        &mut self,
        layout: &Layout,
        carved: &mut Located,
        is_whole: bool,
        growth: Growth,
    ) -> Result<Option<Spans>, Refusal> {
        if !is_whole {
            if growth == Growth::Never || !self.grow_and_carve(layout, carved)? {
                return Ok(None);
            }
            self.count_mappings();
        }
        self.count_request_to_come()?;
        if self.chunks.are_purged() {
            self.recommit(carved)?;
        }
        self.open_view()?;
        let no_memory = Refusal::foreseen("malloc", 16, Limit::Memory);
        Spans::new(carved).map(Some).ok_or(no_memory)
    }

    /// Carves the segments that have no span yet, from slabs that grow for them. False if there is no room.
    fn grow_and_carve(&mut self, layout: &Layout, carved: &mut Located) -> Result<bool, Refusal> {
        if !self.has_room(layout, carved) {
            return Ok(false);
        }
        for (protection, segment) in layout.segments() {
            let is_carved = carved[protection.index()].is_some()
                || self.grow(self.geometry.slab_of(protection), segment)?
                    && self.carve_segment(protection, segment, carved);
            if !is_carved {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings back the memory of spans that was purged.
    #[cold]
    fn recommit(&mut self, carved: &Located) -> Result<(), Refusal> {
        for (protection, span) in Protection::ALL.into_iter().zip(carved) {
            let Some(span) = *span else { continue };
            while let Some(chunk) = self.chunks.purged_under(span) {
                let slab = self.geometry.slab_of(protection);
                // SAFETY: the chunk is the slab's and was purged.
                unsafe { self.pages.recommit(chunk, slab) }?;
                self.chunks.note_recommitted(slab.index(), chunk);
            }
        }
        Ok(())
    }

    /// Whether a segment cannot be carved from this block, as far as a look at two numbers tells.
    fn is_hopeless(&self, protection: Protection, segment: Segment) -> bool {
        // Offsets are aligned in the block, so addresses are aligned as much as the block is.
        let is_misaligned = self.range().first().value() & (segment.align - 1) != 0;
        let slab = self.geometry.slab_of(protection);
        is_misaligned || segment.size >= self.too_large[slab.index()]
    }

    /// Remembers what did not fit by itself, for the next request.
    fn note_too_large(&mut self, layout: &Layout, carved: &Located) {
        for (protection, segment) in layout.segments() {
            let slab = self.geometry.slab_of(protection);
            let in_slab = |(one, _): &(Protection, Segment)| self.geometry.slab_of(*one) == slab;
            let is_alone = layout.segments().filter(in_slab).count() == 1;
            if carved[protection.index()].is_none()
                && is_alone
                && segment.align <= GRANULE
                && !self.has_room_for(slab, segment)
            {
                self.too_large[slab.index()] = segment.size;
            }
        }
    }

    /// Makes the writable view, if the writer has one and there is none.
    #[inline]
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        self.map_view()
    }

    #[cold]
    fn map_view(&mut self) -> Result<(), Refusal> {
        self.count_ahead(self.pages.view_mappings())?;
        let opened = self.pages.open_view();
        self.count_mappings();
        opened
    }

    /// # Safety
    /// Nothing of the block is in flight.
    pub(crate) unsafe fn close_view(&mut self) {
        // SAFETY: nothing of the block is in flight, and its owner is in here.
        unsafe { self.pages.backing().close_view() };
        self.count_mappings();
    }

    pub(crate) fn metadata_bytes(&self) -> u64 {
        let of_slabs: u64 = self.slabs.iter().map(Slab::metadata_bytes).sum();
        let itself = size_of::<Self>() as u64;
        of_slabs + itself + self.page_map.metadata_bytes() + self.chunks.metadata_bytes()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pages
            .backing()
            .budget
            .mappings
            .give_back(self.counted_mappings);
    }
}

/// The offset in a block at which nothing may begin: a multiple of 4 GiB. libgcc passes over unwind information of a
/// function whose address has no low 32 bits.
fn avoided(range: Window) -> Option<u64> {
    let multiple = range.first().align_up(1 << 32)?;
    (multiple <= range.last()).then(|| multiple.distance(range.first()))
}

/// Where the tables of a block have their words from: what the system gives for all of them, where they are large.
fn words(backing: &Backing) -> WordSource {
    /// Less is cleared by the allocator in no time.
    const LARGE: u64 = 128 << 10;
    // Four bits for each granule of three slabs are three quarters of that. What is above them, and the pages, take less than the rest.
    let size = backing.size() / 8;
    let platform = &backing.site.reservation.platform;
    let words = (size >= LARGE).then(|| tables::map(platform, size).ok());
    let words = words.flatten();
    words.map_or_else(WordSource::allocator, WordSource::new)
}

fn slabs(backing: &Backing, geometry: Geometry, source: &mut WordSource) -> Option<[Slab; 3]> {
    let (size, avoided) = (backing.size(), avoided(backing.range()));
    let slab = |protection| Slab::new(size, geometry.granule(protection), avoided, source);
    let [code, constants, data] = Protection::ALL.map(slab);
    Some([code?, constants?, data?])
}
