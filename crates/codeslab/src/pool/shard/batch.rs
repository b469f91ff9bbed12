//! Publishing many requests at once. What lies side by side goes to the writer in one piece: requests that are placed one after the other
//! mostly do, and where publishing is a call of the system, that is one for all of them.
#![allow(unsafe_code, reason = "it publishes what requests own")]

use super::Carved;
use crate::model::error::{Limit, Refusal, Result};
use crate::model::protection::Protection;
use crate::write::extent::Extent;
use crate::write::staging::Staging;
use std::ptr;

/// Bytes of a piece at most, but for a request that is longer by itself: more would save few calls and hold memory.
const PIECE_BYTES: u64 = 64 << 10;

/// # Safety
/// None of the requests is published yet, and each comes with the buffers that [`Carved::stage`] made for it.
pub(crate) unsafe fn publish<'a>(
    batch: &(impl Iterator<Item = (&'a Carved, &'a Staging)> + Clone),
) -> Result<()> {
    for protection in [Protection::ReadExecute, Protection::ReadOnly] {
        let mut piece = Piece::default();
        for (carved, staging) in batch.clone() {
            carved.pool().check_process()?;
            let Some(extent) = carved.unpublished(protection) else {
                continue;
            };
            // SAFETY: the extent is that of a request that is not published yet, which comes with its buffers.
            unsafe { piece.add(extent, staging.bytes(protection)) }?;
        }
        // SAFETY: it consists of extents of such requests.
        unsafe { piece.publish() }?;
    }
    Ok(())
}

/// What lies side by side and is published together.
#[derive(Default)]
struct Piece<'a> {
    // Invariant: carved for requests that `add` was told of and that were not published since, without a gap.
    extent: Option<Extent<'a>>,
    /// What is staged for the first of them.
    first: Option<&'a [u8]>,
    // Invariant: empty, or what is staged for all of them, in its place in the extent.
    staged: Vec<u8>,
}

impl<'a> Piece<'a> {
    /// Takes a request's part of a slab up. What it does not lie beside is published.
    ///
    /// # Safety
    /// The extent is carved for a request that is not published yet, `staged` what its target says is staged for it.
    unsafe fn add(&mut self, extent: Extent<'a>, staged: Option<&'a [u8]>) -> Result<(), Refusal> {
        if let Some(whole) = self.with(&extent, staged) {
            if let (Some(first), Some(staged)) = (self.first, staged) {
                self.stage(first, staged, extent.span.offset - whole.span.offset)?;
            }
            self.extent = Some(whole);
            return Ok(());
        }
        // SAFETY: the invariant.
        unsafe { self.publish() }?;
        self.extent = Some(extent);
        self.first = staged;
        Ok(())
    }

    /// The piece with another extent, if that goes on where the piece ends, in the same way.
    fn with(&self, extent: &Extent<'a>, staged: Option<&[u8]>) -> Option<Extent<'a>> {
        let mut whole = self.extent?;
        let goes_on = ptr::eq(whole.backing, extent.backing)
            && whole.slab == extent.slab
            && whole.span.end() == extent.span.offset
            && self.first.is_some() == staged.is_some()
            // Otherwise nothing is saved.
            && !whole.backing.writer.is_in_view(whole.slab);
        whole.span.size += extent.span.size;
        (goes_on && whole.span.size <= PIECE_BYTES).then_some(whole)
    }

    /// Appends staged bytes at `offset`. What lies between them is filled as it was.
    fn stage(&mut self, first: &[u8], next: &[u8], offset: u64) -> Result<(), Refusal> {
        if self.staged.is_empty() {
            let reserved = self.staged.try_reserve(PIECE_BYTES as usize);
            reserved.map_err(|_| Refusal::foreseen("malloc", PIECE_BYTES, Limit::Memory))?;
            self.staged.extend_from_slice(first);
        }
        let fill = self.extent.map_or(&[][..], |extent| extent.backing.fill);
        // The pattern begins anew at each granule, and its length divides that.
        let gap = self.staged.len()..offset as usize;
        let between = gap.filter_map(|at| fill.get(at % crate::slab::spans::GRANULE as usize));
        self.staged.extend(between);
        self.staged.extend_from_slice(next);
        Ok(())
    }

    /// # Safety
    /// The invariant says it: nothing of it was published since it was added.
    unsafe fn publish(&mut self) -> Result<(), Refusal> {
        let Some(extent) = self.extent.take() else {
            return Ok(());
        };
        let all = (!self.staged.is_empty()).then_some(&self.staged[..]);
        let staged = all.or(self.first.take());
        // SAFETY: the extent is carved for requests of the batch, so it is committed for its slab and no other thread uses it; what the
        // target says is staged is there, and no longer.
        let published = unsafe { extent.backing.writer.publish(extent, staged) };
        self.staged.clear();
        published
    }
}
