//! The memory manager.

use crate::address::{Address, Window};
use crate::allocation::InFlightAllocation;
use crate::error::Result;
use crate::layout::Layout;
use crate::options::Options;
use crate::stats::{Capabilities, Configuration, Picture, Stats};

/// A manager of code memory. Clones share it; it may be used from any thread.
#[derive(Clone, Debug)]
pub struct CodeMemory {}

/// What is asked of a [`CodeMemory`]: bytes, and the windows in which all of them have to lie.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) windows: &'a [Window],
}

impl<'a> Request<'a> {
    /// A request for `layout`, anywhere within reach of itself.
    #[must_use]
    pub const fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            windows: &[],
        }
    }

    /// The same, and every byte of it must lie in each of `windows`.
    #[must_use]
    pub const fn within(self, windows: &'a [Window]) -> Self {
        Self { windows, ..self }
    }
}

impl CodeMemory {
    /// Opens a memory. Nothing is reserved before the first allocation.
    ///
    /// # Errors
    /// option errors, `WriterUnavailable`, `UnsupportedPlatform`.
    pub fn new(_options: Options) -> Result<Self> {
        unimplemented!()
    }
    /// What it was opened with.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        unimplemented!()
    }
    /// Places a request: all of its segments in one block, or nothing.
    ///
    /// # Errors
    /// see `Error`
    pub fn allocate(&self, _request: &Request<'_>) -> Result<InFlightAllocation> {
        unimplemented!()
    }
    /// What it holds now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
    /// A picture of its blocks, slabs and spans.
    #[must_use]
    pub fn picture(&self) -> Picture {
        unimplemented!()
    }
}

/// What this process can do, with the reason for everything that it cannot.
///
/// # Errors
/// `UnsupportedPlatform`
pub fn capabilities() -> Result<Capabilities> {
    unimplemented!()
}

/// The address of a symbol that the process itself provides: its executable and the libraries it has loaded (`dlsym`).
#[must_use]
pub fn process_symbol(_name: &str) -> Option<Address> {
    unimplemented!()
}
