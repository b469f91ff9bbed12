//! Processors for which nothing is linked.

use super::ProcessorModel;

/// Nothing is asked.
pub(super) const fn processor() -> Option<ProcessorModel> {
    None
}

/// Numbers of no machine, which no dynamic linker accepts.
pub(crate) mod elf {
    pub(crate) const MACHINE: u64 = 0;
    pub(crate) const MODULE: u64 = 0;
    pub(crate) const MODULE_OFFSET: u64 = 0;
    pub(crate) const THREAD_OFFSET: u64 = 0;
    pub(crate) const DESCRIPTOR: u64 = 0;
}
