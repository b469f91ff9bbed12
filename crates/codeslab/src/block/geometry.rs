//! How the blocks of a memory are divided: which slab holds which protection, how large a granule is, what a request may take.
//! The same numbers for all blocks of a memory; each request asks for them, so what can be computed once is.

use crate::model::layout::{Layout, Segment};
use crate::model::options::Constants;
use crate::model::protection::Protection;
use crate::model::stats::Configuration;
use crate::slab::spans::GRANULE;
use crate::sys::Facts;
use crate::write::{CodeWriter, WriteTarget};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    constants: Constants,
    pub(crate) writer: &'static dyn CodeWriter,
    page_bytes: u64,
    /// What the system maps at least.
    pub(crate) granularity: u64,
    /// Bytes without access that stay at both ends of a block and between its slabs: 0 without guard pages.
    pub(crate) guard_bytes: u64,
    // Bytes of a granule less one, by protection.
    masks: [u64; 3],
    /// Whether the bytes of anything are written elsewhere first.
    pub(crate) stages: bool,
    /// Whether anything is left to do with what is written before it can be executed.
    pub(crate) publishes: bool,
    /// Whether a block has to have a writable view for anything to be written to it.
    pub(crate) needs_view: bool,
}

impl Geometry {
    pub(crate) fn new(
        configuration: &Configuration,
        writer: &'static dyn CodeWriter,
        facts: Facts,
    ) -> Self {
        let code = writer.target(Protection::ReadExecute);
        let mut geometry = Self {
            constants: configuration.constants,
            writer,
            page_bytes: facts.page_size.bytes(),
            granularity: facts.granularity,
            guard_bytes: facts.granularity * u64::from(configuration.guard_pages),
            masks: [0; 3],
            stages: code == WriteTarget::Staged,
            publishes: code != WriteTarget::View,
            needs_view: writer.is_in_view(Protection::ReadExecute),
        };
        let mask = |protection| geometry.granule(geometry.slab_of(protection)) - 1;
        geometry.masks = Protection::ALL.map(mask);
        geometry
    }

    /// The slab from which memory with this protection is carved.
    #[inline]
    pub(crate) const fn slab_of(&self, protection: Protection) -> Protection {
        match (protection, self.constants) {
            (Protection::ReadOnly, Constants::WithCode) => Protection::ReadExecute,
            _ => protection,
        }
    }

    /// Whether spans of a slab have pages of their own, because their rights change when they are published.
    pub(crate) fn has_own_pages(&self, slab: Protection) -> bool {
        slab != Protection::ReadWrite && self.writer.target(slab) == WriteTarget::InPlace
    }

    /// What spans of a slab are multiples of, in bytes.
    pub(crate) fn granule(&self, slab: Protection) -> u64 {
        if self.has_own_pages(slab) {
            self.page_bytes
        } else {
            GRANULE
        }
    }

    /// Granules of [`GRANULE`] that a segment of `size` bytes takes. The size is that of a segment, so it does not overflow.
    #[inline]
    pub(crate) const fn granules_of(&self, protection: Protection, size: u64) -> u64 {
        let mask = self.masks[protection.index()];
        ((size + mask) & !mask) / GRANULE
    }

    /// Free bytes of a slab in which a segment fits for certain: what may be lost before an aligned place, and before the next if
    /// nothing may begin at that one, counts too.
    pub(crate) fn bytes_for(&self, slab: Protection, segment: Segment) -> Option<u64> {
        let granule = self.granule(slab);
        let room_to_align = 2 * segment.align.max(granule) - granule;
        let size = segment.size.checked_next_multiple_of(granule)?;
        size.checked_add(room_to_align)
    }

    /// Bytes of a fresh block that holds a request for certain.
    pub(crate) fn bytes_for_all(&self, layout: &Layout) -> Option<u64> {
        let guard = self.guard_bytes;
        layout
            .segments()
            .try_fold(guard, |total, (protection, segment)| {
                let needed = self.bytes_for(self.slab_of(protection), segment)?;
                let needed = needed.checked_next_multiple_of(self.granularity)?;
                total.checked_add(needed)?.checked_add(guard)
            })
    }
}
