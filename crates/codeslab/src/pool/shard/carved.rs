//! What is carved for one request.
#![allow(
    unsafe_code,
    reason = "a carved refers to its block, which lives as long as it has requests"
)]

use super::BlockHeader;
use crate::block::place::Place;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal, Result};
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::pool::Pool;
use crate::pool::blocks::Blocks;
use crate::write::staging::{Staging, WriteTarget, home, needs_own_pages};
use std::ptr::NonNull;
use std::sync::Arc;

/// What is carved out of a block for one request. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Carved {
    // Invariant: the head of the block that `place` is carved from. The block keeps it.
    head: NonNull<BlockHeader>,
    place: Place,
}

// SAFETY: heads are shared between threads by reference, and the place is the tenant's own.
unsafe impl Send for Carved {}
// SAFETY: likewise.
unsafe impl Sync for Carved {}

impl Carved {
    #[inline]
    pub(super) fn new(head: &Arc<BlockHeader>, place: Place) -> Self {
        let head = NonNull::from(&**head);
        Self { head, place }
    }

    #[inline]
    fn head(&self) -> &BlockHeader {
        // SAFETY: the invariant; the block lives as long as something is carved from it.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Pool {
        &self.head().shard.shared
    }

    /// Where the segment of this protection is.
    #[inline]
    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        let offset = self.place.offset(protection)?;
        self.head().page_map.range().first().checked_add(offset)
    }

    /// Has what cannot be written in its place written elsewhere, for a request with this layout.
    #[inline]
    pub(crate) fn stage(&self, layout: &Layout) -> Result<Staging> {
        if self.shared().geometry().stages() {
            self.stage_all(layout)
        } else {
            Ok(Staging::default())
        }
    }

    #[cold]
    fn stage_all(&self, layout: &Layout) -> Result<Staging> {
        let size_of = |protection| layout.segment(protection).size;
        let is_staged =
            |one: &Protection| size_of(*one) > 0 && self.home(*one) == WriteTarget::Staged;
        let segments = || Protection::ALL.into_iter().filter(is_staged);
        let mut staged = Vec::new();
        let reserved = staged.try_reserve_exact(segments().count());
        reserved.map_err(|_| Refusal::foreseen("malloc", layout.size(), Limit::Memory))?;
        for protection in segments() {
            let bytes = self.head().backing.stage(size_of(protection))?;
            staged.push((protection, bytes));
        }
        Ok(Staging::new(staged))
    }

    fn slab_of(&self, protection: Protection) -> Protection {
        self.shared().geometry().slab_of(protection)
    }

    fn home(&self, protection: Protection) -> WriteTarget {
        home(self.shared().geometry().writer, self.slab_of(protection))
    }

    /// The bytes of a segment of `size` bytes, to be written before it is published. Data reads as zero.
    ///
    /// # Safety
    /// It was lent for this tenant, which is not published yet. The segment is as large.
    pub(crate) unsafe fn bytes_mut<'a>(
        &self,
        staging: &'a mut Staging,
        protection: Protection,
        size: u64,
    ) -> &'a mut [u8] {
        let Some(offset) = self.place.offset(protection) else {
            return &mut [];
        };
        // SAFETY: the span was carved for this tenant, so it is committed and nobody else's. The view was open when it was carved, and is
        // not closed while anything of the block is in flight.
        unsafe {
            staging.bytes_mut(
                self.head().backing.bases(),
                self.home(protection),
                protection,
                offset,
                size,
            )
        }
    }

    /// Makes what was lent executable, readable, writable, each as it should be.
    pub(crate) fn publish(&self, staging: &Staging) -> Result<()> {
        let shared = self.shared();
        shared.check_process()?;
        if shared.geometry().publishes() {
            self.publish_all(staging)?;
        }
        Ok(())
    }

    /// What is executed of it: where, and how many bytes.
    pub(crate) fn executed(&self, layout: &Layout) -> impl Iterator<Item = (Address, u64)> {
        Protection::ALL.into_iter().filter_map(|protection| {
            let is_code = self.slab_of(protection) == Protection::ReadExecute;
            let at = self.address(protection).filter(|_| is_code)?;
            Some((at, layout.segment(protection).size))
        })
    }

    #[cold]
    fn publish_all(&self, staging: &Staging) -> Result<()> {
        for protection in Protection::ALL {
            let slab = self.slab_of(protection);
            let staged = staging.staged(protection);
            let is_published =
                staged.is_none() && !needs_own_pages(self.shared().geometry().writer, slab);
            if let (false, Some(offset)) = (is_published, self.place.offset(protection)) {
                let BlockHeader {
                    page_map, backing, ..
                } = self.head();
                let publisher = backing.publisher(page_map.runs(slab).run_at(offset));
                publisher.publish(backing.platform(), staged, slab)?;
            }
        }
        Ok(())
    }

    /// Gives back the end of a segment, all but the first `size` bytes. It is not published yet.
    pub(crate) fn shrink(&self, protection: Protection, size: u64) {
        let Some(offset) = self.place.offset(protection) else {
            return;
        };
        let head = self.head();
        let index = head.index as usize;
        let shrink = |blocks: &mut Blocks<_>| blocks.shrink(index, protection, offset, size);
        head.shard.with(shrink).1.retire();
    }

    /// It is published, or about to be freed.
    #[inline]
    pub(crate) fn note_landed(&self) {
        self.head().shard.note_landed();
    }

    /// Takes everything back that takes more than a few words to be looked at.
    #[cold]
    fn free(&self) {
        let emptied = {
            let head = self.head();
            head.shard.free(head, &self.place)
        };
        emptied.retire();
    }
}

impl Drop for Carved {
    #[inline(never)]
    fn drop(&mut self) {
        let head = self.head();
        let starts = self.place.packed();
        if !starts.is_some_and(|starts| head.shard.rest(head, starts)) {
            self.free();
        }
    }
}
