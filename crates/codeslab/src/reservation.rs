//! Address space that this process owns, and the memory file behind it.

use crate::address::{Address, Window};
use crate::error::Refusal;
use crate::sys::{MemoryFile, Platform};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How address space is backed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backing {
    /// By part of a memory file; sparse, so it costs what is written.
    File,
    /// By private memory.
    Private,
}

/// A memory file of which reservations have parts. It is closed with the last of them.
#[derive(Debug)]
pub(crate) struct SharedFile {
    platform: Arc<dyn Platform>,
    file: MemoryFile,
    size: u64,
    // Bytes that are somebody's, or were: they are not given out again, since nothing is lost but numbers.
    taken: AtomicU64,
}

impl SharedFile {
    /// Makes a file of at least `size` bytes; no larger if the system does not like that.
    fn new(platform: &Arc<dyn Platform>, size: u64) -> Result<Self, Refusal> {
        let large = platform.facts().file_bytes.max(size);
        let created = match platform.create_file(large) {
            Err(_) if large > size => platform.create_file(size).map(|file| (file, size)),
            created => created.map(|file| (file, large)),
        };
        let (file, size) = created?;
        Ok(Self {
            platform: Arc::clone(platform),
            file,
            size,
            taken: AtomicU64::new(0),
        })
    }

    /// The offset of `size` bytes that nobody else has, if there are so many left.
    fn take(&self, size: u64) -> Option<u64> {
        let end = |taken: u64| taken.checked_add(size).filter(|end| *end <= self.size);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, end).ok()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        self.platform.close_file(self.file);
    }
}

/// Part of a memory file.
#[derive(Debug)]
struct FilePart {
    file: Arc<SharedFile>,
    offset: u64,
}

impl FilePart {
    /// `size` bytes of `file`, or of a new one.
    fn new(
        platform: &Arc<dyn Platform>,
        size: u64,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        if let Some((file, offset)) = file.and_then(|file| Some((file, file.take(size)?))) {
            let file = Arc::clone(file);
            return Ok(Self { file, offset });
        }
        let file = Arc::new(SharedFile::new(platform, size)?);
        let offset = file.take(size).unwrap_or_default();
        Ok(Self { file, offset })
    }
}

/// Owned address space without access.
#[derive(Debug)]
pub(crate) struct Reservation {
    platform: Arc<dyn Platform>,
    // Invariant: reserved from `platform` as one, and released as one.
    range: Window,
    size: u64,
    part: Option<FilePart>,
}

impl Reservation {
    /// Reserves exactly these bytes. If they are backed by a file, then by `file` as long as that has enough left.
    pub(crate) fn at(
        platform: &Arc<dyn Platform>,
        at: Address,
        size: u64,
        backing: Backing,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        Self::build(platform, size, backing, file, || {
            platform.reserve_at(at, size).map(|()| at)
        })
    }

    /// Reserves wherever the system likes, at a multiple of `align`.
    pub(crate) fn anywhere(
        platform: &Arc<dyn Platform>,
        size: u64,
        align: u64,
        backing: Backing,
        file: Option<&Arc<SharedFile>>,
    ) -> Result<Self, Refusal> {
        Self::build(platform, size, backing, file, || {
            platform.reserve(size, align)
        })
    }

    fn build(
        platform: &Arc<dyn Platform>,
        size: u64,
        backing: Backing,
        file: Option<&Arc<SharedFile>>,
        reserve: impl FnOnce() -> Result<Address, Refusal>,
    ) -> Result<Self, Refusal> {
        let at = reserve()?;
        let range = Window::of_range(at, size).expect("a reservation lies in the address space");
        // From here on, dropping `reservation` gives the address space back.
        let mut reservation = Self {
            platform: Arc::clone(platform),
            range,
            size,
            part: None,
        };
        if backing == Backing::File {
            reservation.part = Some(FilePart::new(platform, size, file)?);
        }
        Ok(reservation)
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.platform
    }

    pub(crate) const fn address(&self) -> Address {
        self.range.first()
    }

    pub(crate) const fn range(&self) -> Window {
        self.range
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The file behind it, and where in that the byte at `offset` is.
    pub(crate) fn file_at(&self, offset: u64) -> Option<(MemoryFile, u64)> {
        let part = self.part.as_ref()?;
        Some((part.file.file, part.offset + offset))
    }

    /// The file behind it, for others to have parts of.
    pub(crate) fn shared_file(&self) -> Option<&Arc<SharedFile>> {
        self.part.as_ref().map(|part| &part.file)
    }
}

impl Drop for Reservation {
    #[allow(unsafe_code, reason = "owners are where raw ranges stop")]
    fn drop(&mut self) {
        // SAFETY: the range was reserved as one. Blocks in it hold this reservation, so there are none.
        // A refusal leaves it reserved, which harms nobody.
        let _ = unsafe { self.platform.release(self.address(), self.size) };
    }
}
