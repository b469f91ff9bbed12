//! Where an image is written: memory with addresses, laid out as planned.
//!
//! `apply` writes to it and asks it where everything will be. It is an allocation in flight; unit tests have memory of their own, which lies
//! wherever a test wants it.

use codeslab::{Address, InFlightAllocation, Protection, SectionId, Window};

/// Memory for an image, laid out as planned.
pub(crate) trait Destination {
    /// Where a section will run, or be read.
    fn address(&self, id: SectionId) -> Address;

    /// Where the sections of a protection begin, if there are any.
    fn segment_address(&self, protection: Protection) -> Option<Address>;

    /// The address space that all of it lies in. Image-relative addresses count from its start.
    fn block(&self) -> Window;

    /// Where a section is written.
    fn bytes_mut(&mut self, id: SectionId) -> &mut [u8];
}

impl Destination for InFlightAllocation {
    fn address(&self, id: SectionId) -> Address {
        self.address(id)
    }

    fn segment_address(&self, protection: Protection) -> Option<Address> {
        self.segment_address(protection)
    }

    fn block(&self) -> Window {
        self.block()
    }

    fn bytes_mut(&mut self, id: SectionId) -> &mut [u8] {
        self.bytes_mut(id)
    }
}

/// The entry or stub at `offset`, which the plan keeps inside the table.
pub(crate) fn part(table: &mut [u8], offset: u64, size: u64) -> &mut [u8] {
    &mut table[offset as usize..][..size as usize]
}
