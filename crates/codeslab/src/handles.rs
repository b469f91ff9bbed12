//! Allocations by number, for embedders that cannot hold values: another language, or generated code.

use crate::allocation::Allocation;
use crate::error::{Error, Result};
use slotmap::{Key, KeyData, SlotMap, new_key_type};
use std::sync::{Mutex, MutexGuard, PoisonError};

new_key_type! {
    /// Names an allocation that a [`CodeMemory`](crate::CodeMemory) keeps: see [`CodeMemory::keep`](crate::CodeMemory::keep). It carries
    /// a generation, so that one that is freed is never taken for another that came after it.
    pub struct Handle;
}

impl Handle {
    /// A number that says the same.
    #[must_use]
    pub fn value(self) -> u64 {
        self.data().as_ffi()
    }

    /// The handle with this number. Any number may be given; what it stands for is checked when it is used.
    #[must_use]
    pub fn from_value(value: u64) -> Self {
        KeyData::from_ffi(value).into()
    }
}

/// The allocations that a memory keeps.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    kept: Mutex<SlotMap<Handle, Allocation>>,
}

impl Handles {
    fn lock(&self) -> MutexGuard<'_, SlotMap<Handle, Allocation>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep(&self, allocation: Allocation) -> Handle {
        self.lock().insert(allocation)
    }

    /// Takes an allocation out, under no lock afterwards.
    pub(crate) fn take(&self, handle: Handle) -> Result<Allocation> {
        self.lock().remove(handle).ok_or(Error::StaleHandle)
    }

    /// Looks at an allocation.
    pub(crate) fn with<R>(&self, handle: Handle, look: impl FnOnce(&Allocation) -> R) -> Result<R> {
        self.lock().get(handle).map(look).ok_or(Error::StaleHandle)
    }
}
