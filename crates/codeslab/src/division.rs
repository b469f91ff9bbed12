//! How a block is divided, and what a request wants of each division. Pure.

use crate::lent::needs_own_pages;
use crate::options::Constants;
use crate::protection::Protection;
use crate::span::Span;
use crate::writer::Writer;

/// What every request is carved in: small, because most sections of real objects are.
pub(crate) const GRANULE: u64 = 16;

/// How a block is divided and written; the same for all blocks of a memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    pub(crate) constants: Constants,
    pub(crate) writer: Writer,
    pub(crate) page_bytes: u64,
    /// What the system maps at least.
    pub(crate) granularity: u64,
}

impl Division {
    /// The slab from which memory with this protection is carved.
    pub(crate) const fn slab_of(&self, protection: Protection) -> Protection {
        match (protection, self.constants) {
            (Protection::ReadOnly, Constants::WithCode) => Protection::ReadExecute,
            _ => protection,
        }
    }

    pub(crate) const fn granule(&self, slab: Protection) -> u64 {
        if needs_own_pages(self.writer, slab) {
            self.page_bytes
        } else {
            GRANULE
        }
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
/// What was carved for them.
pub(crate) type Spans = [Option<Span>; 3];
