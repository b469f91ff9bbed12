//! The ends of images, as glibc knows them.
//!
//! Handlers that were registered with a handle are run and forgotten by it (`__cxa_finalize`): those for the exit of the process run, those for a
//! quick exit and for forks are only forgotten.
//!
//! Source: Itanium C++ ABI, §3.3.6 "DSO Object Destruction API"; glibc's `stdlib/cxa_finalize.c`.
#![allow(unsafe_code)] // It calls the C library.

pub(crate) use crate::sys::registered::{finalize_registered, own_cxa_atexit};

use codeslab::Address;
use std::ffi::{c_int, c_void};
use std::ptr;

unsafe extern "C" {
    fn __cxa_atexit(
        function: unsafe extern "C-unwind" fn(*mut c_void, c_int),
        data: *mut c_void,
        handle: *const c_void,
    ) -> c_int;
}

/// Has `function` called with `data` when what was registered by `handle` is finalized, or with the status when the process exits. Not 0 if
/// there is no memory for that.
///
/// # Safety
/// `function` may be called with `data` then.
pub(crate) unsafe fn register_for_image(
    function: unsafe extern "C-unwind" fn(*mut c_void, c_int),
    data: *mut c_void,
    handle: Address,
) -> c_int {
    let handle = ptr::without_provenance(handle.value() as usize);
    // SAFETY: glibc passes the status of the exit as a second argument, or 0; the function may be called by the obligation.
    unsafe { __cxa_atexit(function, data, handle) }
}
