//! 64-bit Arm in ELF files. Source: ELF for the Arm 64-bit Architecture, §5.7 (<https://github.com/ARM-software/abi-aa>).

/// `EM_AARCH64`
pub(in crate::sys) const MACHINE: u64 = 183;
/// `R_AARCH64_TLS_DTPMOD`
pub(in crate::sys) const MODULE: u64 = 1028;
/// `R_AARCH64_TLS_DTPREL`
pub(in crate::sys) const MODULE_OFFSET: u64 = 1029;
/// `R_AARCH64_TLS_TPREL`
pub(in crate::sys) const THREAD_OFFSET: u64 = 1030;
/// `R_AARCH64_TLSDESC`
pub(in crate::sys) const DESCRIPTOR: u64 = 1031;

/// A function without arguments as Windows calls it.
pub(in crate::sys) type WindowsFunction = unsafe extern "C-unwind" fn();
