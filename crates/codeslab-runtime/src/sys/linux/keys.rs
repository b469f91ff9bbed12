//! Values that threads keep by keys.
//!
//! Source: POSIX.1-2024, `pthread_key_create`.
#![allow(unsafe_code)] // It calls the C library.

use crate::program::Destructor;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

/// Whether there are such keys.
pub(crate) const HAS_KEYS: bool = true;

unsafe extern "C" {
    fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int;
    safe fn pthread_key_delete(key: c_uint) -> c_int;
    safe fn pthread_getspecific(key: c_uint) -> *mut c_void;
    fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
}

/// A new key.
///
/// # Errors
/// What the C library says: `EAGAIN` if there are too many.
///
/// # Safety
/// `destructor` may be called with a value of the key when a thread ends.
pub(crate) unsafe fn create_key(destructor: Option<Destructor>) -> Result<c_uint, c_int> {
    let mut key = 0;
    // SAFETY: there is room for the key, and the destructor may be called by the obligation.
    match unsafe { pthread_key_create(&raw mut key, destructor) } {
        0 => Ok(key),
        error => Err(error),
    }
}

/// Deletes a key, or says why it cannot.
pub(crate) fn delete_key(key: c_uint) -> c_int {
    pthread_key_delete(key)
}

/// What this thread has by a key, which it has no more then.
pub(crate) fn take_value(key: c_uint) -> *mut c_void {
    let value = pthread_getspecific(key);
    if !value.is_null() {
        // SAFETY: null is no value, so that nothing is ever done with it.
        unsafe { pthread_setspecific(key, ptr::null()) };
    }
    value
}
