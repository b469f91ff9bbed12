//! Writes to the process's own memory through `/proc/self/mem`, past the rights of its pages. Bytes are staged until they are
//! published. Kernels are closing this way, so it is tried late.

use super::CodeWriter;
use super::extent::Extent;
use crate::model::error::Refusal;

#[derive(Debug)]
pub(super) struct SelfMem;

impl CodeWriter for SelfMem {
    unsafe fn commit(&self, pages: Extent<'_>) -> Result<(), Refusal> {
        // SAFETY: the caller says that the pages are not mapped.
        unsafe { pages.map_private(pages.slab) }?;
        if pages.is_code() {
            // A system that refuses this refuses to publish as well, and that is where it is told.
            // SAFETY: the pages are new private memory.
            let _ = unsafe { self.fill(pages) };
        }
        Ok(())
    }

    unsafe fn write(&self, extent: Extent<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        let platform = extent.backing.platform();
        // SAFETY: the extent is committed private memory of the block, the caller has it to itself, and the bytes lie elsewhere.
        unsafe { platform.write_self(extent.at(), bytes) }
    }
}
