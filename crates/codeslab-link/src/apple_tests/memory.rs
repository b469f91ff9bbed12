//! Memory for an image in which each section lies where another linker has put it.

use crate::destination::Destination;
use codeslab::{Address, Layout, Protection, SectionId, Window};

/// Where what no test places lies: entries and stubs, each apart from the next.
const REST: u64 = 0x1_4000_0000;
const APART: u64 = 0x1_0000;

/// The memory.
pub(super) struct Placed {
    sections: Vec<(u64, Vec<u8>)>,
}

impl Placed {
    pub(super) fn new(layout: &Layout) -> Self {
        // What was there before.
        let garbage = |section: codeslab::Section| vec![0xa5; section.size as usize];
        let sections = layout.sections().map(garbage);
        let starts = (0..).map(|number| REST + number * APART);
        Self {
            sections: starts.zip(sections).collect(),
        }
    }

    /// Puts a section somewhere.
    pub(super) fn place(&mut self, id: SectionId, address: u64) {
        self.sections[id.index()].0 = address;
    }

    pub(super) fn content(&self, id: SectionId) -> (u64, &[u8]) {
        let (address, bytes) = &self.sections[id.index()];
        (*address, bytes)
    }

    pub(super) fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let found = self.sections.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get(offset..)?.first_chunk().copied()
        });
        found.unwrap_or_else(|| panic!("nothing lies at {at:#x}"))
    }
}

impl Destination for Placed {
    fn address(&self, id: SectionId) -> Address {
        Address::new(self.sections[id.index()].0)
    }

    fn segment_address(&self, _protection: Protection) -> Option<Address> {
        None
    }

    fn block(&self) -> Window {
        Window::ANYWHERE
    }

    fn bytes_mut(&mut self, id: SectionId) -> &mut [u8] {
        &mut self.sections[id.index()].1
    }
}
