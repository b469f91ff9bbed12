//! Two views of one memory file: an executable one in the block, and a writable one far away. What is stored through one is fetched
//! through the other, so publishing asks nothing of the system.

use super::backing::Backing;
use super::extent::Extent;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
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

    unsafe fn commit(&self, pages: Extent<'_>) -> Result<(), Refusal> {
        pages.backing.open_view()?;
        // SAFETY: reservations of this writer have a file, and the caller says that the pages are not mapped.
        unsafe { pages.map_file() }?;
        // SAFETY: the pages were filled just now. `Pages` alone closes the view, and it is what commits.
        unsafe { pages.populate_view() };
        Ok(())
    }
}
