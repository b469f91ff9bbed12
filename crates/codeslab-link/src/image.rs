//! What linking yields: an image, which is symbols with addresses and the memory that they lie in.
//!
//! `link` makes it when nothing of it changes any more. It owns its allocation, so its addresses are good while it lives; the inputs that
//! it was made of may be gone. Names are sorted once, and looked up by halving: images are asked for a few symbols, and linked often.

use codeslab::{Address, Allocation, Protection};
use codeslab_runtime::ThreadLocals;
use std::sync::Arc;

/// A symbol of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ImageSymbol {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Its size in bytes, 0 where the object does not say.
    pub size: u64,
    /// What it lies in; `None` for an absolute symbol.
    pub protection: Option<Protection>,
    /// The object that defines it.
    pub object: Arc<str>,
}

/// What linking yields: symbols with addresses, owning their memory. Dropping it frees the memory.
#[derive(Debug)]
pub struct Image {
    // Invariant: ascending by name, each name once.
    symbols: Vec<ImageSymbol>,
    // Held for its drop: threads have copies of the image's variables until then.
    thread_locals: Option<ThreadLocals>,
    allocation: Allocation,
}

impl Image {
    pub(crate) fn new(
        mut symbols: Vec<ImageSymbol>,
        thread_locals: Option<ThreadLocals>,
        allocation: Allocation,
    ) -> Self {
        symbols.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Self {
            symbols,
            thread_locals,
            allocation,
        }
    }

    /// Global and weak definitions, by name.
    #[must_use]
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = &ImageSymbol> {
        self.symbols.iter()
    }

    /// One of them.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&ImageSymbol> {
        let by_name = |symbol: &ImageSymbol| symbol.name.as_str().cmp(name);
        let index = self.symbols.binary_search_by(by_name).ok()?;
        self.symbols.get(index)
    }

    /// The address of a symbol.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<Address> {
        self.symbol(name).map(|symbol| symbol.address)
    }

    /// The memory that it owns.
    #[must_use]
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// Gives the memory back. Nothing may execute it or refer to it any more.
    pub fn free(self) {
        drop(self.thread_locals);
        self.allocation.free();
    }
}
