//! Private pages that no thread may write to, but for one that publishes, which has the right for the time of a copy: by a protection key
//! (`pkeys`), or by a switch that each thread has (`map-jit`). Bytes are staged until then. Threads that are older than a key could not
//! read constants under it, so these have pages without one, written in their place as [`super::protect`] does.

use super::extent::Extent;
use super::protect::Protect;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::protection::Protection;

#[derive(Debug)]
pub(super) struct Keyed;

impl CodeWriter for Keyed {
    fn target(&self, slab: Protection) -> WriteTarget {
        match slab {
            Protection::ReadExecute => WriteTarget::Staged,
            _ => WriteTarget::InPlace,
        }
    }

    unsafe fn commit(&self, pages: Extent<'_>) -> Result<(), Refusal> {
        if !pages.is_code() {
            // SAFETY: the caller says that the pages are not mapped.
            return unsafe { Protect.commit(pages) };
        }
        let platform = pages.backing.platform();
        // SAFETY: the caller says that the pages are the block's, whose range is reserved, and not mapped.
        unsafe { platform.map_keyed(pages.at(), pages.span.size) }?;
        // A system that refuses this refuses to publish as well, and that is where it is told.
        // SAFETY: the pages are new, and under the key.
        let _ = unsafe { self.fill(pages) };
        Ok(())
    }

    unsafe fn write(&self, code: Extent<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        let platform = code.backing.platform();
        // SAFETY: code of this writer is under the key, the caller has the extent to itself, and the bytes lie elsewhere.
        unsafe { platform.write_keyed(code.at(), bytes) }
    }

    unsafe fn publish(&self, extent: Extent<'_>, staged: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(bytes) = staged else {
            // SAFETY: what is not staged are constants, which have pages of their own that the caller has to itself.
            return unsafe { Protect.publish(extent, None) };
        };
        // SAFETY: what is staged is code, the caller has the extent to itself, and staged bytes lie in a buffer.
        unsafe { self.write(extent, bytes) }
    }

    unsafe fn retract(&self, extent: Extent<'_>) -> Result<(), Refusal> {
        if extent.is_code() {
            // SAFETY: the extent is committed code of the block, and the caller has it to itself.
            return unsafe { self.fill(extent) };
        }
        // SAFETY: constants have pages of their own, which the caller has to itself.
        unsafe { Protect.retract(extent) }
    }
}
