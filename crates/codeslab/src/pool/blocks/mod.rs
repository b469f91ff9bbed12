//! The blocks that the threads of one shard carve from, behind the shard's lock.
//!
//! There are two routes to meet a request. [`Blocks::recycle`] hands out what was freed lately, if it is of the same shape;
//! [`Blocks::carve`] looks for room, first in what the blocks have and then in what they grow by. And two ways back:
//! [`Blocks::keep`] puts a request into the thread cache, and [`Blocks::free`] does everything else.
#![allow(unsafe_code, reason = "what is freed has to be carved from its block")]
#![expect(clippy::inline_always, reason = "short and long routes share these")]

mod census;
mod quarantine;
pub(crate) mod thread_cache;
mod views;

use crate::block::{Block, Growth, TYPICAL_CODE_SHARE};
use crate::model::address::Window;
use crate::model::error::Refusal;
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::slab::runs::Runs;
use crate::slab::spans::Spans;
pub(crate) use census::count;
use quarantine::Quarantined;
use std::collections::VecDeque;
use thread_cache::{Kept, Shape, ThreadCache};
use views::MOST_IDLE_VIEWS;

/// An empty block with at most this many bytes committed is kept as it is for the next request.
const SPARE_BYTES: u64 = 1 << 20;

const LIVES: &str = "a block lives as long as something is carved from it";

/// Whether spans that come back still hold what was written to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contents {
    /// They do.
    Dirty,
    /// Code traps and data is zero: they are retracted.
    Clean,
}

/// Blocks by index, each with what the shard keeps beside it. An index stays the same as long as the block lives.
#[derive(Debug)]
pub(crate) struct Blocks<H> {
    all: Vec<Option<Held<H>>>,
    // The block that was carved from last, and will be next.
    current: usize,
    // What was freed in the current block lately.
    cache: ThreadCache,
    // The block in which something was freed last.
    freed_last: usize,
    // How often something was freed lately by a call to the system, where there is no view.
    freed_by_call: u32,
    // Invariant: the blocks that have a writable view, and maybe others, each once; what was opened last is behind.
    viewed: Vec<usize>,
    // Allocations that there ever were, and those of them that are no more: each changes on one of the two ways only.
    begun: u64,
    ended: u64,
    // Invariant: at most as many as those that are not in flight any more.
    landed: u64,
    // The most bytes of a block that may be kept for the next request when it is empty. 0 when no request will come. Sizes that
    // are no power of two are those of blocks that were made to measure for one request.
    usual_bytes: u64,
    // The block that is: the only empty one but for emptied ones.
    spare: Option<usize>,
    emptied: Vec<Held<H>>,
    quarantined: VecDeque<Quarantined>,
}

#[derive(Debug)]
pub(crate) struct Held<H> {
    pub(crate) block: Box<Block>,
    pub(crate) header: H,
}

impl<H> Blocks<H> {
    /// None yet.
    pub(crate) fn new(usual_bytes: u64) -> Self {
        Self {
            all: Vec::new(),
            current: 0,
            cache: ThreadCache::default(),
            freed_last: 0,
            freed_by_call: 0,
            viewed: Vec::new(),
            begun: 0,
            ended: 0,
            landed: 0,
            usual_bytes,
            spare: None,
            emptied: Vec::new(),
            quarantined: VecDeque::new(),
        }
    }

    pub(crate) fn block(&self, index: usize) -> &Block {
        let held = self.all[index].as_ref();
        &held.expect(LIVES).block
    }

    pub(crate) fn block_mut(&mut self, index: usize) -> &mut Block {
        let held = self.all[index].as_mut();
        &mut held.expect(LIVES).block
    }

    fn at(&self, index: usize) -> Option<&Block> {
        let held = self.all.get(index)?.as_ref()?;
        Some(&held.block)
    }

    fn live_blocks(&self) -> impl Iterator<Item = &Block> {
        self.all.iter().flatten().map(|held| &*held.block)
    }

    /// Notes how many allocations are published or given up, of all there ever were.
    ///
    /// # Safety
    /// At least as many are.
    #[inline]
    pub(crate) unsafe fn note_landed(&mut self, landed: u64) {
        self.landed = landed;
    }

    /// How many allocations were in flight when it was last noted, and those that were begun since.
    fn in_flight(&self) -> u64 {
        self.begun - self.landed
    }

    /// Hands out again what was freed lately in the current block, if it is of just this shape and lies in `window`.
    #[inline(always)]
    pub(crate) fn recycle(&mut self, shape: &Shape, window: Window) -> Option<(&H, Spans)> {
        let index = self.current;
        let Held { block, header } = self.all.get(index)?.as_ref()?;
        let range = block.range();
        if !window.contains(range) || !block.is_open() {
            return None;
        }
        let spans = Spans::near(self.cache.take(shape, range.first())?.starts);
        block.page_map().for_each(&spans, Runs::unmark_freed);
        self.begun += 1;
        if self.spare == Some(index) {
            self.spare = None;
        }
        Some((header, spans))
    }

    /// Carves a request from one of the blocks that lie in `window`. `None` if none has room.
    pub(crate) fn carve(
        &mut self,
        layout: &Layout,
        window: Window,
    ) -> Result<Option<(&H, Spans)>, Refusal> {
        // Only here it is known what is written to, so this is where views that are not needed any more are noticed.
        self.close_views(MOST_IDLE_VIEWS);
        let found = match self.carve_without_growth(layout, window) {
            Some(found) => Some(found),
            None => self.carve_with_growth(layout, window)?,
        };
        let Some((index, spans)) = found else {
            return Ok(None);
        };
        self.make_current(index);
        let held = self.all[index].as_ref();
        Ok(held.map(|held| (&held.header, spans)))
    }

    /// Carves from the current block, or else from one of which much was freed, before any block grows.
    fn carve_without_growth(&mut self, layout: &Layout, window: Window) -> Option<(usize, Spans)> {
        if let Some(block) = self.at(self.current)
            && window.contains(block.range())
            && (block.is_open() || block.has_holes(layout))
            // What the system refuses here it may grant elsewhere.
            && let Ok(Some(spans)) = self.carve_in(self.current, layout, Growth::Never)
        {
            return Some((self.current, spans));
        }
        (0..self.all.len()).rev().find_map(|index| {
            let block = self.at(index).filter(|_| index != self.current)?;
            if !window.contains(block.range()) || !block.has_holes(layout) {
                return None;
            }
            let carved = self.carve_in(index, layout, Growth::Never);
            Some((index, carved.ok().flatten()?))
        })
    }

    fn carve_with_growth(
        &mut self,
        layout: &Layout,
        window: Window,
    ) -> Result<Option<(usize, Spans)>, Refusal> {
        let mut over_budget = None;
        for index in std::iter::once(self.current).chain((0..self.all.len()).rev()) {
            let held = self.all.get(index).and_then(Option::as_ref);
            if !held.is_some_and(|held| window.contains(held.block.range())) {
                continue;
            }
            match self.carve_in(index, layout, Growth::Allowed) {
                Ok(Some(spans)) => return Ok(Some((index, spans))),
                Ok(None) => {}
                // No block may grow then, but another may have a hole.
                Err(refusal) if refusal.is_budget() => over_budget = Some(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        over_budget.map_or(Ok(None), Err)
    }

    /// See [`Block::divide`].
    pub(crate) fn divide(
        &mut self,
        index: usize,
        spans: &Spans,
        starts: &[[u64; 3]],
    ) -> Result<Option<Vec<Spans>>, Refusal> {
        let divided = self.block_mut(index).divide(spans, starts)?;
        self.begun += divided.as_ref().map_or(1, |parts| parts.len() as u64) - 1;
        Ok(divided)
    }

    /// Carves from one block, and notes whether that opened a view.
    fn carve_in(
        &mut self,
        index: usize,
        layout: &Layout,
        growth: Growth,
    ) -> Result<Option<Spans>, Refusal> {
        let block = self.block_mut(index);
        let had_view = block.pages().has_view();
        let carved = block.carve(layout, growth);
        if !had_view && block.pages().has_view() {
            self.note_view(index);
        }
        carved
    }

    /// Notes that a request was carved from this block.
    fn make_current(&mut self, index: usize) {
        if index != self.current {
            self.empty_cache();
            self.current = index;
        }
        self.begun += 1;
        if self.spare == Some(index) {
            self.spare = None;
        }
    }

    fn empty_cache(&mut self) {
        while let Some(kept) = self.cache.take_oldest() {
            self.free_kept(kept);
        }
    }

    #[inline(never)]
    fn free_kept(&mut self, kept: Kept) {
        let current = self.current;
        // SAFETY: it comes out of the cache, so it is carved from the current block, retracted, and belongs to no request.
        unsafe { self.block_mut(current).free(&kept.located()) };
    }

    /// 256ths of what it holds that are code.
    pub(crate) fn code_share(&self) -> u64 {
        let used = |protection| -> u64 {
            let blocks = self.live_blocks();
            blocks.map(|one| one.slab(protection).used_bytes()).sum()
        };
        let all: u64 = Protection::ALL.into_iter().map(used).sum();
        (used(Protection::ReadExecute) * 256)
            .checked_div(all)
            .unwrap_or(TYPICAL_CODE_SHARE)
    }

    /// Takes a block from which one request was carved already.
    pub(crate) fn adopt(
        &mut self,
        block: Box<Block>,
        header: impl FnOnce(usize, &Block) -> H,
    ) -> &H {
        let vacant = self.all.iter().position(Option::is_none);
        let index = vacant.unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(None);
        }
        self.note_view(index);
        self.make_current(index);
        let header = header(index, &block);
        &self.all[index].insert(Held { block, header }).header
    }

    /// Keeps a request in the thread cache, if it was carved from the current block, it is small, and nothing has to be asked of the system
    /// to retract it. Otherwise nothing is done, and [`Blocks::free`] takes it.
    ///
    /// # Safety
    /// The spans are carved from the block with this index, belong to the caller, and are as `contents` says. If they are kept they
    /// belong to the cache, and the caller forgets them.
    #[inline(always)]
    pub(crate) unsafe fn keep(&mut self, index: usize, spans: &Spans, contents: Contents) -> bool {
        let (Some(Some(held)), Some(starts)) = (self.all.get(index), spans.starts()) else {
            return false;
        };
        let block = &held.block;
        let view = block.pages().backing().view();
        if index != self.current || contents == Contents::Dirty && view.is_none() {
            return false;
        }
        let sizes = block.sizes_at(starts);
        let Some(kept) = Kept::new(starts, sizes) else {
            return false;
        };
        if block.requests() == self.cache.len() as u64 + 1 {
            if !self.is_kept_as_it_is(block) {
                return false;
            }
            self.spare = Some(index);
        }
        if let (Contents::Dirty, Some(view)) = (contents, view) {
            // SAFETY: the spans are carved from this block, so large, and the caller's; that is its view.
            unsafe { block.retract_in_view(starts, sizes, view) };
        }
        block.page_map().for_each(spans, Runs::mark_freed);
        self.ended += 1;
        self.freed_last = index;
        if let Some(oldest) = self.cache.put(kept) {
            self.free_kept(oldest);
        }
        true
    }

    /// Takes a request back. A block that is empty then is kept if it is the only one made for more than one request; otherwise it is
    /// among [`Blocks::take_emptied`].
    ///
    /// # Safety
    /// The spans are carved from the block with this index, and they are as `contents` says.
    #[expect(clippy::needless_pass_by_value, reason = "it ends owning them")]
    #[inline(always)]
    pub(crate) unsafe fn free(&mut self, index: usize, spans: Spans, contents: Contents) {
        // SAFETY: they are carved from that block and as `contents` says; near spans are forgotten when they are kept.
        if unsafe { self.keep(index, &spans, contents) } {
            return;
        }
        if self.requests(index) == 1 && !self.is_kept_as_it_is(self.block(index)) {
            self.ended += 1;
            // SAFETY: the caller says that they are carved from this block, and gives them away.
            return unsafe { self.free_last(index, &spans) };
        }
        let mut carved = self.block(index).page_map().locate(&spans);
        let mut is_whole = true;
        if contents == Contents::Dirty {
            if !self.block(index).pages().has_view() {
                self.open_view_to_free(index);
            }
            // SAFETY: the caller says that they are carved from this block, and gives them away.
            is_whole = unsafe { !self.block(index).retract(&mut carved) };
        }
        // A writer without views has retracted them now, so that they can be kept.
        // SAFETY: they are carved from that block, and retracted; near spans are forgotten when they are kept.
        if is_whole && unsafe { self.keep(index, &spans, Contents::Clean) } {
            return;
        }
        if self.requests(index) == 1 {
            self.spare = Some(index);
        }
        self.ended += 1;
        self.freed_last = index;
        // SAFETY: the spans are carved from this block, retracted, and given away.
        unsafe { self.block_mut(index).free(&carved) };
    }

    /// Takes the last request of a block back, and all of its pages.
    ///
    /// # Safety
    /// The spans are carved from the block with this index.
    #[cold]
    unsafe fn free_last(&mut self, index: usize, spans: &Spans) {
        let is_kept = self.is_kept(self.block(index));
        if index == self.current {
            self.empty_cache();
        }
        // SAFETY: the caller says that they are carved from this block, and gives them away.
        unsafe { self.block_mut(index).free_last(spans) };
        if is_kept {
            self.spare = Some(index);
        } else {
            self.emptied.extend(self.all[index].take());
        }
    }

    /// Allocations in a block.
    #[inline]
    fn requests(&self, index: usize) -> u64 {
        let kept = if index == self.current {
            self.cache.len()
        } else {
            0
        };
        self.block(index).requests() - kept as u64
    }

    /// Whether a block is kept with its pages when the last allocation in it is freed.
    #[inline]
    fn is_kept_as_it_is(&self, block: &Block) -> bool {
        self.is_kept(block) && block.pages().committed_bytes() <= SPARE_BYTES
    }

    #[inline]
    fn is_kept(&self, block: &Block) -> bool {
        let size = block.size();
        self.spare.is_none() && size.is_power_of_two() && size <= self.usual_bytes
    }

    /// The blocks of which nothing is used and that are not kept.
    #[inline]
    pub(crate) fn take_emptied(&mut self) -> Vec<Held<H>> {
        std::mem::take(&mut self.emptied)
    }

    /// No request will come any more: nothing is kept for the next.
    pub(crate) fn keep_no_spare(&mut self) {
        self.usual_bytes = 0;
    }

    /// Gives back the memory of all chunks that are free. Says whether there was any.
    pub(crate) fn purge(&mut self) -> bool {
        self.empty_cache();
        let committed = |all: &Self| -> u64 {
            let blocks = all.live_blocks();
            blocks.map(|block| block.pages().committed_bytes()).sum()
        };
        let before = committed(self);
        for held in self.all.iter_mut().flatten() {
            for slab in Protection::ALL {
                held.block.purge(slab);
            }
        }
        committed(self) < before
    }

    /// Counts all blocks of which nothing is used among the emptied ones.
    pub(crate) fn drain(&mut self) {
        self.empty_cache();
        self.spare = None;
        let slots = self.all.iter_mut();
        let empty = slots.filter_map(|slot| slot.take_if(|held| held.block.requests() == 0));
        self.emptied.extend(empty);
    }
}
