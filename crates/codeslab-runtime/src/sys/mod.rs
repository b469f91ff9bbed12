//! What an operating system and its C library have to do: one folder for each.
//!
//! A system calls functions by address as C does, with what it passes to initialisers, and knows how the C library forgets what an image
//! registered. `running` is above this and knows no system.

// The system of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(not(target_os = "linux"), path = "unsupported.rs")]
mod native;

pub(crate) use native::ThreadLocals;
pub(crate) use native::{call_finalizer, call_initializer, call_resolver, finalize_registered};
