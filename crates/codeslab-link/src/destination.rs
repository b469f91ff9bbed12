//! Where an image is written: memory with addresses, laid out as planned.
//!
//! `apply` writes to it and asks it where everything will be. It is an allocation in flight; unit tests have memory of their own, which lies
//! wherever a test wants it.

use codeslab::{Address, InFlightAllocation, Layout, Protection, Section, SectionId, Window};

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

/// An allocation in flight, which knows of code, constants and data as wholes, with the sections that the plan has in them.
#[derive(Debug)]
pub(crate) struct InFlight<'p> {
    layout: &'p Layout,
    starts: [Option<Address>; 3],
    block: Window,
    segments: [&'p mut [u8]; 3],
}

impl<'p> InFlight<'p> {
    /// Of an allocation that has the segments of `layout`.
    pub(crate) fn of(allocation: &'p mut InFlightAllocation, layout: &'p Layout) -> Self {
        Self {
            layout,
            starts: Protection::ALL.map(|protection| allocation.segment_address(protection)),
            block: allocation.block(),
            segments: allocation.segments_mut(),
        }
    }

    /// Writes what traps, or at least is nothing of another image, where no section is.
    pub(crate) fn fill_gaps(&mut self, pattern: [u8; 4]) {
        let mut ends = [0; 3];
        let mut fill = |protection: Protection, from: u64, to: u64| {
            let gap = &mut self.segments[index(protection)][from as usize..to as usize];
            for (byte, at) in gap.iter_mut().zip(from..) {
                *byte = pattern[(at % 4) as usize];
            }
        };
        // Data begins as zeros.
        let staged = |section: &Section| section.protection != Protection::ReadWrite;
        for section in self.layout.sections().filter(staged) {
            let end = &mut ends[index(section.protection)];
            fill(section.protection, *end, section.offset);
            *end = section.offset + section.size;
        }
    }
}

/// Its place in [`Protection::ALL`].
const fn index(protection: Protection) -> usize {
    match protection {
        Protection::ReadExecute => 0,
        Protection::ReadOnly => 1,
        Protection::ReadWrite => 2,
    }
}

impl Destination for InFlight<'_> {
    #[inline]
    fn address(&self, id: SectionId) -> Address {
        let section = self.layout.section(id);
        let start = self.starts[index(section.protection)];
        Address::new(start.unwrap_or_default().value() + section.offset)
    }

    fn segment_address(&self, protection: Protection) -> Option<Address> {
        self.starts[index(protection)]
    }

    fn block(&self) -> Window {
        self.block
    }

    #[inline]
    fn bytes_mut(&mut self, id: SectionId) -> &mut [u8] {
        let section = self.layout.section(id);
        let segment = &mut self.segments[index(section.protection)];
        if section.size == 0 {
            return &mut [];
        }
        &mut segment[section.offset as usize..][..section.size as usize]
    }
}

/// The entry or stub at `offset`, which the plan keeps inside the table.
pub(crate) fn part(table: &mut [u8], offset: u64, size: u64) -> &mut [u8] {
    &mut table[offset as usize..][..size as usize]
}
