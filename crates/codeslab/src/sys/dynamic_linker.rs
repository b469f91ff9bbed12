//! Symbols of the process, from the C library's dynamic linker, which systems of the family of Unix have in common. Ports that have it use
//! it; it chooses nothing.
//!
//! Source: `dlsym(3)`.
#![allow(unsafe_code, reason = "it calls the C library")]
#![allow(dead_code, reason = "not every port uses all of it")]

use crate::model::address::Address;
use std::ffi::{CStr, c_char, c_void};

/// dlsym: a symbol in everything that is loaded. <https://man7.org/linux/man-pages/man3/dlsym.3.html>
pub(in crate::sys) fn symbol(name: &CStr) -> Option<Address> {
    // SAFETY: the name is a C string, and this handle is one at any time.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then(|| Address::new(found as u64))
}

/// dlvsym: one version of it; dlsym where the C library knows no versions, as musl. <https://man7.org/linux/man-pages/man3/dlvsym.3.html>
pub(in crate::sys) fn symbol_version(name: &CStr, version: &CStr) -> Option<Address> {
    type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
    let Some(dlvsym) = symbol(c"dlvsym") else {
        return symbol(name);
    };
    // SAFETY: what the process calls dlvsym is the C library's function of that name, whose type this is.
    let dlvsym = unsafe { std::mem::transmute::<usize, Dlvsym>(dlvsym.value() as usize) };
    // SAFETY: both are C strings, and this handle is one at any time.
    let found = unsafe { dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()) };
    (!found.is_null()).then(|| Address::new(found as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_a_symbol_is_found_and_one_that_does_not_exist_is_not() {
        // Sanitizers have functions of their own in the place of many others, not of this one.
        let one = symbol(c"getppid");
        // The version that every C library for x86-64 began with, and that for 64-bit Arm.
        let versions = [c"GLIBC_2.2.5", c"GLIBC_2.17"];
        let found = versions.map(|version| symbol_version(c"getppid", version));
        assert!(found.contains(&one), "{found:?}");
        if symbol(c"dlvsym").is_some() {
            assert_eq!(symbol_version(c"getppid", c"codeslab has none"), None);
        }
    }

    #[test]
    fn a_name_that_the_process_does_not_have_has_no_address() {
        assert_eq!(symbol(c"codeslab has no such symbol"), None);
    }
}
