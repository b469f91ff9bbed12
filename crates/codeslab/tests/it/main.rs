//! The memory manager on the real system: code is executed, protections are tried, threads are real.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests call the code that they wrote and read the memory that they own"
)]

#[cfg(target_arch = "x86_64")]
mod cet;
mod containers;
mod documents;
mod environment;
mod execution;
mod faults;
mod filter;
mod find;
mod guards;
mod outside;
#[cfg(target_arch = "x86_64")]
mod pkeys;
mod placement;
mod policies;
mod ports;
mod refusals;
mod sealed;
mod stress;
mod support;
mod threads;
mod tidy;
mod views;
