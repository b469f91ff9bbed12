//! Linux with its C libraries.
//!
//! `process` calls functions with what every program is started with; `catch` and `exceptions` stop what unwinds out of them and say what it was;
//! `tables` tells the process's unwinder of tables; `c_library` and `exits` are for the ends of images and threads, of which the C libraries know more or less; `keys` has values that threads keep; `files` has
//! functions under the names that they had in older C libraries; `thread_local` and `shared_object` get threads their copies of
//! variables; `symbol_tables` tells functions and constants from variables. What these rely on is in the process already and looked up by name where
//! a process may be without it.

use crate::program::Convention;

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::SystemV;

// The C library of this target.
#[cfg_attr(target_env = "musl", path = "musl.rs")]
#[cfg_attr(not(target_env = "musl"), path = "glibc.rs")]
mod c_library;
mod catch;
mod exceptions;
mod exits;
mod files;
mod keys;
mod machine;
mod process;
mod shared_object;
mod symbol_tables;
mod symbols;
mod tables;
mod thread_local;

pub(crate) use super::dynamic_linker::{Library, location};
pub(crate) use super::registered::at_process_exit;
pub(crate) use c_library::{finalize_registered, own_cxa_atexit, register_for_image};
pub use exceptions::guarded;
pub(crate) use exits::{at_thread_exit, destroy_at_thread_exit};
pub(crate) use files::FUNCTIONS;
pub(crate) use keys::{HAS_KEYS, create_key, delete_key, take_value};
pub(crate) use process::{call_finalizer, call_initializer, call_resolver, processor_features};
pub(crate) use symbol_tables::kinds_of;
pub use symbols::loads;
pub(crate) use tables::Tables;
pub(crate) use thread_local::ThreadLocals;
