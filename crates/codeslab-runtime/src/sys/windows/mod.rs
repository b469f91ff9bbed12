//! Windows.
//!
//! `calls` calls functions; `tables` tells the system's unwinder of functions by their block; `exits` has what the run-time libraries of
//! Windows leave to each module: what runs when an image, a thread and the process end; `exports` tells which library an address lies in, and
//! `shared_library` opens others. An exception that leaves a function of an image goes
//! on into its caller, as between any two functions, and ends the process if nothing there catches it. There are no thread-local variables
//! for images: the system gives each loaded file a number for them, and an image is none.

mod calls;
mod exits;
mod exports;
mod shared_library;
mod tables;

use crate::program::Convention;

pub(crate) use super::listed::{finalize_registered, own_cxa_atexit, register_for_image};
pub(crate) use super::nothing_for_threads::{
    HAS_KEYS, ThreadLocals, create_key, delete_key, processor_features, take_value,
};
pub use calls::guarded;
pub(crate) use calls::{call_finalizer, call_initializer, call_resolver};
pub(crate) use exits::{FUNCTIONS, at_process_exit, at_thread_exit, destroy_at_thread_exit};
pub(crate) use exports::{kinds_of, location};
pub(crate) use shared_library::Library;
pub(crate) use tables::Tables;

/// How many libraries this process has loaded and unloaded so far: nothing counts them.
#[must_use]
pub const fn loads() -> Option<(u64, u64)> {
    None
}

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::Windows;
