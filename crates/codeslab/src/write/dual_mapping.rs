//! Two views of one memory file: an executable one in the block, and a writable one far away. What is stored through one is fetched
//! through the other, so publishing asks nothing of the system, or for constants little.
//!
//! The hardened kind copies what is published from where it was staged, through a view that shows code only; constants are written past it,
//! so that no address exists at which they can be changed. The other kind is written in its place, through a view of all.

use super::extent::Extent;
use super::{CodeWriter, WriteTarget};
use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct DualMapping {
    pub(super) is_hardened: bool,
}

impl CodeWriter for DualMapping {
    fn memory(&self, sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::File(sealing)
    }

    fn target(&self, _slab: Protection) -> WriteTarget {
        if self.is_hardened {
            WriteTarget::Staged
        } else {
            WriteTarget::View
        }
    }

    fn is_in_view(&self, slab: Protection) -> bool {
        slab == Protection::ReadExecute || !self.is_hardened
    }

    unsafe fn publish(&self, extent: Extent<'_>, staged: Option<&[u8]>) -> Result<(), Refusal> {
        match staged {
            // It was written through the view.
            None => Ok(()),
            // SAFETY: the view shows code. It was opened when the extent was carved, and is not closed while anything is in flight; the
            // caller has the extent to itself, and no more is staged than it is long.
            Some(bytes) if extent.is_code() => unsafe { extent.write_view(bytes) },
            // SAFETY: there is a file, the caller has the extent to itself, and no more is staged than it is long.
            Some(bytes) => unsafe { extent.write_file(bytes) },
        }
    }
}
