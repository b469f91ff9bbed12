//! Private pages under a memory protection key, which denies every thread to write to them. The thread that publishes gives itself
//! the right for the time of a copy; bytes are staged until then. Constants could not be read by threads that are older than the
//! key, so they have pages without one, written in their place as [`super::protect`] does.

use super::backing::Backing;
use super::protect::Protect;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct Pkeys;

impl CodeWriter for Pkeys {
    fn memory(&self, _sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::Private
    }

    fn target(&self, slab: Protection) -> WriteTarget {
        match slab {
            Protection::ReadExecute => WriteTarget::Staged,
            _ => WriteTarget::InPlace,
        }
    }

    unsafe fn commit(
        &self,
        backing: &Backing,
        pages: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        if slab != Protection::ReadExecute {
            // SAFETY: the caller says that the pages are the block's and not mapped.
            return unsafe { Protect.commit(backing, pages, slab) };
        }
        let at = backing.at(pages.offset);
        // SAFETY: the caller says that the pages are the block's, whose range is reserved, and not mapped.
        unsafe { backing.platform().map_keyed(at, pages.size) }?;
        // A system that refuses this refuses to publish as well, and that is where it is told.
        // SAFETY: the pages are new, and under the key.
        let _ = unsafe { self.fill(backing, pages) };
        Ok(())
    }

    unsafe fn fill(&self, backing: &Backing, span: Span) -> Result<(), Refusal> {
        let platform = backing.platform();
        backing.fill_pieces(span).try_for_each(|(at, piece)| {
            // SAFETY: code of this writer is under the key, the caller has the span to itself, and the pattern lies elsewhere.
            unsafe { platform.write_keyed(at, piece) }
        })
    }

    unsafe fn publish(
        &self,
        backing: &Backing,
        span: Span,
        slab: Protection,
        staged: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let Some(bytes) = staged else {
            // SAFETY: what is not staged are constants, which have pages of their own that the caller has to itself.
            return unsafe { Protect.publish(backing, span, slab, None) };
        };
        // SAFETY: code of this writer is under the key, the caller has the span to itself, and staged bytes lie elsewhere.
        unsafe {
            backing
                .platform()
                .write_keyed(backing.at(span.offset), bytes)
        }
    }

    unsafe fn retract(
        &self,
        backing: &Backing,
        span: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        if slab == Protection::ReadExecute {
            // SAFETY: the span is committed code of the block, and the caller has it to itself.
            return unsafe { self.fill(backing, span) };
        }
        // SAFETY: constants have pages of their own, which the caller has to itself.
        unsafe { Protect.retract(backing, span, slab) }
    }
}
