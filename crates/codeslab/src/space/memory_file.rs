//! Memory files, and which reservation has which part of one.

use crate::model::error::Refusal;
use crate::sys::{MemoryFile, Platform};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A memory file of which reservations have parts. It is closed with the last of them.
#[derive(Debug)]
pub(crate) struct SharedFile {
    file: Box<dyn MemoryFile>,
    size: u64,
    // Bytes that a reservation has, or had: they are not given out again, since nothing is lost but numbers.
    taken: AtomicU64,
}

impl SharedFile {
    /// A file of `size` bytes, the first `taken` of which a reservation has. What it holds is overwritten where it is mapped.
    pub(crate) fn new(file: Box<dyn MemoryFile>, size: u64, taken: u64) -> Self {
        let taken = AtomicU64::new(taken);
        Self { file, size, taken }
    }

    /// The offset of `size` bytes that no reservation has, if there are so many left.
    fn take(&self, size: u64) -> Option<u64> {
        let end = |taken: u64| taken.checked_add(size).filter(|end| *end <= self.size);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, end).ok()
    }
}

/// Part of a memory file.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(super) file: Arc<SharedFile>,
    offset: u64,
}

impl FilePart {
    /// All of a file of `size` bytes that no other reservation gets a part of.
    pub(crate) fn alone(platform: &Arc<dyn Platform>, size: u64) -> Result<Self, Refusal> {
        Ok(Self::first(platform.create_file(size)?, size, size))
    }

    /// The first `taken` bytes of a file.
    fn first(file: Box<dyn MemoryFile>, size: u64, taken: u64) -> Self {
        let file = Arc::new(SharedFile::new(file, size, taken));
        Self { file, offset: 0 }
    }

    /// The file, and where in it the byte at `offset` of the part is.
    pub(crate) fn at(&self, offset: u64) -> (&dyn MemoryFile, u64) {
        (&*self.file.file, self.offset + offset)
    }

    /// `size` bytes of `file`, or of a new one that others may have parts of, unless the system does not like it so large.
    pub(crate) fn new(
        platform: &Arc<dyn Platform>,
        size: u64,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        if let Some((file, offset)) = file.and_then(|file| Some((file, file.take(size)?))) {
            let file = Arc::clone(file);
            return Ok(Self { file, offset });
        }
        let large = platform.facts().file_bytes;
        if large > size
            && let Ok(file) = platform.create_file(large)
        {
            return Ok(Self::first(file, large, size));
        }
        Self::alone(platform, size)
    }
}
