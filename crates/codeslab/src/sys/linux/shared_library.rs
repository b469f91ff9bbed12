//! Shared libraries, through the C library's dynamic linker.
//!
//! Sources: `dlopen(3)`, `dlsym(3)`.

use super::process;
use crate::model::address::Address;
use crate::sys::OpenLibrary;
use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// A handle of the dynamic linker's, which counts how often a library was opened.
#[derive(Debug)]
pub(super) struct Library {
    // Invariant: what `dlopen` gave and `dlclose` has not taken back.
    handle: NonNull<c_void>,
}

// SAFETY: the dynamic linker locks; its handles belong to no thread.
unsafe impl Send for Library {}
// SAFETY: as above; looking a symbol up changes nothing that a caller sees.
unsafe impl Sync for Library {}

impl Library {
    /// dlopen. What is missing is found now, and the library's names are not offered to other libraries.
    /// <https://man7.org/linux/man-pages/man3/dlopen.3.html>
    pub(super) fn open(path: &CStr) -> Result<Self, String> {
        // SAFETY: the path is a C string. The library's initialisers run: that they are sound is as much as is asked of any code
        // that an embedder has linked, called, or loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { handle }),
            None => Err(complaint()),
        }
    }
}

impl OpenLibrary for Library {
    fn symbol(&self, name: &CStr) -> Option<Address> {
        // SAFETY: the name is a C string, and the handle is open (invariant).
        let found = unsafe { libc::dlsym(self.handle.as_ptr(), name.as_ptr()) };
        (!found.is_null()).then(|| Address::new(found as u64))
    }

    fn symbol_version(&self, name: &CStr, version: &CStr) -> Option<Address> {
        let Some(dlvsym) = process::dlvsym() else {
            return self.symbol(name);
        };
        // SAFETY: both are C strings, and the handle is open (invariant).
        let found = unsafe { dlvsym(self.handle.as_ptr(), name.as_ptr(), version.as_ptr()) };
        (!found.is_null()).then(|| Address::new(found as u64))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle is open (invariant), and nothing uses it after this.
        unsafe { libc::dlclose(self.handle.as_ptr()) };
    }
}

/// dlerror: what the dynamic linker says of the call before, in this thread.
fn complaint() -> String {
    // SAFETY: it may be called at any time.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the dynamic linker does not say why".to_owned();
    }
    // SAFETY: what is not null is a C string, which stays until this thread calls the dynamic linker again.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_defines_is_found_in_it_and_what_is_no_library_is_not_opened() {
        let path = c"libm.so.6";
        let Ok(library) = Library::open(path) else {
            // Another C library keeps these functions in itself.
            return;
        };
        assert!(library.symbol(c"cos").is_some());
        assert_eq!(library.symbol(c"codeslab has no such symbol"), None);
        let reason = Library::open(c"/no/such/library").expect_err("there is none");
        assert!(reason.contains("/no/such/library"), "{reason}");
    }
}
