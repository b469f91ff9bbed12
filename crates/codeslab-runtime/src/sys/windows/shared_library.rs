//! Shared libraries, through the system's loader.
//!
//! <https://learn.microsoft.com/en-us/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryw>
#![allow(unsafe_code)] // It calls the loader.

use codeslab::Address;
use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use windows_sys::Win32::Foundation::FreeLibrary;
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};

/// A handle of the loader's, which counts how often a library was opened.
#[derive(Debug)]
pub(crate) struct Library {
    // Invariant: what `LoadLibraryW` gave and `FreeLibrary` has not taken back.
    handle: NonNull<c_void>,
}

// SAFETY: the loader locks; its handles belong to no thread.
unsafe impl Send for Library {}
// SAFETY: the loader locks, and looking a symbol up changes nothing that a caller sees.
unsafe impl Sync for Library {}

impl Library {
    pub(crate) fn open(path: &CStr) -> Result<Self, String> {
        let name = path.to_string_lossy();
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        // SAFETY: the path ends with a zero. The library's entry point runs: that it is sound is as much as is asked of any code
        // that an embedder has linked, called, or loaded.
        let handle = unsafe { LoadLibraryW(wide.as_ptr()) };
        let refused = || format!("{name}: {}", std::io::Error::last_os_error());
        let handle = NonNull::new(handle).ok_or_else(refused)?;
        Ok(Self { handle })
    }

    pub(crate) fn symbol(&self, name: &CStr) -> Option<Address> {
        // SAFETY: the name is a C string, and the handle is open (invariant).
        let found = unsafe { GetProcAddress(self.handle.as_ptr(), name.as_ptr().cast()) };
        found.map(|function| Address::new(function as *const () as u64))
    }

    /// Libraries have no versions of symbols here.
    pub(crate) fn symbol_version(&self, name: &CStr, _version: &CStr) -> Option<Address> {
        self.symbol(name)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle is open (invariant), and nothing uses it after this.
        unsafe { FreeLibrary(self.handle.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_defines_is_found_in_it_and_what_is_no_library_is_not_opened() {
        let library = Library::open(c"kernel32.dll").expect("every process has it");
        assert!(library.symbol(c"VirtualQuery").is_some());
        assert_eq!(library.symbol(c"codeslab has no such symbol"), None);
        let reason = Library::open(c"no such library.dll").expect_err("there is none");
        assert!(reason.contains("no such library.dll"), "{reason}");
    }
}
