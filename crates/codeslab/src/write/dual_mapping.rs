//! Two views of one memory file: an executable one in the block, and a writable one far away. What is stored through one is fetched
//! through the other, so publishing asks nothing of the system.

use super::backing::Backing;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct DualMapping;

impl CodeWriter for DualMapping {
    fn memory(&self, sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::File(sealing)
    }

    fn target(&self, _slab: Protection) -> WriteTarget {
        WriteTarget::View
    }

    fn open_view(&self, backing: &Backing) -> Result<(), Refusal> {
        backing.open_view()
    }

    unsafe fn commit(
        &self,
        backing: &Backing,
        pages: Span,
        slab: Protection,
    ) -> Result<(), Refusal> {
        backing.open_view()?;
        // SAFETY: the caller says that the pages are the block's and not mapped.
        unsafe { backing.map_file(pages, slab) }?;
        backing.populate_view(pages);
        Ok(())
    }

    unsafe fn fill(&self, backing: &Backing, span: Span) -> Result<(), Refusal> {
        // SAFETY: the span is in the block, and the caller has it to itself.
        unsafe { backing.fill_file(span) }
    }

    unsafe fn publish(
        &self,
        _backing: &Backing,
        _span: Span,
        _slab: Protection,
        _staged: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        Ok(())
    }
}
