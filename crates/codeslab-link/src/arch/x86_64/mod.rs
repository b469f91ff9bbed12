//! x86-64, as a linker sees it.
//!
//! Calls, jumps and RIP-relative operands hold a signed 32-bit distance from the *end* of the instruction, so they span
//! ±2 GiB; that is why addends are usually -4. Branches and data have the same reach. What may be further away is reached through 64
//! bits in memory: a GOT entry. A call that has no GOT entry in the code gets one through a stub. The other way round, code that was
//! compiled to go through a GOT entry can be rewritten to do without when the symbol turns out to be near (`relax`). Operands are whole
//! bytes, little-endian, at any address.
//!
//! Source: System V psABI for AMD64 (<https://gitlab.com/x86-psABIs/x86-64-ABI>); Intel SDM volume 2 for the encodings.

mod binder;
mod builtin;
mod coff;
mod compact;
mod detour;
mod elf;
mod fields;
mod macho;
mod relax;
mod thread_local;

use super::compact::CompactForm;
use super::encoding::Range;
use super::machine::{Binder, BinderCode, Builtin, Detour, Instruction, Machine, Table};
use super::row::Misfit;
use codeslab::Architecture;

/// How far a branch or an operand spans.
const DISPLACEMENT: Range = Range::signed(32);

/// The machine.
#[derive(Debug)]
pub(super) struct X86_64;

/// What object files say about it, format by format.
pub(super) static TABLES: [Table; 3] = [elf::TABLE, coff::TABLE, macho::TABLE];

impl Machine for X86_64 {
    fn architecture(&self) -> Architecture {
        Architecture::X86_64
    }

    fn name(&self) -> &'static str {
        "x86-64"
    }

    /// `endbr64` and `jmp *entry(%rip)`, rounded up so that no stub crosses a cache line.
    fn stub_size(&self) -> u64 {
        16
    }

    fn write_stub(&self, stub: &mut [u8], at: u64, entry: u64) -> Result<(), Misfit> {
        const JUMP_END: i128 = 10;
        let value = i128::from(entry) - (i128::from(at) + JUMP_END);
        let limit = DISPLACEMENT.limit(value);
        let distance = i32::try_from(value).map_err(|_| Misfit::Range { value, limit })?;
        let [a, b, c, d] = distance.to_le_bytes();
        // The stub may be called through a pointer, as the canonical address of a function, so it is marked for that (CET).
        stub[..4].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa]);
        // jmp *distance(%rip), and traps that nothing reaches.
        stub[4..10].copy_from_slice(&[0xff, 0x25, a, b, c, d]);
        stub[10..].fill(0xcc);
        Ok(())
    }

    /// A call leaves the stack 8 bytes off its alignment: `sub $8, %rsp`, and `add $8, %rsp; ret`.
    fn function_frame(&self) -> Option<[&'static [u8]; 2]> {
        Some([&[0x48, 0x83, 0xec, 8], &[0x48, 0x83, 0xc4, 8, 0xc3]])
    }

    fn binder(&self, binder: Binder) -> Option<BinderCode> {
        binder::code(binder)
    }

    /// `call`, `jmp` and conditional jumps. Before the distance of an operand in memory stands a byte that has none of these values.
    fn is_branch(&self, code: &[u8], field: usize) -> bool {
        let Some(before) = code.get(..field) else {
            return false;
        };
        match *before {
            [.., 0xe8 | 0xe9] => true,
            [.., 0x0f, condition] => condition & 0xf0 == 0x80,
            _ => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        Some("R_X86_64_64")
    }

    fn compact_form(&self) -> Option<&'static CompactForm> {
        Some(&compact::FORM)
    }

    fn builtins(&self) -> &'static [&'static [Builtin]] {
        &builtin::ALL
    }

    fn detour_size(&self) -> u64 {
        detour::SIZE
    }

    fn instructions(
        &self,
        code: &[u8],
        starts: &[usize],
        fields: &[usize],
    ) -> Vec<Option<Instruction>> {
        detour::find(code, starts, fields)
    }

    fn write_detour(
        &self,
        detour: &mut [u8],
        instruction: &mut [u8],
        places: &Detour,
    ) -> Result<(), Misfit> {
        detour::write(detour, instruction, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(at: u64, entry: u64) -> Result<[u8; 16], Misfit> {
        let mut stub = [0; 16];
        X86_64.write_stub(&mut stub, at, entry).map(|()| stub)
    }

    #[test]
    fn a_stub_is_marked_and_jumps_through_its_entry_if_that_is_in_reach() {
        let made = stub(0x1000, 0x2000).unwrap();
        assert_eq!(made[..4], [0xf3, 0x0f, 0x1e, 0xfa]);
        assert_eq!(made[4..10], [0xff, 0x25, 0xf6, 0x0f, 0, 0]);
        assert_eq!(made[10..], [0xcc; 6]);
        assert!(stub(0x1000, 0x100a + 0x7fff_ffff).is_ok());
        let limit = i32::MAX.into();
        let value = 0x8000_0000;
        let far = Err(Misfit::Range { value, limit });
        assert_eq!(stub(0x1000, 0x100a + 0x8000_0000), far);
        assert!(stub(u64::MAX - 15, 0).is_err());
    }
}
