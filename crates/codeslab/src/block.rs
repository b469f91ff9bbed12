//! A block: address space in which every address reaches every other, divided into slabs for code, constants and data.
//!
//! Slabs grow in steps out of what the block has left: code upwards from the start, data downwards from the end, constants
//! upwards from a place in between. A slab that meets its neighbour goes on in the largest gap that is left, so a block is
//! full only when nothing can grow in it, whatever the mixture, and it is a handful of mappings all the time.

use crate::address::Window;
use crate::division::{Division, GRANULE, Part, Parts, Spans};
use crate::error::{Limit, Refusal};
use crate::idle::Chunks;
use crate::lent::{Bytes, Publisher};
use crate::mapping::Mapping;
use crate::protection::Protection;
use crate::slab::Slab;
use crate::span::{Span, SpanSet};
use std::cmp::Reverse;

/// Bytes by which a slab grows unless more is needed at once. More would be idle in the last step of each slab, less is more
/// calls; the cost of a page has its minimum here (see `Mapping::commit`).
const STEP: u64 = 64 << 10;

/// 256ths of all bytes that are code in real objects (three quarters of glibc).
pub(crate) const TYPICAL_CODE_SHARE: u64 = 192;

/// One block.
#[derive(Debug)]
pub(crate) struct Block {
    mapping: Mapping,
    division: Division,
    cluster: u64,
    slabs: [Slab; 3],
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
    tenants: u64,
}

impl Block {
    /// A fresh block. Its slabs take no more than they need until it is told to [`Block::grow_in_steps`].
    pub(crate) fn new(mapping: Mapping, division: Division, cluster: u64) -> Result<Self, Refusal> {
        let size = mapping.size();
        let slabs = slabs(&mapping, division)?;
        let chunks = chunks(&mapping, division)?;
        let unused = SpanSet::from_iter([Span { offset: 0, size }]);
        Ok(Self {
            mapping,
            division,
            cluster,
            slabs,
            chunks,
            unused,
            too_large: [u64::MAX; 3],
            step: 0,
            code_share: TYPICAL_CODE_SHARE,
            tenants: 0,
        })
    }

    /// From now on slabs take more than they need at once, for the requests to come, of which `code_share` 256ths are code.
    pub(crate) fn grow_in_steps(&mut self, code_share: u64) {
        self.code_share = code_share;
        // At most an eighth of the block, so that small blocks hold all three kinds.
        self.step = STEP.min(self.mapping.size() / 8);
    }

    pub(crate) const fn cluster(&self) -> u64 {
        self.cluster
    }

    pub(crate) const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn range(&self) -> Window {
        self.mapping.range()
    }

    pub(crate) fn slab(&self, protection: Protection) -> &Slab {
        &self.slabs[protection.index()]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.tenants == 0
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
            self.grow_and_carve(parts, &mut spans)
        } else {
            Ok(false)
        };
        let carved = grown.and_then(|grown| {
            if grown {
                self.make_present(parts, &spans)?;
                self.mapping.open_view()?;
            }
            Ok(grown)
        });
        match carved {
            Ok(true) => {
                self.tenants += 1;
                Ok(Some(spans))
            }
            failed => {
                self.uncarve(parts, &spans);
                self.note_too_large(parts, &spans);
                failed.map(|_| None)
            }
        }
    }

    /// Brings back memory under the spans that went back to the system.
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    fn make_present(&mut self, parts: &Parts, spans: &Spans) -> Result<(), Refusal> {
        for (part, span) in parts.iter().zip(spans) {
            let (Some(part), Some(span)) = (part, span) else {
                continue;
            };
            while let Some(chunk) = self.chunks.absent_under(*span) {
                // SAFETY: the chunk was discarded, and lay in a free run until now: nobody uses any of it.
                unsafe { self.mapping.restore(chunk, part.slab) }?;
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
    fn note_too_large(&mut self, parts: &Parts, spans: &Spans) {
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

    /// Whether the parts that have no span yet may fit into what is unused.
    fn has_room(&self, parts: &Parts, spans: &Spans) -> bool {
        let mut missing = parts
            .iter()
            .zip(spans)
            .filter(|(_, span)| span.is_none())
            .filter_map(|(part, _)| *part);
        let mut left = self.unused.bytes();
        missing.all(|part| {
            let spare: u64 = self
                .slab(part.slab)
                .extents()
                .iter()
                .map(|extent| self.free_at_ends(part.slab, extent))
                .max()
                .unwrap_or(0);
            let needed = self
                .division
                .bytes_for(part)
                .map(|needed| needed.saturating_sub(spare));
            let rest = needed.and_then(|needed| left.checked_sub(needed));
            left = rest.unwrap_or(0);
            rest.is_some() && self.has_room_for(part)
        })
    }

    /// Whether a slab can grow by what a part needs.
    fn has_room_for(&self, part: Part) -> bool {
        self.division
            .bytes_for(part)
            .is_some_and(|needed| self.next_pages(part.slab, needed).is_some())
    }

    /// Free bytes at the ends of an extent, of which growing there makes use.
    fn free_at_ends(&self, slab: Protection, extent: Span) -> u64 {
        let slab = self.slab(slab);
        slab.free_below(extent.end())
            .max(slab.free_from(extent.offset))
    }

    /// Carves the parts that have no span yet, from slabs that grow for them. False if there is no room after all.
    fn grow_and_carve(&mut self, parts: &Parts, spans: &mut Spans) -> Result<bool, Refusal> {
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

    fn uncarve(&mut self, parts: &Parts, spans: &Spans) {
        for (part, span) in parts.iter().zip(spans) {
            if let (Some(part), Some(span)) = (part, span) {
                let _ = self.slabs[part.slab.index()].free(*span);
            }
        }
    }

    fn carve_part(&mut self, part: Part) -> Result<Option<Span>, Refusal> {
        let Some(needed) = self.division.bytes_for(part) else {
            return Ok(None);
        };
        if !self.grow(part.slab, needed)? {
            return Ok(None);
        }
        Ok(self.slabs[part.slab.index()].carve(part.size, part.align))
    }

    /// Makes sure that a slab has a free run of `needed` bytes. False if there is no room for it.
    fn grow(&mut self, slab: Protection, needed: u64) -> Result<bool, Refusal> {
        let Some(pages) = self.next_pages(slab, needed) else {
            return Ok(false);
        };
        self.mapping.commit(pages, slab)?;
        self.unused.remove(pages);
        self.slabs[slab.index()].extend(pages);
        Ok(true)
    }

    /// Where a slab goes on: beside what it has, or else in the largest gap.
    fn next_pages(&self, slab: Protection, needed: u64) -> Option<Span> {
        let beside = self.slabs[slab.index()]
            .extents()
            .iter()
            .find_map(|extent| self.pages_beside(extent, slab, needed));
        beside.or_else(|| {
            let fresh = self.step > 0 && self.slabs[slab.index()].extents().is_empty();
            // Data begins at the end of a block, also where constants were first.
            let at_end = self
                .unused
                .iter()
                .next_back()
                .filter(|_| fresh && slab == Protection::ReadWrite);
            let at_end = at_end.filter(|gap| self.whole_step(needed, gap.size).is_some());
            let largest = || {
                self.unused
                    .iter()
                    .max_by_key(|gap| (gap.size, Reverse(gap.offset)))
            };
            let gap = at_end.or_else(largest)?;
            let size = self.whole_step(needed, gap.size)?;
            Some(Span {
                offset: self.start_in_gap(slab, gap, size, fresh),
                size,
            })
        })
    }

    fn pages_beside(&self, extent: Span, slab: Protection, needed: u64) -> Option<Span> {
        let pieces = &self.slabs[slab.index()];
        let above = || {
            let gap = self.unused.iter().find(|gap| gap.offset == extent.end())?;
            let missing = needed.saturating_sub(pieces.free_below(extent.end()));
            self.whole_step(missing, gap.size).map(|size| Span {
                offset: gap.offset,
                size,
            })
        };
        let below = || {
            let gap = self.unused.iter().find(|gap| gap.end() == extent.offset)?;
            let missing = needed.saturating_sub(pieces.free_from(extent.offset));
            self.whole_step(missing, gap.size).map(|size| Span {
                offset: gap.end() - size,
                size,
            })
        };
        // Data comes down from the end of the block, the others go up.
        if slab == Protection::ReadWrite {
            below().or_else(above)
        } else {
            above().or_else(below)
        }
    }

    /// How much to take for `needed` bytes out of a gap of `available`.
    fn whole_step(&self, needed: u64, available: u64) -> Option<u64> {
        let least = needed
            .max(1)
            .checked_next_multiple_of(self.division.granularity)?;
        let step = self.step.next_multiple_of(self.division.granularity);
        (least <= available).then(|| least.max(step).min(available))
    }

    fn start_in_gap(&self, slab: Protection, gap: Span, size: u64, fresh: bool) -> u64 {
        let last = gap.end() - size;
        match slab {
            Protection::ReadExecute => gap.offset,
            Protection::ReadOnly if fresh => {
                let between = (self.mapping.size() / 256).saturating_mul(self.code_share);
                between
                    .next_multiple_of(self.division.granularity)
                    .clamp(gap.offset, last)
            }
            Protection::ReadOnly | Protection::ReadWrite => last,
        }
    }

    /// The writable bytes of what was just carved, of the sizes that were asked for.
    #[allow(unsafe_code, reason = "the slabs see to it that spans are disjoint")]
    pub(crate) fn lend(&self, parts: &Parts, spans: &Spans) -> Result<[Option<Bytes>; 3], Refusal> {
        let mut bytes = [None, None, None];
        for (index, bytes) in bytes.iter_mut().enumerate() {
            if let (Some(part), Some(span)) = (parts[index], spans[index]) {
                // SAFETY: the span was carved for the caller just now, so it is committed, nobody else's, and lent once.
                // `carve` opened the view, and it is not closed while anything of the block is in flight.
                *bytes = Some(unsafe { self.mapping.lend(span, part.size, part.slab) }?);
            }
        }
        Ok(bytes)
    }

    /// What it takes to publish the span at `offset`.
    pub(crate) fn publisher(&self, offset: u64, slab: Protection) -> Publisher {
        self.mapping.publisher(self.slab(slab).span_at(offset))
    }

    /// Takes back the spans at these offsets, one for each protection. Whoever calls this has seen to it that nobody uses
    /// them.
    pub(crate) fn free(&mut self, offsets: &[Option<u64>; 3]) {
        self.release(&self.spans_at(offsets));
        self.tenants -= 1;
    }

    /// Takes back the last tenant's spans and gives all pages back, which saves cleaning them. If the system refuses, it has
    /// only taken the spans back.
    pub(crate) fn free_last(&mut self, offsets: &[Option<u64>; 3]) {
        let spans = self.spans_at(offsets);
        self.tenants -= 1;
        if self.reset().is_err() {
            self.release(&spans);
        }
    }

    /// Cleans spans that nobody uses and makes them free. What the system does not let us clean is never given out again.
    #[allow(unsafe_code, reason = "the slabs know whose spans are whose")]
    fn release(&mut self, spans: &[Option<(Span, Protection)>; 3]) {
        for (span, slab) in spans.iter().flatten() {
            // SAFETY: the span is carved, committed for its slab, and no longer used.
            if unsafe { self.mapping.retract(*span, *slab) }.is_ok() {
                let merged = self.slabs[slab.index()].free(*span);
                self.too_large[slab.index()] = u64::MAX;
                self.note_idle(*slab, merged);
            }
        }
    }

    /// Gives memory back to the system when much of a slab is idle.
    fn note_idle(&mut self, slab: Protection, merged: Option<Span>) {
        let index = slab.index();
        let run = merged.and_then(|merged| self.slabs[index].free_run_around(merged.offset));
        if let (Some(merged), Some(run)) = (merged, run)
            && self.chunks.note_freed(index, merged, run)
        {
            self.sweep(slab);
        }
    }

    /// Gives back the memory of all chunks in free runs of a slab.
    #[allow(unsafe_code, reason = "the slabs know what is free")]
    fn sweep(&mut self, slab: Protection) {
        let runs = self.slabs[slab.index()].free_runs();
        let idle: Vec<Span> = runs.flat_map(|run| self.chunks.present_in(run)).collect();
        for range in idle {
            // SAFETY: the range lies in a free run, so nobody uses it, and it is committed for its slab. What the system does
            // not take back stays.
            if unsafe { self.mapping.discard(range, slab) }.is_ok() {
                self.chunks.note_discarded(range);
            }
        }
        self.chunks.note_swept(slab.index());
    }

    fn spans_at(&self, offsets: &[Option<u64>; 3]) -> [Option<(Span, Protection)>; 3] {
        std::array::from_fn(|index| {
            let slab = self.division.slab_of(Protection::ALL[index]);
            Some((self.slab(slab).span_at(offsets[index]?), slab))
        })
    }

    pub(crate) const fn tenants(&self) -> u64 {
        self.tenants
    }

    /// Gives all pages back. Nothing is carved, and nothing will be before [`Block::reset`].
    #[allow(unsafe_code, reason = "an empty block has no users")]
    pub(crate) fn decommit(&mut self) -> Result<(), Refusal> {
        assert!(
            self.is_empty(),
            "a block with {} tenants is given back",
            self.tenants
        );
        // SAFETY: nothing is carved, so nobody uses anything.
        unsafe { self.mapping.decommit() }
    }

    /// Gives all pages back if nothing is carved. The block is as good as new afterwards, or as it was if that is refused.
    pub(crate) fn reset(&mut self) -> Result<(), Refusal> {
        let slabs = slabs(&self.mapping, self.division)?;
        let chunks = chunks(&self.mapping, self.division)?;
        self.decommit()?;
        self.slabs = slabs;
        self.chunks = chunks;
        let size = self.mapping.size();
        self.unused = SpanSet::from_iter([Span { offset: 0, size }]);
        self.too_large = [u64::MAX; 3];
        self.grow_in_steps(self.code_share);
        Ok(())
    }

    /// Makes the writable view, if the writer has one.
    pub(crate) fn open_view(&mut self) -> Result<(), Refusal> {
        self.mapping.open_view()
    }

    /// Drops the writable view. Nothing of the block is in flight.
    pub(crate) fn close_view(&mut self) {
        self.mapping.close_view();
    }

    /// Mappings that the system keeps for it at most: neighbouring blocks may share some.
    pub(crate) fn mappings(&self) -> u64 {
        let slabs: usize = self.slabs.iter().map(|slab| slab.extents().len()).sum();
        (slabs + self.unused.len()) as u64 + u64::from(self.mapping.has_view())
    }

    /// Bytes of bookkeeping.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.slabs.iter().map(Slab::metadata_bytes).sum::<u64>() + size_of::<Self>() as u64
    }
}

/// The offset in a block at which nothing may begin: a multiple of 4 GiB. libgcc passes over unwind information of a
/// function whose address has no low 32 bits.
fn avoided(range: Window) -> Option<u64> {
    let multiple = range.first().align_up(1 << 32)?;
    (multiple <= range.last()).then(|| multiple.distance(range.first()))
}

fn slabs(mapping: &Mapping, division: Division) -> Result<[Slab; 3], Refusal> {
    let avoided = avoided(mapping.range());
    let slab = |protection| {
        let slab = Slab::new(mapping.size(), division.granule(protection), avoided);
        slab.ok_or(Refusal::foreseen("malloc", mapping.size(), Limit::Memory))
    };
    let [code, constants, data] = Protection::ALL.map(slab);
    Ok([code?, constants?, data?])
}

fn chunks(mapping: &Mapping, division: Division) -> Result<Chunks, Refusal> {
    let chunks = Chunks::new(mapping.size(), division.granularity);
    chunks.ok_or(Refusal::foreseen("malloc", mapping.size(), Limit::Memory))
}
