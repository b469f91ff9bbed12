//! What is loaded already and that a link can bind to: symbols with addresses, and something that keeps them where they are.
//!
//! Images that were linked before and shared libraries are bound to in the same way; an embedder can add its own kind. `resolve` asks among
//! the libraries of a link, and the image that comes of it holds what it uses.

use crate::graph::Visibility;
use codeslab::{Address, Protection};
use codeslab_runtime::SharedLibrary;
use std::fmt;
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
    /// How far it can be seen: other images do not bind to what is hidden.
    pub visibility: Visibility,
}

/// Something that is loaded: `Arc<Image>` or `Arc<SharedLibrary>`.
pub trait Exports: fmt::Debug {
    /// Where a symbol is that others may bind to.
    fn address(&self, name: &str) -> Option<Address>;

    /// The same for one version of a symbol; without versions, of the symbol itself.
    fn version_address(&self, name: &str, _version: &str) -> Option<Address> {
        self.address(name)
    }

    /// The name by which the dynamic linker knows it, if it has a thread-local variable of this name.
    fn thread_local(&self, _name: &str) -> Option<&str> {
        None
    }

    /// Whether an exception may leave its functions, whatever they are called. (Names tell of those of C++.)
    fn may_unwind(&self) -> bool {
        true
    }

    /// Something with which all of it stays where it is, until it is dropped.
    fn keep(&self) -> Box<dyn Keep>;
}

pub use codeslab_runtime::Keep;

impl Exports for Arc<SharedLibrary> {
    fn address(&self, name: &str) -> Option<Address> {
        self.symbol(name).map(|found| or_provided(name, found))
    }

    fn version_address(&self, name: &str, version: &str) -> Option<Address> {
        let found = self.symbol_version(name, version)?;
        Some(or_provided(name, found))
    }

    fn thread_local(&self, name: &str) -> Option<&str> {
        // Where a variable lies in this thread says that there is one.
        self.symbol(name).map(|_| self.name())
    }

    fn may_unwind(&self) -> bool {
        false
    }

    fn keep(&self) -> Box<dyn Keep> {
        Box::new(self.clone())
    }
}

/// What a shared library has by its name, which may be what the C library that it depends on has. By these names that takes an image for a part
/// of the program, so images get what the runtime provides in its place.
fn or_provided(name: &str, found: Address) -> Address {
    codeslab_runtime::provided(name).unwrap_or(found)
}
