//! The ends of images, threads and the process, as the C library and the dynamic linker know them.
//!
//! Handlers that were registered with a handle are run and forgotten by it. A thread that ends runs what was registered on it.
//!
//! Source: Itanium C++ ABI, §3.3.6 "DSO Object Destruction API"; Libc's `stdlib/FreeBSD/atexit.c`; dyld's `_tlv_atexit`.
#![allow(unsafe_code)] // It calls the C library.

use codeslab::Address;
use std::ffi::{c_int, c_void};

unsafe extern "C" {
    fn _tlv_atexit(function: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void);
}

/// Would have `function` called with a status, as `on_exit` has: no C library of this system does that.
///
/// # Safety
/// `function` may be called with `data` then.
pub(crate) unsafe fn register_for_image(
    _function: unsafe extern "C-unwind" fn(*mut c_void, c_int),
    _data: *mut c_void,
    _handle: Address,
) -> c_int {
    -1
}

/// Has `ended` called when this thread ends.
pub(crate) fn at_thread_exit(ended: extern "C" fn()) -> bool {
    extern "C-unwind" fn call(ended: *mut c_void) {
        // SAFETY: it is the function that was passed below.
        let ended = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(ended) };
        ended();
    }
    // SAFETY: `call` takes the function that it is passed as data.
    unsafe { _tlv_atexit(call, ended as *mut c_void) };
    true
}

/// Has `destructor` called with `object` when this thread ends.
///
/// # Safety
/// `destructor` may be called with `object` then, and is sound.
pub(crate) unsafe fn destroy_at_thread_exit(
    destructor: unsafe extern "C-unwind" fn(*mut c_void),
    object: *mut c_void,
    _handle: *const c_void,
) -> c_int {
    // SAFETY: it may be called with the object by the obligation.
    unsafe { _tlv_atexit(destructor, object) };
    0
}
