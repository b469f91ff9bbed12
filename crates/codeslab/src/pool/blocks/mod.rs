//! The blocks that the threads of one shard carve from.

mod views;

use crate::block::geometry::{Parts, Spans};
use crate::block::place::{Packed, Round};
use crate::block::thread_cache::{Shape, ThreadCache};
use crate::block::{Block, TYPICAL_CODE_SHARE};
use crate::model::address::Window;
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::model::stats::{BlockPicture, SlabPicture, SpanPicture, Stats};
use std::collections::VecDeque;

/// An empty block with at most this many bytes committed is kept as it is for the next request.
const IDLE_BYTES: u64 = 1 << 20;

/// Blocks by index, each with what the shard keeps beside it. An index stays the same as long as the block lives.
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "a pointer is cheaper to look at than a vector"
)]
pub(crate) struct Blocks<H> {
    all: Vec<Option<Held<H>>>,
    // The block that was carved from last.
    current: usize,
    // What was freed in the current block lately.
    thread_cache: ThreadCache,
    // The block in which something was freed last.
    freed_last: usize,
    // What was freed lately where there is no view.
    freed_by_call: u32,
    // Invariant: the blocks that have a writable view, and maybe others, each once; what was opened last is behind.
    viewed: Vec<usize>,
    // Allocations that there are, and that there ever were.
    allocations: u64,
    begun: u64,
    // The most bytes of a block that may be kept for the next request when it is empty. 0 when no request will come. Sizes that
    // are no power of two are those of blocks that were made to measure for one request.
    usual_bytes: u64,
    // The block that is: the only empty one but for emptied ones.
    spare: Option<usize>,
    // `None` where there is nothing, so that looking costs nothing.
    emptied: Option<Box<Vec<Held<H>>>>,
    quarantined: VecDeque<(u64, Returned)>,
}

/// A block and what the shard keeps beside it.
#[derive(Debug)]
pub(crate) struct Held<H> {
    pub(crate) block: Box<Block>,
    pub(crate) head: H,
}

/// Spans that come back to a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    pub(crate) index: usize,
    pub(crate) spans: Spans,
    /// Whether they were made safe to lie around. What could not be made so is not among them then.
    pub(crate) is_clean: bool,
}

impl<H> Blocks<H> {
    /// None yet; one of at most `usual_bytes` may be kept when it is empty.
    pub(crate) fn new(usual_bytes: u64) -> Self {
        Self {
            all: Vec::new(),
            current: 0,
            thread_cache: ThreadCache::default(),
            freed_last: 0,
            freed_by_call: 0,
            viewed: Vec::new(),
            allocations: 0,
            begun: 0,
            usual_bytes,
            spare: None,
            emptied: None,
            quarantined: VecDeque::new(),
        }
    }

    fn held(&self, index: usize) -> &Held<H> {
        self.all[index]
            .as_ref()
            .expect("a block lives as long as something is carved from it")
    }

    pub(crate) fn block(&self, index: usize) -> &Block {
        &self.held(index).block
    }

    fn block_mut(&mut self, index: usize) -> &mut Block {
        let held = self.all[index].as_mut();
        &mut held
            .expect("a block lives as long as something is carved from it")
            .block
    }

    /// What is kept beside a block.
    pub(crate) fn head(&self, index: usize) -> &H {
        &self.held(index).head
    }

    #[inline]
    fn note_allocation(&mut self, index: usize) {
        self.allocations += 1;
        self.begun += 1;
        if self.spare == Some(index) {
            self.spare = None;
        }
    }

    /// How many allocations there ever were.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }

    fn live_blocks(&self) -> impl Iterator<Item = &Block> {
        self.all.iter().flatten().map(|held| &*held.block)
    }

    /// Hands out again what was freed lately, if it is of just this shape and lies in `window`: a few words are looked at, and
    /// nothing is asked of the system.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "there are a short and a long way here; the compiler cannot know which matters"
    )]
    pub(crate) fn reuse(&mut self, shape: Shape, window: Window) -> Option<(&H, Packed)> {
        let index = self.current;
        let Held { block, head } = self.all.get(index)?.as_ref()?;
        let range = block.range();
        if !window.contains(range) || !block.is_open() {
            return None;
        }
        let round = self.thread_cache.take(&shape, range.first())?;
        block.wake(round);
        self.allocations += 1;
        self.begun += 1;
        if self.spare == Some(index) {
            self.spare = None;
        }
        Some((head, round.starts()))
    }

    /// Carves all parts from the block that was carved from last, if it lies in `window` and has nothing to ask of the system.
    pub(crate) fn carve_ready(&mut self, parts: &Parts, window: Window) -> Option<(&H, Packed)> {
        let index = self.current;
        let Held { block, .. } = self.all.get_mut(index)?.as_mut()?;
        let is_inside = window.contains(block.range());
        let round = is_inside.then(|| block.carve_ready(parts)).flatten()?;
        self.note_allocation(index);
        Some((self.head(index), round.starts()))
    }

    /// Takes an allocation back where that is a matter of a few words, too: from the block that is carved from, so that it will be
    /// used again. Otherwise nothing is done, and [`Blocks::free`] does it.
    #[inline]
    pub(crate) fn rest(&mut self, index: usize, starts: Packed) -> bool {
        let Some(Some(Held { block, .. })) = self.all.get(index) else {
            return false;
        };
        let Some(round) = block.round_at(starts).filter(|_| index == self.current) else {
            return false;
        };
        if block.requests() == self.thread_cache.len() as u64 + 1 {
            if !self.is_kept_as_it_is(index) {
                return false;
            }
            self.spare = Some(index);
        }
        block.rest(round);
        self.allocations -= 1;
        self.freed_last = index;
        if let Some(oldest) = self.thread_cache.put(round) {
            self.uncarve(index, &oldest.spans());
        }
        true
    }

    /// Carves all parts from one of its blocks that lies in `window`. `None` if none has room.
    pub(crate) fn carve(
        &mut self,
        parts: &Parts,
        window: Window,
    ) -> Result<Option<(usize, Spans)>, Refusal> {
        if let Some(found) = self.carve_from_holes(parts, window) {
            return Ok(Some(found));
        }
        let last = self.all.len();
        let mut over_budget = None;
        for index in std::iter::once(self.current).chain((0..last).rev()) {
            let is_inside = |block: &Block| window.contains(block.range());
            match self
                .carve_in(index, is_inside, |block| block.carve(parts))
                .unwrap_or(Ok(None))
            {
                Ok(Some(spans)) => {
                    self.make_current(index);
                    self.note_allocation(index);
                    return Ok(Some((index, spans)));
                }
                Ok(None) => {}
                // No block may grow then, but another may have a hole.
                Err(refusal) if refusal.is_budget() => over_budget = Some(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        over_budget.map_or(Ok(None), Err)
    }

    /// Carves all parts out of what was freed, in whichever block: before any of them grows. It goes on with that block, which
    /// has more holes.
    fn carve_from_holes(&mut self, parts: &Parts, window: Window) -> Option<(usize, Spans)> {
        let suits = |block: &Block| block.has_holes(parts) && window.contains(block.range());
        (0..self.all.len()).rev().find_map(|index| {
            let round = self.carve_in(index, suits, |block| block.carve_hole(parts))??;
            self.make_current(index);
            self.note_allocation(index);
            Some((index, round.spans()))
        })
    }

    /// Has something carved from a block, if there is one and it suits, and notes whether that opened a view.
    fn carve_in<R>(
        &mut self,
        index: usize,
        suits: impl FnOnce(&Block) -> bool,
        carve: impl FnOnce(&mut Block) -> R,
    ) -> Option<R> {
        let Held { block, .. } = self.all.get_mut(index)?.as_mut()?;
        if !suits(block) {
            return None;
        }
        let had_view = block.pages().has_view();
        let carved = carve(block);
        if !had_view && block.pages().has_view() {
            self.note_view(index);
        }
        Some(carved)
    }

    fn make_current(&mut self, index: usize) {
        if index != self.current {
            self.empty_thread_cache();
            self.current = index;
        }
    }

    /// Makes free what was freed lately.
    fn empty_thread_cache(&mut self) {
        while let Some(round) = self.thread_cache.pop() {
            self.uncarve(self.current, &round.spans());
        }
    }

    /// Makes clean spans free that may have been resting.
    #[cold]
    fn uncarve(&mut self, index: usize, spans: &Spans) {
        let block = self.block_mut(index);
        block.uncarve_clean(spans);
        block.set_resting(spans, false);
    }

    /// 256ths of what it holds that are code.
    pub(crate) fn code_share(&self) -> u64 {
        let used = |protection| {
            self.live_blocks()
                .map(|block| block.slab(protection).used_bytes())
                .sum::<u64>()
        };
        let all: u64 = Protection::ALL.into_iter().map(used).sum();
        (used(Protection::ReadExecute) * 256)
            .checked_div(all)
            .unwrap_or(TYPICAL_CODE_SHARE)
    }

    /// Takes a block from which something was carved already.
    pub(crate) fn adopt(
        &mut self,
        block: Box<Block>,
        head: impl FnOnce(usize, &Block) -> H,
    ) -> usize {
        let index = self
            .all
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.all.len());
        let head = head(index, &block);
        let held = Some(Held { block, head });
        if index == self.all.len() {
            self.all.push(held);
        } else {
            self.all[index] = held;
        }
        self.note_view(index);
        self.make_current(index);
        self.note_allocation(index);
        index
    }

    /// Takes an allocation's spans back. A block that is empty then is kept if it is the only one made for more than one request;
    /// otherwise it is among [`Blocks::take_emptied`]. `is_idle` tells whether nothing is in flight.
    pub(crate) fn free(&mut self, returned: &Returned, is_idle: impl FnOnce(&Self) -> bool) {
        self.allocations -= 1;
        let index = returned.index;
        let is_last = self.requests(index) == 1;
        if is_last && !self.is_kept_as_it_is(index) {
            return self.free_last(returned);
        }
        if is_last {
            self.spare = Some(index);
        }
        if !returned.is_clean && !self.block(index).pages().has_view() {
            self.open_view_to_free(index, is_idle);
        }
        self.freed_last = index;
        self.take_back(returned);
    }

    /// Notes that an allocation's spans are freed, and leaves them where they are until the grace of this period ends.
    pub(crate) fn quarantine(&mut self, returned: Returned, period: u64) {
        let block = self.block(returned.index);
        if returned.is_clean {
            block.set_resting(&returned.spans, true);
        }
        // Without memory to remember them they are not used again at all.
        if self.quarantined.try_reserve(1).is_ok() {
            self.quarantined.push_back((period, returned));
        } else {
            self.allocations -= 1;
        }
    }

    /// Takes back what was freed in this period or before.
    pub(crate) fn end_grace(&mut self, period: u64, is_idle: impl Fn(&Self) -> bool) {
        // Threads that free at the same time may have read the period in another order than they came here.
        // What goes on waiting goes to the end, which takes no memory that was not there.
        for _ in 0..self.quarantined.len() {
            let Some((freed, returned)) = self.quarantined.pop_front() else {
                return;
            };
            if freed > period {
                self.quarantined.push_back((freed, returned));
            } else {
                self.free(&returned, &is_idle);
            }
        }
    }

    /// Bytes of what waits for the end of its grace.
    fn quarantined_bytes(&self) -> u64 {
        let bytes = |(_, returned): &(u64, Returned)| returned.spans.bytes();
        self.quarantined.iter().map(bytes).sum()
    }

    /// Takes back the end of a span that is being written.
    pub(crate) fn shrink(&mut self, index: usize, protection: Protection, offset: u64, size: u64) {
        self.block_mut(index).shrink(protection, offset, size);
    }

    /// Allocations in a block.
    #[inline]
    fn requests(&self, index: usize) -> u64 {
        let resting = if index == self.current {
            self.thread_cache.len()
        } else {
            0
        };
        self.block(index).requests() - resting as u64
    }

    /// Whether a block is kept with its pages when the last allocation in it is freed.
    #[inline]
    fn is_kept_as_it_is(&self, index: usize) -> bool {
        self.is_kept(index) && self.block(index).pages().committed_bytes() <= IDLE_BYTES
    }

    #[inline]
    fn is_kept(&self, index: usize) -> bool {
        let size = self.block(index).size();
        self.spare.is_none() && size.is_power_of_two() && size <= self.usual_bytes
    }

    fn take_back(&mut self, returned: &Returned) {
        let Returned {
            index,
            spans,
            is_clean,
        } = *returned;
        let block = self.block(index);
        let cleaned = if is_clean { spans } else { block.clean(&spans) };
        let is_whole = index == self.current && cleaned == spans;
        let round = Round::of(&spans).filter(|round| is_whole && ThreadCache::keeps(*round));
        let Some(round) = round else {
            return self.uncarve(index, &cleaned);
        };
        block.set_resting(&spans, true);
        if let Some(oldest) = self.thread_cache.put(round) {
            self.uncarve(index, &oldest.spans());
        }
    }

    /// Takes the last spans of a block back, and all of its pages.
    #[cold]
    fn free_last(&mut self, returned: &Returned) {
        let index = returned.index;
        let is_kept = self.is_kept(index);
        if index == self.current {
            self.empty_thread_cache();
        }
        let block = self.block_mut(index);
        block.free_last(&returned.spans, returned.is_clean);
        block.set_resting(&returned.spans, false);
        if is_kept {
            self.spare = Some(index);
        } else {
            let emptied = self.emptied.get_or_insert_default();
            emptied.extend(self.all[index].take());
        }
    }

    /// The blocks of which nothing is used and that are not kept.
    #[inline]
    #[expect(
        clippy::box_collection,
        reason = "a pointer is cheaper to look at than a vector"
    )]
    pub(crate) fn take_emptied(&mut self) -> Option<Box<Vec<Held<H>>>> {
        self.emptied.take()
    }

    /// No request will come any more: nothing is kept for the next.
    pub(crate) fn keep_no_spare(&mut self) {
        self.usual_bytes = 0;
    }

    /// Takes all blocks of which nothing is used for emptied.
    pub(crate) fn drain(&mut self) {
        self.empty_thread_cache();
        self.spare = None;
        let slots = self.all.iter_mut();
        let empty = slots.filter_map(|slot| slot.take_if(|held| held.block.is_empty()));
        self.emptied.get_or_insert_default().extend(empty);
    }

    /// Adds what it holds.
    pub(crate) fn count(&self, stats: &mut Stats) {
        self.live_blocks().for_each(|block| count(block, stats));
        stats.used_bytes -= self.thread_cache.bytes();
        let quarantined = self.quarantined_bytes();
        stats.used_bytes -= quarantined;
        stats.quarantined_bytes += quarantined;
        stats.live += self.allocations - self.quarantined.len() as u64;
    }

    pub(crate) fn pictures(&self) -> Vec<BlockPicture> {
        self.live_blocks().map(picture).collect()
    }
}

/// Adds what a block holds.
pub(crate) fn count(block: &Block, stats: &mut Stats) {
    stats.blocks += 1;
    stats.committed_bytes += block.pages().committed_bytes();
    stats.used_bytes += block.used_bytes();
    stats.mappings += block.mappings();
    stats.metadata_bytes += block.metadata_bytes();
}

fn picture(block: &Block) -> BlockPicture {
    let address = block.range().first();
    let at = |offset| address.checked_add(offset).unwrap_or(address);
    let slabs_of = |protection: Protection| {
        let slab = block.slab(protection);
        slab.extents().iter().map(move |extent| SlabPicture {
            address: at(extent.offset),
            size: extent.size,
            protection,
            spans: slab
                .spans_in(extent)
                .map(|span| SpanPicture {
                    address: at(span.offset),
                    size: span.size,
                })
                .collect(),
        })
    };
    let mut slabs: Vec<_> = Protection::ALL.into_iter().flat_map(slabs_of).collect();
    slabs.sort_by_key(|slab| slab.address);
    BlockPicture {
        address,
        size: block.size(),
        cluster: block.cluster(),
        slabs,
    }
}
