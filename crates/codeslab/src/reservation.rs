//! Address space that this process owns, and the memory file behind it.

use crate::address::{Address, Window};
use crate::error::Refusal;
use crate::sys::{MemoryFile, Platform};
use std::sync::Arc;

/// How address space is backed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backing {
    /// By a memory file as large as the reservation; sparse, so it costs what is written.
    File,
    /// By private memory.
    Private,
}

/// Owned address space without access.
#[derive(Debug)]
pub(crate) struct Reservation {
    platform: Arc<dyn Platform>,
    // Invariant: reserved from `platform` as one, and released as one.
    range: Window,
    size: u64,
    file: Option<MemoryFile>,
}

impl Reservation {
    /// Reserves exactly these bytes.
    pub(crate) fn at(
        platform: &Arc<dyn Platform>,
        at: Address,
        size: u64,
        backing: Backing,
    ) -> Result<Self, Refusal> {
        Self::build(platform, size, backing, || {
            platform.reserve_at(at, size).map(|()| at)
        })
    }

    /// Reserves wherever the system likes, at a multiple of `align`.
    pub(crate) fn anywhere(
        platform: &Arc<dyn Platform>,
        size: u64,
        align: u64,
        backing: Backing,
    ) -> Result<Self, Refusal> {
        Self::build(platform, size, backing, || platform.reserve(size, align))
    }

    fn build(
        platform: &Arc<dyn Platform>,
        size: u64,
        backing: Backing,
        reserve: impl FnOnce() -> Result<Address, Refusal>,
    ) -> Result<Self, Refusal> {
        let at = reserve()?;
        let range = Window::of_range(at, size).expect("a reservation lies in the address space");
        // From here on, dropping `reservation` gives the address space back.
        let mut reservation = Self {
            platform: Arc::clone(platform),
            range,
            size,
            file: None,
        };
        if backing == Backing::File {
            reservation.file = Some(platform.create_file(size)?);
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

    pub(crate) const fn file(&self) -> Option<MemoryFile> {
        self.file
    }
}

impl Drop for Reservation {
    #[allow(unsafe_code, reason = "owners are where raw ranges stop")]
    fn drop(&mut self) {
        // SAFETY: the range was reserved as one. Blocks in it hold this reservation, so there are none.
        // A refusal leaves it reserved, which harms nobody.
        let _ = unsafe { self.platform.release(self.address(), self.size) };
        if let Some(file) = self.file {
            self.platform.close_file(file);
        }
    }
}
