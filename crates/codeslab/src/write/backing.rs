//! What is behind a block and does not change as long as the block lives: where it is, which memory it consists of, who writes to it. Through
//! it, threads publish and retract what is theirs ([`super::extent`]) without the block's lock.
#![allow(unsafe_code, reason = "raw ranges and pointers stop here")]

use super::extent::Extent;
use super::{CodeWriter, WriteTarget};
use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::slab::span::{Located, Span};
use crate::space::budget::Budget;
use crate::space::clusters::Site;
use crate::sys::Platform;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

/// Bytes of the fill pattern that are written at once. More would be memory that holds nothing else, and save few calls.
pub(super) const FILL_BYTES: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Backing {
    pub(crate) site: Site,
    pub(crate) writer: &'static dyn CodeWriter,
    pub(crate) budget: Arc<Budget>,
    // Where byte 0 of the block would be written if all of it were private memory, or null before any of it is. It stays the same:
    // see `Platform::map_private`.
    pub(super) private: AtomicPtr<u8>,
    // The writable view of the whole block, or null. The block's owner opens and closes it, and never while bytes of an
    // allocation in flight are in use.
    view: AtomicPtr<u8>,
    /// Instructions that trap, written where no code is.
    pub(crate) fill: &'static [u8],
}

fn fill_pattern(architecture: Architecture) -> &'static [u8] {
    static FILL: OnceLock<Box<[u8]>> = OnceLock::new();
    let pattern = architecture.fill_pattern();
    FILL.get_or_init(|| {
        let repeated = pattern.repeat(FILL_BYTES / pattern.len());
        repeated.into_boxed_slice()
    })
}

impl Backing {
    pub(crate) fn new(site: Site, writer: &'static dyn CodeWriter, budget: Arc<Budget>) -> Self {
        let architecture = site.reservation.platform.facts().architecture;
        Self {
            site,
            writer,
            budget,
            private: AtomicPtr::default(),
            view: AtomicPtr::default(),
            fill: fill_pattern(architecture),
        }
    }

    /// Part of the block that is of a slab, or will be.
    #[inline]
    pub(crate) const fn extent(&self, span: Span, slab: Protection) -> Extent<'_> {
        Extent {
            backing: self,
            span,
            slab,
        }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.site.place.size
    }

    pub(crate) fn range(&self) -> Window {
        Window::of_range(self.at(0), self.size()).expect("a block lies in the address space")
    }

    /// The address of the byte at `offset` of the block.
    pub(crate) fn at(&self, offset: u64) -> Address {
        Address::new(self.site.reservation.address().value() + self.in_reservation(offset))
    }

    pub(super) const fn in_reservation(&self, offset: u64) -> u64 {
        self.site.place.offset + offset
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.site.reservation.platform
    }

    /// Whether a slab's pages are those of a memory file: data's never are.
    pub(super) fn is_in_file(&self, slab: Protection) -> bool {
        slab != Protection::ReadWrite && self.site.reservation.file_at(0).is_some()
    }

    /// Where byte 0 of the block would be written if all of it were private memory.
    pub(super) fn private(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.private.load(Ordering::Relaxed))
    }

    /// The writable view of the whole block, if there is one. It stays as long as anything of the block is in flight.
    #[inline]
    pub(crate) fn view(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.view.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn target(&self, slab: Protection) -> WriteTarget {
        match slab {
            Protection::ReadWrite => WriteTarget::InPlace,
            _ => self.writer.target(slab),
        }
    }

    /// Where byte 0 of the block is written for a target; `None` for one that is elsewhere.
    #[inline]
    pub(crate) fn base(&self, target: WriteTarget) -> Option<NonNull<u8>> {
        match target {
            WriteTarget::View => self.view(),
            WriteTarget::InPlace => self.private(),
            WriteTarget::Staged => None,
        }
    }

    /// Retracts spans, each in the slab that `slab_of` says. One that the system refuses is left out. Says whether there was such a one.
    ///
    /// # Safety
    /// The spans are committed for their slabs, and the caller has them to itself. `view` is the view of the block, if it stays open.
    pub(crate) unsafe fn retract(
        &self,
        carved: &mut Located,
        slab_of: impl Fn(Protection) -> Protection,
        view: Option<NonNull<u8>>,
    ) -> bool {
        let mut is_refused = false;
        for (protection, span) in Protection::ALL.into_iter().zip(carved) {
            let Some(carved) = *span else { continue };
            let extent = self.extent(carved, slab_of(protection));
            // SAFETY: the span is committed for its slab and the caller's, and the view stays open.
            if unsafe { extent.retract(view) }.is_err() {
                *span = None;
                is_refused = true;
            }
        }
        is_refused
    }

    /// Whether the view shows some of the block only. The view of a sealed reservation shows everything: it cannot be changed.
    pub(super) fn hides(&self) -> bool {
        let is_sealed = self.site.reservation.view_at(0).is_some();
        !is_sealed && !self.writer.is_in_view(Protection::ReadOnly)
    }

    /// Makes the writable view of the block, if there is none. Where it does not show everything it shows nothing yet.
    pub(super) fn open_view(&self) -> Result<(), Refusal> {
        let reservation = &self.site.reservation;
        if self.view().is_none()
            && let Some((file, offset)) = reservation.file_at(self.in_reservation(0))
        {
            let sealed = reservation.view_at(self.in_reservation(0));
            let map = || file.map_view(offset, self.size(), self.hides());
            let view = sealed.map_or_else(map, Ok)?;
            self.view.store(view.as_ptr(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// # Safety
    /// No thread uses it: nothing of the block is in flight, and its owner, the caller, frees nothing through it.
    pub(crate) unsafe fn close_view(&self) {
        let view = NonNull::new(self.view.swap(std::ptr::null_mut(), Ordering::Relaxed));
        // What is part of the reservation's view goes with it.
        if let Some(view) = view
            && self.site.reservation.view_at(0).is_none()
        {
            // SAFETY: the view is as `open_view` made it, of the whole block, and the caller says that no thread uses it.
            unsafe { self.platform().unmap_view(view, self.size()) };
        }
    }
}

/// The fill pattern for a span, piece by piece, each with its offset.
pub(super) fn pieces(
    fill: &'static [u8],
    span: Span,
) -> impl Iterator<Item = (u64, &'static [u8])> {
    let offsets = (span.offset..span.end()).step_by(fill.len());
    offsets.map(move |offset| {
        let size = fill.len().min((span.end() - offset) as usize);
        (offset, &fill[..size])
    })
}
