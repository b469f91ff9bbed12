//! What compilers have code ask about the processor.
//!
//! On x86-64, `__builtin_cpu_supports`, `__builtin_cpu_is` and `target_clones` read two variables of the compiler's own library, which fills
//! them in by a constructor. `codeslab-link` gives an image that is linked without that library its own, with these values.

// The processor of this target. One that compilers ask by these names adds its line and its name to the last one.
#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "other.rs")]
mod native;

/// What compilers have code ask about the processor, with the values that a compiler's own library would have filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessorModel {
    /// `__cpu_model`: maker, type, subtype, and the first 32 features.
    pub model: [u32; 4],
    /// `__cpu_features2`: the features from 32 on.
    pub features: [u32; 4],
}

impl ProcessorModel {
    /// That of this processor; `None` if compilers have no such thing for it.
    #[must_use]
    pub fn native() -> Option<Self> {
        native::processor()
    }
}
