//! A processor for which nothing is linked: numbers of no machine, which no dynamic linker accepts.

pub(in crate::sys) const MACHINE: u64 = 0;
pub(in crate::sys) const MODULE: u64 = 0;
pub(in crate::sys) const MODULE_OFFSET: u64 = 0;
pub(in crate::sys) const THREAD_OFFSET: u64 = 0;
pub(in crate::sys) const DESCRIPTOR: u64 = 0;

/// A function without arguments as Windows calls it.
pub(in crate::sys) type WindowsFunction = unsafe extern "C-unwind" fn();
