//! What files for tools say about processors: the numbers that ELF and DWARF have for them.

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

/// How a frame is unwound that keeps a frame pointer: in terms of DWARF.
#[derive(Debug)]
pub(crate) struct FrameRules {
    /// The number of the register that stands for the return address.
    pub(crate) return_address: u8,
    /// Call frame instructions: the caller's frame begins 16 bytes above the frame pointer; right below it lie the return address and the
    /// caller's frame pointer.
    pub(crate) instructions: &'static [u8],
}

const DEFINE_CFA: u8 = 0x0c;
const OFFSET: u8 = 0x80;

/// The rules of a processor, by the DWARF register numbers of its psABI.
pub(crate) fn frame_rules(architecture: Architecture) -> Option<&'static FrameRules> {
    match architecture {
        // rbp, and the return address on the stack.
        Architecture::X86_64 => Some(&FrameRules {
            return_address: 16,
            instructions: &[DEFINE_CFA, 6, 16, OFFSET + 16, 1, OFFSET + 6, 2],
        }),
        // x29 and x30.
        Architecture::Aarch64 => Some(&FrameRules {
            return_address: 30,
            instructions: &[DEFINE_CFA, 29, 16, OFFSET + 30, 1, OFFSET + 29, 2],
        }),
        _ => None,
    }
}
