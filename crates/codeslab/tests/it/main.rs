//! The memory manager on the real system: code is executed, protections are tried, threads are real.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests call the code that they wrote and read the memory that they own"
)]

#[cfg(target_os = "linux")]
mod aliases;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod cet;
#[cfg(target_os = "linux")]
mod containers;
mod documents;
mod environment;
mod execution;
mod faults;
#[cfg(target_os = "linux")]
mod filter;
mod find;
#[cfg(unix)]
mod forks;
#[cfg(target_os = "linux")]
mod gaps;
#[cfg(target_os = "linux")]
mod guarded;
#[cfg(target_os = "linux")]
mod guards;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(any(target_os = "macos", rehearsal))]
mod macos;
#[cfg(target_os = "linux")]
mod outside;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pkeys;
mod placement;
#[cfg(target_os = "linux")]
mod policies;
mod ports;
mod processor;
#[cfg(target_os = "linux")]
mod refusals;
#[cfg(target_os = "linux")]
mod sealed;
mod stress;
mod support;
mod threads;
mod tidy;
#[cfg(target_os = "linux")]
mod views;
#[cfg(windows)]
mod windows;
