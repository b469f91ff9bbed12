//! The ends of threads, as glibc knows them: a thread that ends runs what was registered on it. musl has nothing for that.
//!
//! Source: glibc's `stdlib/cxa_thread_atexit_impl.c`.
#![allow(unsafe_code)] // It calls the C library.

use super::symbols::function;
use std::ffi::{c_int, c_void};

/// Has `ended` called when this thread ends. `false` if that cannot be.
pub(crate) fn at_thread_exit(ended: extern "C" fn()) -> bool {
    type Register =
        unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, *const c_void) -> c_int;
    extern "C" fn call(ended: *mut c_void) {
        // SAFETY: it is the function that was passed below.
        let ended = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(ended) };
        ended();
    }
    /// Lies in this module, which has to stay loaded until then.
    static OWN: u8 = 0;
    // SAFETY: C libraries that have it have it with this type.
    let Some(register) = (unsafe { function::<Register>("__cxa_thread_atexit_impl") }) else {
        return false;
    };
    let data = ended as *mut c_void;
    // SAFETY: `call` takes the function that it is passed as data.
    unsafe { register(call, data, (&raw const OWN).cast()) == 0 }
}

/// Has the C library call `destructor` with `object` when this thread ends. Not 0 if it cannot.
///
/// # Safety
/// `destructor` may be called with `object` then, and is sound.
pub(crate) unsafe fn destroy_at_thread_exit(
    destructor: unsafe extern "C-unwind" fn(*mut c_void),
    object: *mut c_void,
    handle: *const c_void,
) -> c_int {
    type Register = unsafe extern "C" fn(
        unsafe extern "C-unwind" fn(*mut c_void),
        *mut c_void,
        *const c_void,
    ) -> c_int;
    // SAFETY: C libraries that have it have it with this type.
    let register = unsafe { function::<Register>("__cxa_thread_atexit_impl") };
    // SAFETY: it may be called by the obligation.
    register.map_or(-1, |register| unsafe {
        register(destructor, object, handle)
    })
}
