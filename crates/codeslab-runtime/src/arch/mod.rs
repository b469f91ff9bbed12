//! What processors differ in: what code asks about them, and the numbers that dynamic linkers have for them. One file or folder each.

// The processor of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    path = "unsupported.rs"
)]
mod native;

pub(crate) use native::elf;

/// What compilers have code ask about the processor, with the values that a compiler's own library would have filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessorModel {
    /// `__cpu_model`: maker, type, subtype, and the first 32 features.
    pub model: [u32; 4],
    /// `__cpu_features2`: the features from 32 on.
    pub features: [u32; 3],
}

impl ProcessorModel {
    /// That of this processor; `None` if compilers have no such thing for it.
    #[must_use]
    pub fn native() -> Option<Self> {
        native::processor()
    }
}
