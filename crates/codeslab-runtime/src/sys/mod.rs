//! What an operating system and its C library have to do: one folder for each.
//!
//! A system calls functions by address as C does and stops what unwinds out of them; it knows how the C library forgets what an image
//! registered, how a thread and the process tell that they end, how the process's unwinder learns of tables, what lies at an
//! address of the process, and how libraries are opened. `process`, `running`, `threads` and
//! `provided` are above this and know no system.

// What systems of one family share.
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod dynamic_linker;
#[cfg(any(windows, target_env = "musl"))]
mod listed;
#[cfg(not(target_os = "linux"))]
mod nothing_for_threads;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod registered;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod unwinder_records;

// The system of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "macos", windows)),
    path = "unsupported.rs"
)]
mod native;

pub use native::{CONVENTION, guarded, loads};
pub(crate) use native::{
    FUNCTIONS, HAS_KEYS, Library, Tables, ThreadLocals, at_process_exit, at_thread_exit,
    call_finalizer, call_initializer, call_resolver, create_key, delete_key,
    destroy_at_thread_exit, finalize_registered, kinds_of, location, own_cxa_atexit,
    processor_features, register_for_image, take_value,
};
