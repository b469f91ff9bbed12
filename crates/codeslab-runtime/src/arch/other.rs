//! Processors that compilers ask in other ways.

use crate::processor::ProcessorModel;

/// Nothing is asked.
pub(crate) const fn processor() -> Option<ProcessorModel> {
    None
}
