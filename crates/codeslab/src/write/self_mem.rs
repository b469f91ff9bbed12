//! Writes to the process's own memory through `/proc/self/mem`, past the rights of its pages. Bytes are staged until they are
//! published. Kernels are closing this way, so it is tried late.

use super::backing::Backing;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct SelfMem;

impl CodeWriter for SelfMem {
    fn memory(&self, _sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::Private
    }

    fn target(&self, _slab: Protection) -> WriteTarget {
        WriteTarget::Staged
    }

    unsafe fn commit(
        &self,
        backing: &Backing,
        pages: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        // SAFETY: the caller says that the pages are the block's and not mapped.
        unsafe { backing.map_private(pages, slab) }?;
        if slab == Protection::ReadExecute {
            // A system that refuses this refuses to publish as well, and that is where it is told.
            // SAFETY: the pages are new private memory.
            let _ = unsafe { self.fill(backing, pages) };
        }
        Ok(())
    }

    unsafe fn fill(&self, backing: &Backing, span: Span) -> Result<(), Refusal> {
        let platform = backing.platform();
        backing.fill_pieces(span).try_for_each(|(at, piece)| {
            // SAFETY: the span is committed private memory of the block, and the caller has it to itself.
            unsafe { platform.write_self(at, piece) }
        })
    }

    unsafe fn publish(
        &self,
        backing: &Backing,
        span: Span,
        _slab: Protection,
        staged: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let (at, bytes) = (backing.at(span.offset), staged.unwrap_or_default());
        // SAFETY: the span is committed private memory of the block, and the caller has it to itself.
        unsafe { backing.platform().write_self(at, bytes) }
    }
}
