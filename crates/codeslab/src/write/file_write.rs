//! Calls that write to the memory file behind the executable view. The process has no writable view of its code at all: the
//! hardened choice. Bytes are staged until they are published.

use super::CodeWriter;
use crate::model::options::Sealing;
use crate::space::reservation::MemoryKind;

#[derive(Debug)]
pub(super) struct FileWrite;

impl CodeWriter for FileWrite {
    fn memory(&self, sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::File(sealing)
    }
}
