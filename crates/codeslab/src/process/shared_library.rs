//! Shared libraries that a linker binds code to, besides those that the process has anyway (`process_symbol`). The linker holds one for every
//! image that was linked against it, so its code and data stay where the image expects them.

use crate::model::address::Address;
use crate::model::error::{Error, Result};
use crate::sys::{self, OpenLibrary};
use std::ffi::CString;

/// A shared library that is open in this process. Dropping the last one of a library closes it.
///
/// ```
/// # use codeslab::SharedLibrary;
/// # #[cfg(target_os = "linux")] {
/// let math = SharedLibrary::open("libm.so.6")?;
/// let cosine = math.symbol("cos").expect("it has one");
/// # }
/// # Ok::<(), codeslab::Error>(())
/// ```
#[derive(Debug)]
pub struct SharedLibrary {
    name: String,
    library: Box<dyn OpenLibrary>,
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
        let library = sys::current()?.open_library(&path).map_err(unavailable)?;
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
