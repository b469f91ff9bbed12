//! What is carved for one request.
#![allow(
    unsafe_code,
    reason = "a tenant refers to its block, which lives as long as it has tenants"
)]

use super::Head;
use crate::address::Address;
use crate::blocks::Blocks;
use crate::error::{Limit, Refusal, Result};
use crate::layout::Layout;
use crate::lent::{Home, Lent, home, needs_own_pages};
use crate::place::Place;
use crate::protection::Protection;
use crate::shared::Shared;
use std::ptr::NonNull;
use std::sync::Arc;

/// What is carved out of a block for one request. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Tenant {
    // Invariant: the head of the block that `place` is carved from. The block keeps it.
    head: NonNull<Head>,
    place: Place,
}

// SAFETY: heads are shared between threads by reference, and the place is the tenant's own.
unsafe impl Send for Tenant {}
// SAFETY: likewise.
unsafe impl Sync for Tenant {}

impl Tenant {
    #[inline]
    pub(super) fn new(head: &Arc<Head>, place: Place) -> Self {
        let head = NonNull::from(&**head);
        Self { head, place }
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the invariant; the block lives as long as something is carved from it.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        &self.head().shard.shared
    }

    /// Where the segment of this protection is.
    #[inline]
    pub(crate) fn address(&self, protection: Protection) -> Option<Address> {
        let offset = self.place.offset(protection)?;
        self.head().ledger.range().first().checked_add(offset)
    }

    /// Has what cannot be written in its place written elsewhere, for a request with this layout.
    #[inline]
    pub(crate) fn stage(&self, layout: &Layout) -> Result<Lent> {
        if self.shared().division().stages() {
            self.stage_all(layout)
        } else {
            Ok(Lent::default())
        }
    }

    #[cold]
    fn stage_all(&self, layout: &Layout) -> Result<Lent> {
        let size_of = |protection| layout.segment(protection).size;
        let is_staged = |one: &Protection| size_of(*one) > 0 && self.home(*one) == Home::Staged;
        let segments = || Protection::ALL.into_iter().filter(is_staged);
        let mut staged = Vec::new();
        let reserved = staged.try_reserve_exact(segments().count());
        reserved.map_err(|_| Refusal::foreseen("malloc", layout.size(), Limit::Memory))?;
        for protection in segments() {
            let bytes = self.head().ground.stage(size_of(protection))?;
            staged.push((protection, bytes));
        }
        Ok(Lent::new(staged))
    }

    fn slab_of(&self, protection: Protection) -> Protection {
        self.shared().division().slab_of(protection)
    }

    fn home(&self, protection: Protection) -> Home {
        home(self.shared().division().writer, self.slab_of(protection))
    }

    /// The bytes of a segment of `size` bytes, to be written before it is published. Data reads as zero.
    ///
    /// # Safety
    /// It was lent for this tenant, which is not published yet. The segment is as large.
    pub(crate) unsafe fn bytes_mut<'a>(
        &self,
        lent: &'a mut Lent,
        protection: Protection,
        size: u64,
    ) -> &'a mut [u8] {
        let Some(offset) = self.place.offset(protection) else {
            return &mut [];
        };
        // SAFETY: the span was carved for this tenant, so it is committed and nobody else's. The view was open when it was carved, and is
        // not closed while anything of the block is in flight.
        unsafe {
            lent.bytes_mut(
                self.head().ground.bases(),
                self.home(protection),
                protection,
                offset,
                size,
            )
        }
    }

    /// Makes what was lent executable, readable, writable, each as it should be.
    pub(crate) fn publish(&self, lent: &Lent) -> Result<()> {
        let shared = self.shared();
        shared.check_process()?;
        if shared.division().publishes() {
            self.publish_all(lent)?;
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
    fn publish_all(&self, lent: &Lent) -> Result<()> {
        for protection in Protection::ALL {
            let slab = self.slab_of(protection);
            let staged = lent.staged(protection);
            let is_published =
                staged.is_none() && !needs_own_pages(self.shared().division().writer, slab);
            if let (false, Some(offset)) = (is_published, self.place.offset(protection)) {
                let Head { ledger, ground, .. } = self.head();
                let publisher = ground.publisher(ledger.runs(slab).run_at(offset));
                publisher.publish(ground.platform(), staged, slab)?;
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

impl Drop for Tenant {
    #[inline(never)]
    fn drop(&mut self) {
        let head = self.head();
        let starts = self.place.packed();
        if !starts.is_some_and(|starts| head.shard.rest(head, starts)) {
            self.free();
        }
    }
}
