//! Functions for files under the names that they have in older C libraries.
//!
//! Before glibc 2.33 headers made `stat` a call of `__xstat` with the version of its structure; since then only `stat` can be linked with.
//! Objects that were compiled with older headers find their names here. On the machines of this crate there is one version of the structure,
//! so it is not looked at.
#![allow(unsafe_code)] // These are functions that C calls with pointers.

use libc::{c_char, c_int, dev_t, mode_t, stat64};

/// A function by its name, and where it is.
type Function = (&'static str, fn() -> u64);

/// Functions by their names, for images whose process does not have them.
pub(crate) const FUNCTIONS: [Function; 10] = [
    ("__xstat", || stat as *const () as u64),
    ("__xstat64", || stat as *const () as u64),
    ("__fxstat", || fstat as *const () as u64),
    ("__fxstat64", || fstat as *const () as u64),
    ("__lxstat", || lstat as *const () as u64),
    ("__lxstat64", || lstat as *const () as u64),
    ("__fxstatat", || fstatat as *const () as u64),
    ("__fxstatat64", || fstatat as *const () as u64),
    ("__xmknod", || mknod as *const () as u64),
    ("__xmknodat", || mknodat as *const () as u64),
];

unsafe extern "C" fn stat(_version: c_int, path: *const c_char, result: *mut stat64) -> c_int {
    // SAFETY: the arguments are those of the caller, who calls `stat`.
    unsafe { libc::stat64(path, result) }
}

unsafe extern "C" fn fstat(_version: c_int, file: c_int, result: *mut stat64) -> c_int {
    // SAFETY: the arguments are those of the caller, who calls `fstat`.
    unsafe { libc::fstat64(file, result) }
}

unsafe extern "C" fn lstat(_version: c_int, path: *const c_char, result: *mut stat64) -> c_int {
    // SAFETY: the arguments are those of the caller, who calls `lstat`.
    unsafe { libc::lstat64(path, result) }
}

unsafe extern "C" fn fstatat(
    _version: c_int,
    directory: c_int,
    path: *const c_char,
    result: *mut stat64,
    flags: c_int,
) -> c_int {
    // SAFETY: the arguments are those of the caller, who calls `fstatat`.
    unsafe { libc::fstatat64(directory, path, result, flags) }
}

unsafe extern "C" fn mknod(
    _version: c_int,
    path: *const c_char,
    mode: mode_t,
    device: *const dev_t,
) -> c_int {
    // SAFETY: the device is passed by its address.
    let device = unsafe { *device };
    // SAFETY: the arguments are those of the caller, who calls `mknod`.
    unsafe { libc::mknod(path, mode, device) }
}

unsafe extern "C" fn mknodat(
    _version: c_int,
    directory: c_int,
    path: *const c_char,
    mode: mode_t,
    device: *const dev_t,
) -> c_int {
    // SAFETY: the device is passed by its address.
    let device = unsafe { *device };
    // SAFETY: the arguments are those of the caller, who calls `mknodat`.
    unsafe { libc::mknodat(directory, path, mode, device) }
}
