//! Machine code that tests place, for the processor that they run on: a file each.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod native;

pub(crate) use native::{CODE, return_constant, sums};
