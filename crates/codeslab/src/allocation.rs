//! The two states of an allocation, as two types.

use crate::address::Address;
use crate::error::Result;
use crate::layout::{Layout, SectionId};
use crate::protection::Protection;

/// An allocation that is being written and cannot be executed yet. Its addresses are final. Dropping it abandons it.
#[derive(Debug)]
pub struct InFlightAllocation {}

impl InFlightAllocation {
    /// The layout it was made from.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        unimplemented!()
    }
    /// Where the section will run.
    ///
    /// # Panics
    /// If `section` comes from another layout.
    #[must_use]
    pub fn address(&self, _section: SectionId) -> Address {
        unimplemented!()
    }
    /// Where the segment of this protection will be.
    #[must_use]
    pub fn segment_address(&self, _protection: Protection) -> Option<Address> {
        unimplemented!()
    }
    /// The bytes of the section, to be written in place. They start out unspecified for code and constants (write all
    /// of them) and zero for data.
    pub fn bytes_mut(&mut self, _section: SectionId) -> &mut [u8] {
        unimplemented!()
    }
    /// Copies `bytes` to `offset` bytes behind the start of the section.
    ///
    /// # Errors
    /// `OutOfBounds`
    pub fn write(&mut self, _section: SectionId, _offset: u64, _bytes: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Publishes it: code becomes executable, constants read-only, instruction caches coherent.
    ///
    /// # Errors
    /// `Refused`; the allocation is abandoned then.
    pub fn finalize(self) -> Result<Allocation> {
        unimplemented!()
    }
    /// Gives it back unpublished.
    pub fn abandon(self) {
        unimplemented!()
    }
}

/// A published allocation. Dropping it frees it.
#[derive(Debug)]
pub struct Allocation {}

impl Allocation {
    /// The layout it was made from.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        unimplemented!()
    }
    /// Where the section is.
    ///
    /// # Panics
    /// If `section` comes from another layout.
    #[must_use]
    pub fn address(&self, _section: SectionId) -> Address {
        unimplemented!()
    }
    /// Where the segment of this protection is.
    #[must_use]
    pub fn segment_address(&self, _protection: Protection) -> Option<Address> {
        unimplemented!()
    }
    /// Gives it back. Nothing may execute it or refer to it any more.
    pub fn free(self) {
        unimplemented!()
    }
}
