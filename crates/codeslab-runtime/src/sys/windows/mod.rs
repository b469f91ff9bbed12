//! Windows.
//!
//! `calls` calls functions; `tables` tells the system's unwinder of functions by their block; `exits` has what the run-time libraries of
//! Windows leave to each module: what runs when an image, a thread and the process end. An exception that leaves a function of an image goes
//! on into its caller, as between any two functions, and ends the process if nothing there catches it. There are no thread-local variables
//! for images: the system gives each loaded file a number for them, and an image is none.

mod calls;
mod exits;
mod tables;

use crate::error::{Error, Result};
use crate::program::{Convention, Destructor};
use crate::storage::{Question, Template, Variable};
use std::ffi::c_void;

pub use calls::guarded;
pub(crate) use calls::{call_finalizer, call_initializer, call_resolver};
pub(crate) use exits::{
    FUNCTIONS, at_process_exit, at_thread_exit, destroy_at_thread_exit, finalize_registered,
    register_for_image,
};
pub(crate) use tables::Tables;

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::Windows;

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

/// Whether threads keep values by keys: not by those of POSIX.
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
