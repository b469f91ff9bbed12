//! How an allocation comes back to the shard that it was carved from, from the owner thread or from any other.

use super::{BlockHeader, Emptied, OwnBlocks, Shard};
use crate::model::options::Quarantine;
use crate::model::protection::Protection;
use crate::pool::blocks::Contents;
use crate::slab::runs::Runs;
use crate::slab::span::Located;
use crate::slab::spans::Spans;
use crate::sync::remote_frees::Taker;
use crate::sync::thread_id;
use std::sync::Arc;

impl Shard {
    /// Takes spans back the short way, if the owner thread frees them and will find them when it makes the same request again.
    /// Otherwise nothing is done, and [`Shard::free`] takes them.
    ///
    /// # Safety
    /// The spans are carved from the block of `header` and belong to the caller. If they are kept they belong to the shard, and the
    /// caller forgets them.
    #[inline]
    pub(super) unsafe fn keep(&self, header: &BlockHeader, spans: &Spans) -> bool {
        if self.quarantine != Quarantine::Off {
            return false;
        }
        let Some(mut blocks) = self.enter() else {
            return false;
        };
        // SAFETY: they are carved from the block of `header` and given away, and an allocation still holds what was written to it.
        unsafe { blocks.keep(header.index as usize, spans, Contents::Dirty) }
    }

    /// # Safety
    /// The spans are carved from the block of `header`.
    #[cold]
    pub(super) unsafe fn free(&self, header: &BlockHeader, spans: Spans) -> Emptied {
        // In a child, what is freed stays as it is: its parent runs it.
        if self.pool.is_forked() {
            return Emptied(Vec::new());
        }
        if !self.is_owned() {
            // SAFETY: they are carved from the block of `header`.
            return unsafe { Self::free_remotely(header, spans) };
        }
        // SAFETY: they are carved from the block of `header` and given away, and an allocation still holds what was written to it.
        let free = |blocks: &mut _| unsafe {
            self.take_back(blocks, header.index, spans, Contents::Dirty);
        };
        self.with(free).1
    }

    /// # Safety
    /// The spans are carved from the block of `header`.
    unsafe fn free_remotely(header: &BlockHeader, spans: Spans) -> Emptied {
        // The owner may take the spans, retire the block and, with it, this shard, while this thread is still in here.
        let (shard, index) = (Arc::clone(&header.shard), header.index);
        let take_back = |spans, contents| {
            // SAFETY: they are carved from the block of `header` and given away, and as `contents` says.
            let free = |blocks: &mut _| unsafe { shard.take_back(blocks, index, spans, contents) };
            shard.with(free).1
        };
        if shard.quarantine == Quarantine::Intact {
            return take_back(spans, Contents::Dirty);
        }
        // SAFETY: they are carved from the block of `header`.
        let spans = unsafe { header.retract(spans) };
        if !thread_id::is_taken(shard.owner) {
            return take_back(spans, Contents::Clean);
        }
        let page_map = &header.page_map;
        page_map.for_each(&spans, Runs::mark_freed_remotely);
        match shard.remote_frees.hand_in((index, spans)) {
            Ok(Taker::Next) => Emptied(Vec::new()),
            Ok(Taker::Giver) => shard.with(|_| ()).1,
            Err((index, spans)) => {
                // SAFETY: the spans are carved from that block, retracted, and marked.
                let take = |blocks: &mut _| unsafe { shard.take_remote_free(blocks, index, spans) };
                shard.with(take).1
            }
        }
    }

    /// Takes what other threads freed.
    #[cold]
    pub(super) fn take_remote_frees(&self, blocks: &mut OwnBlocks) {
        // SAFETY: the thread that has the lock is the only one that takes out, and knows what the one before did.
        while let Some((index, spans)) = unsafe { self.remote_frees.pop() } {
            // SAFETY: what other threads hand in is carved from that block, retracted, and marked.
            unsafe { self.take_remote_free(blocks, index, spans) };
        }
    }

    /// # Safety
    /// The spans are carved from the block with this index, retracted, and marked as freed by another thread.
    unsafe fn take_remote_free(&self, blocks: &mut OwnBlocks, index: u32, spans: Spans) {
        // The owner's mark takes the place of the other thread's.
        let page_map = blocks.block(index as usize).page_map();
        page_map.for_each(&spans, Runs::mark_freed);
        page_map.for_each(&spans, Runs::unmark_freed_remotely);
        // SAFETY: they are carved from the block with this index, and retracted.
        unsafe { self.take_back(blocks, index, spans, Contents::Clean) };
    }

    /// Frees spans, or puts them into quarantine.
    ///
    /// # Safety
    /// The spans are carved from the block with this index, and they are as `contents` says.
    #[inline]
    unsafe fn take_back(
        &self,
        blocks: &mut OwnBlocks,
        index: u32,
        spans: Spans,
        contents: Contents,
    ) {
        let index = index as usize;
        if self.quarantine == Quarantine::Off || self.remote_frees.is_closed() {
            // SAFETY: they are carved from the block with this index, and are as `contents` says.
            return unsafe { blocks.free(index, spans, contents) };
        }
        let (spans, contents) = match (self.quarantine, contents) {
            (Quarantine::Trapping, Contents::Dirty) => {
                let block = blocks.block(index);
                let mut carved = block.page_map().locate(&spans);
                // SAFETY: the caller says that they are carved from this block, and gives them away.
                unsafe { block.retract(&mut carved) };
                (leave_out_refused(spans, &carved), Contents::Clean)
            }
            _ => (spans, contents),
        };
        // SAFETY: they are carved from the block with this index, and are as `contents` says: retracted if that changed.
        unsafe { blocks.quarantine(index, spans, contents, self.pool.epoch()) };
    }
}

impl BlockHeader {
    /// Makes spans safe to lie around, past all views, which the owner may close at any time. A span that the system does not let
    /// us retract is not among what comes back, and is never given out again.
    ///
    /// # Safety
    /// The spans are carved from this block.
    unsafe fn retract(&self, spans: Spans) -> Spans {
        let geometry = &self.shard.pool.geometry;
        let mut carved = self.page_map.locate(&spans);
        let slab_of = |one| geometry.slab_of(one);
        // SAFETY: the spans are carved from this block, so they are committed for their slabs; `spans` are owned, so no other thread
        // uses them.
        unsafe { self.backing.retract(&mut carved, slab_of, None) };
        leave_out_refused(spans, &carved)
    }
}

/// Spans without those that are not among what was retracted.
fn leave_out_refused(mut spans: Spans, retracted: &Located) -> Spans {
    for (protection, span) in Protection::ALL.into_iter().zip(retracted) {
        if span.is_none() && spans.offset(protection).is_some() {
            spans.remove(protection);
        }
    }
    spans
}
