//! Processors, a folder each.

#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "other.rs")]
mod native;

pub(crate) use native::processor;
