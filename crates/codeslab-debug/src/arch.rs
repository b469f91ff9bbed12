//! What files for tools say about processors: the numbers that ELF has for them.

use codeslab::Architecture;
use object::elf;

/// `e_machine` of code for a processor; "no machine" for one that has none here.
pub(crate) fn elf_machine(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::X86_64 => elf::EM_X86_64.0,
        Architecture::Aarch64 => elf::EM_AARCH64.0,
        Architecture::Riscv64 => elf::EM_RISCV.0,
        _ => elf::EM_NONE.0,
    }
}
