//! What differs between processors: the numbers that dynamic linkers have, and how code for Windows is called. A file each.
#![allow(
    dead_code,
    unused_imports,
    reason = "not every system has a dynamic linker that reads ELF files"
)]

// The processor of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    path = "unsupported.rs"
)]
mod native;

pub(super) use native::{
    DESCRIPTOR, MACHINE, MODULE, MODULE_OFFSET, THREAD_OFFSET, WindowsFunction,
};
