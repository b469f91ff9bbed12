//! A call that catches what unwinds out of it, which no compiler makes for code that is not its own.
//!
//! Rust ends the process when it catches an exception of another language. So the frame that catches is written by hand: its unwind
//! information names a personality routine that stops every exception there, and a place at which the call then seems to have returned. A
//! processor is one file here; `exceptions` has the personality routine.

// The processor of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    path = "unsupported.rs"
)]
mod native;

pub(crate) use native::{NEWER_UNWINDER, RESULT_REGISTER, call_catching};
