//! Calls that write to the memory file behind the executable view. The process has no writable view of its code at all: the
//! hardened choice. Bytes are staged until they are published.

use super::CodeWriter;
use super::extent::Extent;
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct FileWrite;

impl CodeWriter for FileWrite {
    fn memory(&self, sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::File(sealing)
    }

    unsafe fn publish(&self, extent: Extent<'_>, staged: Option<&[u8]>) -> Result<(), Refusal> {
        // SAFETY: there is a file, the caller has the extent to itself, and no more is staged than it is long.
        unsafe { extent.write_file(staged.unwrap_or_default()) }
    }
}
