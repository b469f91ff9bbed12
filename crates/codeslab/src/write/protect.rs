//! Private pages that are written in their place and then made executable, or read-only, before anything on them is published. Rights
//! change by the page, so each request has pages of its own, and the system keeps a mapping for each run of equal rights.

use super::extent::Extent;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::protection::Protection;

#[derive(Debug)]
pub(super) struct Protect;

impl CodeWriter for Protect {
    fn target(&self, _slab: Protection) -> WriteTarget {
        WriteTarget::InPlace
    }

    unsafe fn commit(&self, pages: Extent<'_>) -> Result<(), Refusal> {
        // SAFETY: the caller says that the pages are not mapped.
        unsafe { pages.map_private(Protection::ReadWrite) }?;
        if pages.is_code() {
            // SAFETY: the pages are new, and writable until they are published.
            unsafe { self.fill(pages) }?;
        }
        Ok(())
    }

    unsafe fn fill(&self, code: Extent<'_>) -> Result<(), Refusal> {
        if let Some(start) = code.backing.private() {
            // SAFETY: the extent is committed private memory that is not published, so it is writable from `start` on; the caller
            // has it to itself.
            unsafe { code.fill_at(start) };
        }
        Ok(())
    }

    unsafe fn publish(&self, extent: Extent<'_>, _staged: Option<&[u8]>) -> Result<(), Refusal> {
        // SAFETY: the extent is private pages of its own, and the caller has them to itself.
        unsafe { extent.protect(extent.slab) }
    }

    unsafe fn retract(&self, extent: Extent<'_>) -> Result<(), Refusal> {
        // SAFETY: the extent is private pages of its own, and the caller has them to itself. Writable pages are not executable.
        unsafe { extent.protect(Protection::ReadWrite) }?;
        if extent.is_code() {
            // SAFETY: the pages are writable now, and the caller has them to itself.
            unsafe { self.fill(extent) }?;
        }
        Ok(())
    }
}
