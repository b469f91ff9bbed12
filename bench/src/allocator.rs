//! What the scenarios that are not traces need of an allocator, so that each of them is written once for codeslab and its peers.

use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request, SectionId};
use std::error::Error;

/// Places code and takes it back.
pub(crate) trait Allocator: Send + Sized {
    /// What is asked for. Made before the time is taken, as an embedder does for sizes that come again and again.
    type Request: Send;
    /// What was placed.
    type Placed: Send;

    /// A new one that holds nothing.
    fn open() -> Result<Self, Box<dyn Error>>;
    /// Asks for `size` bytes of code.
    fn request(size: usize) -> Result<Self::Request, Box<dyn Error>>;
    /// Allocates, writes `content` at the start of it, and publishes. `None` if that failed.
    fn place(&mut self, request: &Self::Request, content: &[u8]) -> Option<Self::Placed>;
    /// Where it is.
    fn address(placed: &Self::Placed) -> u64;
    /// Takes it back.
    fn free(&mut self, placed: Self::Placed);

    /// Gives back to the system what is kept for the next allocation, if it can.
    fn trim(&mut self) {}
    /// Bytes of metadata, outside of the managed memory, if it says.
    fn metadata_bytes(&self) -> Option<u64> {
        None
    }
}

/// An allocator that several threads use at once, each through a handle of its own.
pub(crate) trait SharedAllocator: Allocator {
    /// Another handle to the same one.
    fn handle(&self) -> Self;
}

impl Allocator for CodeMemory {
    type Request = (Layout, SectionId);
    type Placed = Allocation;

    fn open() -> Result<Self, Box<dyn Error>> {
        Ok(Self::new(Options::default())?)
    }

    fn request(size: usize) -> Result<Self::Request, Box<dyn Error>> {
        let mut layout = Layout::new();
        let text = layout.add(Protection::ReadExecute, size as u64, 16)?;
        Ok((layout, text))
    }

    fn place(&mut self, (layout, text): &Self::Request, content: &[u8]) -> Option<Allocation> {
        let mut in_flight = self.allocate(&Request::new(layout)).ok()?;
        if !content.is_empty() {
            in_flight.write(*text, 0, content).ok()?;
        }
        in_flight.finalize().ok()
    }

    fn address(placed: &Allocation) -> u64 {
        let code = placed.segment_address(Protection::ReadExecute);
        code.unwrap_or_default().value()
    }

    fn free(&mut self, placed: Allocation) {
        placed.free();
    }

    fn trim(&mut self) {
        CodeMemory::trim(self);
    }

    fn metadata_bytes(&self) -> Option<u64> {
        Some(self.stats().metadata_bytes)
    }
}

impl SharedAllocator for CodeMemory {
    fn handle(&self) -> Self {
        self.clone()
    }
}
