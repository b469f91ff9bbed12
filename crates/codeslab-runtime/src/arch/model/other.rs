//! Processors that compilers have code ask in other ways.

use super::ProcessorModel;

/// Nothing is asked by the names of x86-64.
pub(super) const fn processor() -> Option<ProcessorModel> {
    None
}
