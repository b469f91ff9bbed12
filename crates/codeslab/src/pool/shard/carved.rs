//! What is carved for one request: what an allocation is made of, in flight and published.
#![allow(unsafe_code, reason = "its block lives as long as it does")]

use super::BlockHeader;
use crate::model::address::{Address, Window};
use crate::model::error::Result;
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::pool::Pool;
use crate::slab::spans::Spans;
use crate::write::WriteTarget;
use crate::write::extent::Extent;
use crate::write::staging::Staging;
use std::ptr::NonNull;
use std::sync::Arc;

/// What is carved out of a block for one request. Dropping it gives it back.
// The order matters to `InFlightAllocation`, which says why.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Carved {
    // Invariant: the header of the block that `spans` are carved from. The block keeps it.
    header: NonNull<BlockHeader>,
    spans: Spans,
}

// SAFETY: headers are shared between threads by reference, and the spans are its own.
unsafe impl Send for Carved {}
// SAFETY: a shared reference only reads the header, which is shared between threads, and the numbers in the spans.
unsafe impl Sync for Carved {}

impl Carved {
    /// Of the spans that the block of `header` just carved.
    #[inline]
    pub(super) fn new(header: &Arc<BlockHeader>, spans: Spans) -> Self {
        let header = NonNull::from(&**header);
        Self { header, spans }
    }

    #[inline]
    fn header(&self) -> &BlockHeader {
        // SAFETY: the invariant; a block lives as long as something is carved from it, and keeps its header.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Pool {
        &self.header().shard.pool
    }

    #[inline]
    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        let offset = self.spans.offset(protection)?;
        self.header().page_map.range.first().checked_add(offset)
    }

    pub(crate) fn block(&self) -> Window {
        self.header().page_map.range
    }

    /// How many bytes are carved for the segment of this protection.
    pub(crate) fn size(&self, protection: Protection) -> Option<u64> {
        let span = self.header().page_map.span(&self.spans, protection);
        span.map(|span| span.size)
    }

    /// Buffers for what cannot be written in its place, for a request with this layout.
    #[inline]
    pub(crate) fn stage(&self, layout: &Layout) -> Result<Staging> {
        if self.pool().geometry.stages {
            self.stage_all(layout)
        } else {
            Ok(Staging::default())
        }
    }

    fn stage_all(&self, layout: &Layout) -> Result<Staging> {
        let [code, constants] = [Protection::ReadExecute, Protection::ReadOnly].map(|one| {
            let is_staged = self.target(one) == WriteTarget::Staged;
            layout.segment(one).size * u64::from(is_staged)
        });
        if code + constants == 0 {
            return Ok(Staging::default());
        }
        let fill = self.header().backing.fill;
        Ok(Staging::new(code, constants, fill)?)
    }

    fn slab_of(&self, protection: Protection) -> Protection {
        self.pool().geometry.slab_of(protection)
    }

    fn target(&self, protection: Protection) -> WriteTarget {
        self.header().backing.target(self.slab_of(protection))
    }

    /// The bytes of a segment of `size` bytes, to be written before it is published. Data reads as zero.
    ///
    /// # Safety
    /// It is not published yet. `size` is at most that of the segment in the layout that it was carved for, and `staging` are
    /// the buffers that [`Carved::stage`] made for it.
    pub(crate) unsafe fn bytes_mut<'a>(
        &'a mut self,
        staging: &'a mut Staging,
        protection: Protection,
        size: u64,
    ) -> &'a mut [u8] {
        let Some(start) = self.start(protection) else {
            return staging.bytes_mut(protection);
        };
        // SAFETY: the span is carved for this request, so it is committed, at least `size` bytes long and used by no other thread;
        // what is not published is written at its target. A view is opened when something is carved and not closed while
        // anything of the block is in flight. The slice borrows `self`, so there is no other.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), size as usize) }
    }

    /// The same for all segments, which have `sizes`.
    ///
    /// # Safety
    /// As for [`Carved::bytes_mut`], with each of the sizes.
    pub(crate) unsafe fn all_bytes_mut<'a>(
        &'a mut self,
        staging: &'a mut Staging,
        sizes: [u64; 3],
    ) -> [&'a mut [u8]; 3] {
        let [code, constants] = staging.both_mut();
        let mut staged = [code, constants, &mut []];
        let starts = Protection::ALL.map(|protection| self.start(protection));
        for ((bytes, start), size) in staged.iter_mut().zip(starts).zip(sizes) {
            if let Some(start) = start {
                // SAFETY: the span is carved for this request, so it is committed, at least `size` bytes long and used by no other
                // thread; what is not published is written at its target, which stays while it is in flight. Spans of one request do not
                // overlap, and the slices borrow `self`, so there are no others.
                *bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), size as usize) };
            }
        }
        staged
    }

    /// Where the bytes of a segment are written; `None` for one that is staged or has none. Data is written there when it is published, too.
    #[inline]
    pub(crate) fn start(&self, protection: Protection) -> Option<NonNull<u8>> {
        let target = self.target(protection);
        let base = self.header().backing.base(target)?;
        let offset = self.spans.offset(protection)?;
        NonNull::new(base.as_ptr().wrapping_add(offset as usize))
    }

    /// # Safety
    /// `staging` are the buffers that [`Carved::stage`] made for it, and it is not published yet.
    pub(crate) unsafe fn publish(&self, staging: &Staging) -> Result<()> {
        self.pool().check_process()?;
        for protection in [Protection::ReadExecute, Protection::ReadOnly] {
            if let Some(extent) = self.unpublished(protection) {
                let writer = extent.backing.writer;
                // SAFETY: the span is carved for this request, so it is committed for its slab and no other thread uses it; what its
                // target says is staged is among the buffers.
                unsafe { writer.publish(extent, staging.bytes(protection)) }?;
            }
        }
        Ok(())
    }

    /// What a writer has to do something about before the segment of this protection is published.
    pub(crate) fn unpublished(&self, protection: Protection) -> Option<Extent<'_>> {
        if !self.pool().geometry.publishes {
            return None;
        }
        let header = self.header();
        let span = header.page_map.span(&self.spans, protection)?;
        Some(header.backing.extent(span, self.slab_of(protection)))
    }

    /// What is executed of it: where, and how many bytes.
    pub(crate) fn executed(&self, layout: &Layout) -> impl Iterator<Item = (Address, u64)> {
        layout.segments().filter_map(|(protection, segment)| {
            let is_code = self.slab_of(protection) == Protection::ReadExecute;
            let at = self.address(protection).filter(|_| is_code)?;
            Some((at, segment.size))
        })
    }

    /// Gives back the end of a segment, all but the first `size` bytes.
    ///
    /// # Safety
    /// It is not published yet, and no slice of its bytes is in use.
    pub(crate) unsafe fn shrink(&mut self, protection: Protection, size: u64) {
        let (header, spans) = (self.header(), &self.spans);
        header.shard.update(|blocks| {
            let block = blocks.block_mut(header.index as usize);
            // SAFETY: the spans are carved from this block, and the caller says that nothing uses their ends.
            unsafe { block.shrink(spans, protection, size) };
        });
    }

    /// Divides it: see [`Block::divide`](crate::block::Block::divide). All parts are in flight. After `None` it is given back.
    pub(crate) fn divide(mut self, starts: &[[u64; 3]]) -> Result<Option<Vec<Self>>> {
        let header = self.header();
        let index = header.index as usize;
        let divided = header
            .shard
            .update(|blocks| blocks.divide(index, &self.spans, starts));
        let Ok(Some(parts)) = divided else {
            // It is not in flight any more.
            self.note_landed();
            return Ok(divided?.map(|_| Vec::new()));
        };
        let header = self.header;
        let mut parts = parts.into_iter();
        // The first keeps what is its own; the others are new.
        self.spans = parts.next().unwrap_or_default();
        let others = parts.map(|spans| Self { header, spans });
        Ok(Some(std::iter::once(self).chain(others).collect()))
    }

    /// It is published, or about to be freed.
    #[inline]
    pub(crate) fn note_landed(&self) {
        self.header().shard.note_landed();
    }

    /// Takes everything back the long way.
    #[cold]
    fn free(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        let header = self.header();
        // SAFETY: the invariant: they are carved from that block.
        let emptied = unsafe { header.shard.free(header, spans) };
        emptied.retire();
    }
}

impl Drop for Carved {
    #[inline(never)]
    fn drop(&mut self) {
        let header = self.header();
        // SAFETY: the invariant: they are carved from that block. What is kept is forgotten: only near spans are, which drop nothing.
        if !unsafe { header.shard.keep(header, &self.spans) } {
            self.free();
        }
    }
}
