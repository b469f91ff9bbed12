//! macOS.
//!
//! `calls` calls functions with what every program is started with; `tables` tells the process's unwinder of functions; `exits` is what the C
//! library has for the ends of images, threads and the process; `code` tells functions from data. An exception that leaves a function of an image goes on into its caller, as
//! between any two functions, and ends the process if nothing there catches it. There are no thread-local variables for images: the dynamic
//! linker makes room for those of files that it loaded. No Mac has run any of this.

mod calls;
mod code;
mod exits;
mod tables;

use crate::program::Convention;

pub(crate) use super::dynamic_linker::{Library, location};
pub(crate) use super::nothing_for_threads::{
    HAS_KEYS, ThreadLocals, create_key, delete_key, processor_features, take_value,
};
pub(crate) use super::registered::{at_process_exit, finalize_registered, own_cxa_atexit};
pub use calls::guarded;
pub(crate) use calls::{call_finalizer, call_initializer, call_resolver};
pub(crate) use code::kinds_of;
pub(crate) use exits::{at_thread_exit, destroy_at_thread_exit, register_for_image};
pub(crate) use tables::Tables;

/// How many libraries this process has loaded and unloaded so far: nothing counts them.
#[must_use]
pub const fn loads() -> Option<(u64, u64)> {
    None
}

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::SystemV;

/// A name, and the address of what it stands for.
type Function = (&'static str, fn() -> u64);

/// Functions that are provided on this system only.
pub(crate) const FUNCTIONS: [Function; 0] = [];
