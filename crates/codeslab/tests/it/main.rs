//! The memory manager on the real system: code is executed, protections are tried, threads are real.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests call the code that they wrote and read the memory that they own"
)]

// What is about memory files, limits and policies of Linux is left out where its port is not the one in use: see `sys/macos/rehearsal`.
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod aliases;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod cet;
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod containers;
mod documents;
mod environment;
mod execution;
mod faults;
#[cfg(all(target_os = "linux", not(rehearsal)))]
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
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod limits;
#[cfg(any(target_os = "macos", rehearsal))]
mod macos;
#[cfg(target_os = "linux")]
mod outside;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(rehearsal)))]
mod pkeys;
mod placement;
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod policies;
mod ports;
mod processor;
#[cfg(target_os = "linux")]
mod refusals;
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod sealed;
mod stress;
mod support;
mod threads;
mod tidy;
#[cfg(all(target_os = "linux", not(rehearsal)))]
mod views;
#[cfg(windows)]
mod windows;
