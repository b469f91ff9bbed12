//! Machines: what a linker has to know about the code of each.
//!
//! No formula, number or instruction of a machine stands outside of this room. It relies on `error` only; graphs name their
//! relocations by what stands here, and `plan` and `apply` ask it what a relocation needs and how its field is written.

pub(crate) mod encoding;
pub(crate) mod formula;
pub(crate) mod x86_64;

/// The machine whose stubs, GOT entries and relaxations are used; the only one so far.
pub(crate) use x86_64 as linked;

use codeslab::Architecture;
use object::elf;

/// What ELF objects can be made for, as errors say it.
pub(crate) const ELF_EXPECTED: &str = "x86-64 (64-bit, little-endian ELF)";

/// The machine that an ELF header names.
///
/// # Errors
/// What to call it, if its code cannot be linked.
pub(crate) fn of_elf(machine: elf::Machine) -> Result<Architecture, String> {
    match machine {
        elf::EM_X86_64 => Ok(Architecture::X86_64),
        elf::EM_AARCH64 => Err("AArch64".to_owned()),
        elf::EM_RISCV => Err("RISC-V".to_owned()),
        other => Err(format!("ELF machine {}", other.0)),
    }
}
