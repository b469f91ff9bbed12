//! What processors differ in: the numbers that dynamic linkers have for them. A file each.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    path = "unsupported.rs"
)]
pub(super) mod elf;
