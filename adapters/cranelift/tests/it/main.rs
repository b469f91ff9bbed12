//! Programs that Cranelift compiles, in code memory.
#![allow(unsafe_code, reason = "what was compiled is called")]
#![allow(
    clippy::result_large_err,
    reason = "ModuleError is Cranelift's, and its interface returns it by value"
)]

mod bad_input;
mod functions;
mod objects;
mod programs;
mod provider;
mod replacing;
mod support;
#[cfg(target_os = "linux")]
mod torn;
