//! x86-64, as a linker sees it.
//!
//! Calls, jumps and RIP-relative operands hold a signed 32-bit distance from the *end* of the instruction, so they span
//! ±2 GiB; that is why addends are usually -4. Branches and data have the same reach. What may be further away is reached through 64
//! bits in memory: a GOT entry. A call that has no GOT entry in the code gets one through a stub. The other way round, code that was
//! compiled to go through a GOT entry can be rewritten to do without when the symbol turns out to be near (`relax`). Operands are whole
//! bytes, little-endian, at any address.
//!
//! Source: System V psABI for AMD64 (<https://gitlab.com/x86-psABIs/x86-64-ABI>); Intel SDM volume 2 for the encodings.

mod builtin;
mod elf;
mod relax;

use super::encoding::Range;
use super::machine::{Builtin, Machine, Table};
use super::row::Misfit;
use codeslab::Architecture;

/// How far a branch or an operand spans.
const DISPLACEMENT: Range = Range::signed(32);

/// The machine.
#[derive(Debug)]
pub(super) struct X86_64;

/// What object files say about it, format by format.
pub(super) static TABLES: [Table; 1] = [elf::TABLE];

impl Machine for X86_64 {
    fn architecture(&self) -> Architecture {
        Architecture::X86_64
    }

    fn name(&self) -> &'static str {
        "x86-64"
    }

    /// Six bytes of `jmp *entry(%rip)`, rounded up so that no stub crosses a cache line.
    fn stub_size(&self) -> u64 {
        8
    }

    fn write_stub(&self, stub: &mut [u8], at: u64, entry: u64) -> Result<(), Misfit> {
        const JUMP_SIZE: i128 = 6;
        let value = i128::from(entry) - (i128::from(at) + JUMP_SIZE);
        let limit = DISPLACEMENT.limit(value);
        let distance = i32::try_from(value).map_err(|_| Misfit::Range { value, limit })?;
        let [a, b, c, d] = distance.to_le_bytes();
        // jmp *distance(%rip), and two traps that nothing reaches.
        stub.copy_from_slice(&[0xff, 0x25, a, b, c, d, 0xcc, 0xcc]);
        Ok(())
    }

    fn builtins(&self) -> &'static [Builtin] {
        &builtin::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(at: u64, entry: u64) -> Result<[u8; 8], Misfit> {
        let mut stub = [0; 8];
        X86_64.write_stub(&mut stub, at, entry).map(|()| stub)
    }

    #[test]
    fn a_stub_jumps_through_its_entry_if_that_is_in_reach() {
        let expected = [0xff, 0x25, 0xfa, 0x0f, 0, 0, 0xcc, 0xcc];
        assert_eq!(stub(0x1000, 0x2000), Ok(expected));
        assert!(stub(0x1000, 0x1006 + 0x7fff_ffff).is_ok());
        let limit = i32::MAX.into();
        let value = 0x8000_0000;
        let far = Err(Misfit::Range { value, limit });
        assert_eq!(stub(0x1000, 0x1006 + 0x8000_0000), far);
        assert!(stub(u64::MAX - 7, 0).is_err());
    }
}
