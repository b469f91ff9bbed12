//! macOS.
//!
//! `calls` calls functions with what every program is started with; `tables` tells the process's unwinder of functions; `exits` is what the C
//! library has for the ends of images, threads and the process. An exception that leaves a function of an image goes on into its caller, as
//! between any two functions, and ends the process if nothing there catches it. There are no thread-local variables for images: the dynamic
//! linker makes room for those of files that it loaded. No Mac has run any of this.

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
    at_process_exit, at_thread_exit, destroy_at_thread_exit, finalize_registered,
    register_for_image,
};
pub(crate) use tables::Tables;

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::SystemV;

/// A name, and the address of what it stands for.
type Function = (&'static str, fn() -> u64);

/// Functions that are provided on this system only.
pub(crate) const FUNCTIONS: [Function; 0] = [];

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

/// Whether images are given functions of their own for keys of threads: they have those of the process.
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
