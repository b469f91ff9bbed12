//! A processor for which nothing is linked: numbers of no machine, which no dynamic linker accepts.

pub(crate) const MACHINE: u64 = 0;
pub(crate) const MODULE: u64 = 0;
pub(crate) const MODULE_OFFSET: u64 = 0;
pub(crate) const THREAD_OFFSET: u64 = 0;
pub(crate) const DESCRIPTOR: u64 = 0;
