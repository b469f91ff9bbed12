//! Processors for which no frame that catches has been written: exceptions pass, and end the process where nothing catches them.
#![allow(unsafe_code)] // It is as unsafe as where there is one.

use std::ffi::c_void;
use std::ptr;

/// No exception arrives anywhere.
pub(crate) const RESULT_REGISTER: i32 = 0;

/// It is not known by which function a newer unwinder is told.
pub(crate) const NEWER_UNWINDER: Option<&str> = None;

/// # Safety
/// `function` may be called with `data` now.
pub(crate) unsafe extern "C-unwind" fn call_catching(
    function: unsafe extern "C-unwind" fn(*mut c_void),
    data: *mut c_void,
) -> *mut c_void {
    // SAFETY: it is the same obligation.
    unsafe { function(data) };
    ptr::null_mut()
}
