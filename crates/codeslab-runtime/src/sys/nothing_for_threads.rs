//! What systems have for threads on which images get no variables of their own: nothing. Images use the keys that the process has, if any.

use crate::error::{Error, Result};
use crate::program::Destructor;
use crate::storage::{Question, Template, Variable};
use std::ffi::c_void;

/// What static libraries of glibc ask for is nothing here.
pub(crate) const fn processor_features() -> Option<u64> {
    None
}

/// No thread gets anything.
#[derive(Debug)]
pub(crate) struct ThreadLocals;

impl ThreadLocals {
    pub(crate) fn provide(
        _: &Template<'_>,
        _: &[(Variable<'_>, Question)],
        _: &[&str],
        _: Option<&str>,
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        Err(Error::Unsupported {
            what: "thread-local variables",
        })
    }
}

/// Whether images are given functions of their own for keys of threads.
pub(crate) const HAS_KEYS: bool = false;

/// A new key: there is none.
///
/// # Errors
/// Always.
///
/// # Safety
/// `destructor` may be called with a value of the key when a thread ends.
#[allow(unsafe_code, reason = "it is as unsafe as where there are keys")]
pub(crate) unsafe fn create_key(_destructor: Option<Destructor>) -> Result<u32, i32> {
    Err(-1)
}

/// Deletes a key: there is none.
pub(crate) const fn delete_key(_key: u32) -> i32 {
    -1
}

/// What this thread has by a key: nothing.
pub(crate) const fn take_value(_key: u32) -> *mut c_void {
    std::ptr::null_mut()
}
