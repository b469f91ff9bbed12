//! Private pages that are written in their place and then made executable, or read-only, before anything on them is published. Rights
//! change by the page, so each request has pages of its own, and the system keeps a mapping for each run of equal rights.

use super::backing::Backing;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct Protect;

impl CodeWriter for Protect {
    fn memory(&self, _sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::Private
    }

    fn target(&self, _slab: Protection) -> WriteTarget {
        WriteTarget::InPlace
    }

    unsafe fn commit(
        &self,
        backing: &Backing,
        pages: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        // SAFETY: the caller says that the pages are the block's and not mapped.
        unsafe { backing.map_private(pages, Protection::ReadWrite) }?;
        if slab == Protection::ReadExecute {
            // SAFETY: the pages are new, and writable until they are published.
            unsafe { self.fill(backing, pages) }?;
        }
        Ok(())
    }

    unsafe fn fill(&self, backing: &Backing, span: Span) -> Result<(), Refusal> {
        if let Some(start) = backing.private() {
            // SAFETY: the span is committed private memory that is not published, so it is writable from `start` on; the caller
            // has it to itself.
            unsafe { backing.fill_at(start, span) };
        }
        Ok(())
    }

    unsafe fn publish(
        &self,
        backing: &Backing,
        span: Span,
        slab: Protection,
        _staged: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        // SAFETY: the span has pages of its own, and the caller has them to itself.
        unsafe { backing.protect(span, slab) }
    }

    unsafe fn retract(
        &self,
        backing: &Backing,
        span: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        // SAFETY: the span has pages of its own, and the caller has them to itself. Writable pages are not executable.
        unsafe { backing.protect(span, Protection::ReadWrite) }?;
        if slab == Protection::ReadExecute {
            // SAFETY: the pages are writable now, and the caller has them to itself.
            unsafe { self.fill(backing, span) }?;
        }
        Ok(())
    }
}
