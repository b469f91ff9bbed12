//! The process that images are started in: what its addresses and symbols are, and shared libraries that an image is bound to besides those
//! that the process has anyway (`codeslab::process_symbol`). The linker holds one for every image that was linked against it, so its code and
//! data stay where the image expects them.

use crate::symbol::{ProcessLocation, ProcessSymbolKind};
use crate::sys::{self, Library};
use codeslab::{Address, Error, Result};
use std::ffi::CString;

/// A shared library that is open in this process. Dropping the last one of a library closes it.
///
/// ```
/// # use codeslab_runtime::SharedLibrary;
/// # #[cfg(target_os = "linux")] {
/// let math = SharedLibrary::open("libm.so.6")?;
/// let cosine = math.symbol("cos").expect("it has one");
/// # }
/// # Ok::<(), codeslab::Error>(())
/// ```
#[derive(Debug)]
pub struct SharedLibrary {
    name: String,
    library: Library,
}

impl SharedLibrary {
    /// Opens a library by its path, or by the name under which the dynamic linker finds it. Its initialisers run, as those of any code
    /// that is linked do.
    ///
    /// # Errors
    /// [`Error::LibraryUnavailable`] with what the dynamic linker says.
    pub fn open(name: &str) -> Result<Self> {
        let unavailable = |reason: String| Error::LibraryUnavailable {
            library: name.to_owned(),
            reason,
        };
        let path = CString::new(name)
            .map_err(|_| unavailable("no file has a name with a null character".to_owned()))?;
        let library = Library::open(&path).map_err(unavailable)?;
        Ok(Self {
            name: name.to_owned(),
            library,
        })
    }

    /// What it was opened as.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of a symbol that it, or a library that it needs, defines.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<Address> {
        self.library.symbol(&CString::new(name).ok()?)
    }

    /// The same for one version of a symbol.
    #[must_use]
    pub fn symbol_version(&self, name: &str, version: &str) -> Option<Address> {
        let (name, version) = (CString::new(name).ok()?, CString::new(version).ok()?);
        self.library.symbol_version(&name, &version)
    }
}

/// The executable or library of the process that an address lies in, and the symbol there, as far as others can see it: for addresses that
/// are in no code memory. `None` where it lies in neither.
///
/// ```
/// let at = codeslab::process_symbol("getpid");
/// let found = at.and_then(codeslab_runtime::process_location);
/// assert!(found.is_none_or(|found| found.name.is_some_and(|name| name.contains("getpid"))));
/// ```
#[must_use]
pub fn process_location(at: Address) -> Option<ProcessLocation> {
    sys::location(at)
}

/// What each of these symbols of the process is, by name and address as [`codeslab::process_symbol`] gives it.
///
/// A linker asks before it lets a stub or a copy stand for a symbol: a stub's bytes in place of data would be read without complaint, and
/// a copy of a variable keeps its first value. Every doubt is answered with [`ProcessSymbolKind::Unknown`], as are constants where the
/// system does not tell them from variables. The answer may take a few milliseconds, because files are read for it.
#[must_use]
pub fn process_symbol_kinds(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    sys::kinds_of(symbols)
}
