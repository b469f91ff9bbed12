//! The C library's dynamic linker, which systems of the family of Unix have in common: which library an address lies in, and libraries that
//! are opened by name. Ports that have it use it; it chooses nothing.
//!
//! Sources: `dlopen(3)`, `dlsym(3)`, `dladdr(3)`.
#![allow(unsafe_code)] // It calls the C library.

use crate::symbol::ProcessLocation;
use codeslab::{Address, process_symbol};
use std::ffi::{CStr, c_char, c_void};

/// dladdr. <https://man7.org/linux/man-pages/man3/dladdr.3.html>
fn find(at: Address) -> Option<libc::Dl_info> {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let address = std::ptr::without_provenance::<c_void>(at.value() as usize);
    // SAFETY: the address is compared and not read, and there is room for what is found.
    let is_found = unsafe { libc::dladdr(address, found.as_mut_ptr()) } != 0;
    // SAFETY: zeros are a value of it, and the call may have written another one.
    let found = unsafe { found.assume_init() };
    is_found.then_some(found)
}

/// Where the executable or library begins that an address lies in.
#[cfg_attr(
    not(target_os = "macos"),
    expect(dead_code, reason = "Linux reads symbol tables")
)]
pub(in crate::sys) fn image_base(at: Address) -> Option<Address> {
    find(at).map(|found| Address::new(found.dli_fbase as u64))
}

/// The executable or library that an address lies in, and the symbol.
pub(crate) fn location(at: Address) -> Option<ProcessLocation> {
    let found = find(at)?;
    let text = |text: *const c_char| {
        if text.is_null() {
            return None;
        }
        // SAFETY: what is not null is a C string of the dynamic linker, which stays while its library is loaded.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    };
    let object = text(found.dli_fname)?;
    let name = text(found.dli_sname);
    let start = if name.is_some() {
        found.dli_saddr
    } else {
        found.dli_fbase
    };
    let start = Address::new(start as u64);
    Some(ProcessLocation {
        name,
        object,
        address: start,
    })
}

/// A handle of the dynamic linker's, which counts how often a library was opened.
#[derive(Debug)]
pub(crate) struct Library {
    // Invariant: what `dlopen` gave and `dlclose` has not taken back.
    handle: *mut c_void,
}

// SAFETY: the dynamic linker locks; its handles belong to no thread.
unsafe impl Send for Library {}
// SAFETY: as above; looking a symbol up changes nothing that a caller sees.
unsafe impl Sync for Library {}

impl Library {
    /// dlopen. What is missing is found now, and the library's names are not offered to other libraries.
    /// <https://man7.org/linux/man-pages/man3/dlopen.3.html>
    pub(crate) fn open(path: &CStr) -> Result<Self, String> {
        // SAFETY: the path is a C string. The library's initialisers run: that they are sound is as much as is asked of any code
        // that an embedder has linked, called, or loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(complaint());
        }
        Ok(Self { handle })
    }

    /// dlsym. <https://man7.org/linux/man-pages/man3/dlsym.3.html>
    pub(crate) fn symbol(&self, name: &CStr) -> Option<Address> {
        // SAFETY: the name is a C string, and the handle is open (invariant).
        let found = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        (!found.is_null()).then(|| Address::new(found as u64))
    }

    /// dlvsym; dlsym where the C library knows no versions. <https://man7.org/linux/man-pages/man3/dlvsym.3.html>
    pub(crate) fn symbol_version(&self, name: &CStr, version: &CStr) -> Option<Address> {
        type Dlvsym =
            unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
        let Some(dlvsym) = process_symbol("dlvsym") else {
            return self.symbol(name);
        };
        // SAFETY: what the process calls dlvsym is the C library's function of that name, whose type this is.
        let dlvsym = unsafe { std::mem::transmute::<usize, Dlvsym>(dlvsym.value() as usize) };
        // SAFETY: both are C strings, and the handle is open (invariant).
        let found = unsafe { dlvsym(self.handle, name.as_ptr(), version.as_ptr()) };
        (!found.is_null()).then(|| Address::new(found as u64))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle is open (invariant), and nothing uses it after this.
        unsafe { libc::dlclose(self.handle) };
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
