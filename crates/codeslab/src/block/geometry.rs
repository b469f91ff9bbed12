//! How a block is divided, and what a request wants of each division. Pure.

use crate::model::options::Constants;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::span::Span;
use crate::write::staging::{WriteTarget, home, needs_own_pages};

/// What every request is carved in: small, because most sections of real objects are.
pub(crate) const GRANULE: u64 = 16;

/// How a block is divided and written; the same for all blocks of a memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) constants: Constants,
    pub(crate) writer: Writer,
    pub(crate) page_bytes: u64,
    /// What the system maps at least.
    pub(crate) granularity: u64,
    // Bytes of a granule less one, by protection: each request asks for them.
    masks: [u64; 3],
}

impl Geometry {
    pub(crate) fn new(
        constants: Constants,
        writer: Writer,
        page_bytes: u64,
        granularity: u64,
    ) -> Self {
        let mut geometry = Self {
            constants,
            writer,
            page_bytes,
            granularity,
            masks: [0; 3],
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

    #[inline]
    pub(crate) const fn granule(&self, slab: Protection) -> u64 {
        if needs_own_pages(self.writer, slab) {
            self.page_bytes
        } else {
            GRANULE
        }
    }

    /// Whether anything is written elsewhere first.
    #[inline]
    pub(crate) const fn stages(&self) -> bool {
        matches!(
            home(self.writer, Protection::ReadExecute),
            WriteTarget::Staged
        )
    }

    /// Whether anything is left to do with what is written.
    #[inline]
    pub(crate) const fn publishes(&self) -> bool {
        !matches!(
            home(self.writer, Protection::ReadExecute),
            WriteTarget::View
        )
    }

    /// Granules of [`GRANULE`] that a segment of `size` bytes takes. The size is that of a segment, so it does not overflow.
    #[inline]
    pub(crate) const fn granules_of(&self, protection: Protection, size: u64) -> u64 {
        let mask = self.masks[protection.index()];
        ((size + mask) & !mask) / GRANULE
    }

    /// Free bytes in which a part fits for certain: what may be lost before an aligned place, and before the next if nothing
    /// may begin at that one, counts too.
    pub(crate) fn bytes_for(&self, part: Part) -> Option<u64> {
        let granule = self.granule(part.slab);
        let room_to_align = 2 * part.align.max(granule) - granule;
        part.size
            .checked_next_multiple_of(granule)?
            .checked_add(room_to_align)
    }

    /// Bytes of a fresh block that holds all parts for certain.
    pub(crate) fn bytes_for_all(&self, parts: &Parts) -> Option<u64> {
        parts.iter().flatten().try_fold(0_u64, |total, part| {
            let pages = self
                .bytes_for(*part)?
                .checked_next_multiple_of(self.granularity)?;
            total.checked_add(pages)
        })
    }
}

/// One segment of a request, for the slab it is carved from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) slab: Protection,
    pub(crate) size: u64,
    pub(crate) align: u64,
}

/// A part of a request for each protection; `None` where there is nothing.
pub(crate) type Parts = [Option<Part>; 3];
/// What was carved for them, while some of it may be missing still.
pub(crate) type Carving = [Option<Span>; 3];

/// What was carved for a request: a span for each protection, or none. Counted in granules, so that it is small.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spans {
    starts: [u32; 3],
    // Invariant: 0 where there is no span.
    sizes: [u32; 3],
}

impl Spans {
    #[inline]
    pub(crate) const fn new(starts: [u32; 3], sizes: [u32; 3]) -> Self {
        Self { starts, sizes }
    }

    pub(crate) fn of(carving: &Carving) -> Self {
        let granules = |bytes: u64| (bytes / GRANULE) as u32;
        Self {
            starts: carving.map(|span| span.map_or(0, |span| granules(span.offset))),
            sizes: carving.map(|span| span.map_or(0, |span| granules(span.size))),
        }
    }

    /// The granules at which spans begin, where there are spans.
    #[inline]
    pub(crate) const fn starts(&self) -> &[u32; 3] {
        &self.starts
    }

    /// How many granules they have.
    #[inline]
    pub(crate) const fn sizes(&self) -> &[u32; 3] {
        &self.sizes
    }

    #[inline]
    pub(crate) fn get(&self, protection: Protection) -> Option<Span> {
        let index = protection.index();
        let size = self.sizes[index];
        (size > 0).then(|| Span {
            offset: u64::from(self.starts[index]) * GRANULE,
            size: u64::from(size) * GRANULE,
        })
    }

    /// Every span with its protection.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Protection, Span)> + '_ {
        let span = |protection| Some((protection, self.get(protection)?));
        Protection::ALL.into_iter().filter_map(span)
    }

    /// Only those for which `keeps` holds.
    #[inline]
    pub(crate) fn filter(&self, keeps: impl Fn(Protection, Span) -> bool) -> Self {
        let mut kept = *self;
        for protection in Protection::ALL {
            if let Some(span) = self.get(protection)
                && !keeps(protection, span)
            {
                kept.sizes[protection.index()] = 0;
            }
        }
        kept
    }

    /// Bytes of all spans.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.sizes
            .iter()
            .map(|size| u64::from(*size) * GRANULE)
            .sum()
    }
}
