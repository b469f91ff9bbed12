//! x86-64 in ELF files. Source: System V psABI for AMD64, §4 (<https://gitlab.com/x86-psABIs/x86-64-ABI>).

/// `EM_X86_64`
pub(in crate::sys) const MACHINE: u64 = 62;
/// `R_X86_64_DTPMOD64`
pub(in crate::sys) const MODULE: u64 = 16;
/// `R_X86_64_DTPOFF64`
pub(in crate::sys) const MODULE_OFFSET: u64 = 17;
/// `R_X86_64_TPOFF64`
pub(in crate::sys) const THREAD_OFFSET: u64 = 18;
/// `R_X86_64_TLSDESC`
pub(in crate::sys) const DESCRIPTOR: u64 = 36;

/// A function without arguments as Windows calls it.
pub(in crate::sys) type WindowsFunction = unsafe extern "win64-unwind" fn();
