//! Memory for an image that lies wherever a test wants it, so that references can be too far apart.

use crate::destination::Destination;
use codeslab::Protection::{self, ReadExecute, ReadOnly, ReadWrite};
use codeslab::{Address, Layout, SectionId, Window};

/// Memory whose segments lie where they are told to.
pub(super) struct Scattered {
    layout: Layout,
    starts: [u64; 3],
    sections: Vec<Vec<u8>>,
}

impl Scattered {
    pub(super) fn new(layout: &Layout, starts: [u64; 3]) -> Self {
        // What was there before.
        let garbage = |section: codeslab::Section| vec![0xa5; section.size as usize];
        Self {
            layout: layout.clone(),
            starts,
            sections: layout.sections().map(garbage).collect(),
        }
    }

    fn start(&self, protection: Protection) -> u64 {
        match protection {
            ReadExecute => self.starts[0],
            ReadOnly => self.starts[1],
            ReadWrite => self.starts[2],
        }
    }

    pub(super) fn read<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        self.layout
            .sections()
            .zip(&self.sections)
            .find_map(|(section, bytes)| {
                let start = self.start(section.protection) + section.offset;
                let offset = usize::try_from(at.checked_sub(start)?).ok()?;
                bytes.get(offset..offset + N)?.try_into().ok()
            })
    }
}

impl Destination for Scattered {
    fn address(&self, id: SectionId) -> Address {
        let section = self.layout.section(id);
        Address::new(self.start(section.protection) + section.offset)
    }

    fn segment_address(&self, protection: Protection) -> Option<Address> {
        let is_there = self.layout.segment(protection).size > 0;
        is_there.then(|| Address::new(self.start(protection)))
    }

    fn block(&self) -> Window {
        let start = self.starts.into_iter().min().unwrap_or_default();
        Window::new(Address::new(start), Address::new(u64::MAX)).expect("no end lies higher")
    }

    fn bytes_mut(&mut self, id: SectionId) -> &mut [u8] {
        &mut self.sections[id.index()]
    }
}
