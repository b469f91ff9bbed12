//! What compilers have code ask about the processor: `__cpu_model` and `__cpu_features2`.

/// The values of both, as a compiler's own library would fill them in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessorModel {
    /// `__cpu_model`: maker, type, subtype, and the first 32 features.
    pub model: [u32; 4],
    /// `__cpu_features2`: the features from 32 on.
    pub features: [u32; 3],
}

impl ProcessorModel {
    /// Those of this processor; `None` if compilers have no such thing for it.
    #[must_use]
    pub fn native() -> Option<Self> {
        crate::arch::processor()
    }
}
