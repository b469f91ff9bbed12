//! Calls that write to the memory file behind the executable view. The process has no writable view of its code at all: the
//! hardened choice. Bytes are staged until they are published.

use super::backing::Backing;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct FileWrite;

impl CodeWriter for FileWrite {
    fn memory(&self, sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::File(sealing)
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
        unsafe { backing.map_file(pages, slab) }
    }

    unsafe fn fill(&self, backing: &Backing, span: Span) -> Result<(), Refusal> {
        // SAFETY: the span is in the block, and the caller has it to itself.
        unsafe { backing.fill_file(span) }
    }

    unsafe fn publish(
        &self,
        backing: &Backing,
        span: Span,
        _slab: Protection,
        staged: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        // SAFETY: the span is in the block, and the caller has it to itself; no more is staged than it is long.
        unsafe { backing.write_file(span.offset, staged.unwrap_or_default()) }
    }
}
