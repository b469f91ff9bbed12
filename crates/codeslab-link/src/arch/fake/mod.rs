//! A machine that never was built, for the tests of everything above `arch`.
//!
//! It is what x86-64 is not: every instruction has four bytes, at a multiple of four, and no instruction has room for an address. The
//! lowest six bits say what it does and, but for `call`, the next five which register it is about.
//!
//! | instruction | bits 31 to 11                                                     | does                                       |
//! | ----------- | ----------------------------------------------------------------- | ------------------------------------------ |
//! | `call`      | distance / 4, in bits 31 to 6                                     | goes there: ±128 MiB                       |
//! | `skip`      | distance / 4: its low 4 bits at 28, the other 15 at 11            | goes there if the register is 0: ±1 MiB    |
//! | `page`      | distance in pages of 4 KiB: its low 3 bits at 29, the other 18 at 11 | sets the register to a page: ±4 GiB     |
//! | `low`       | 12 bits at 11                                                     | adds them to the register                  |
//! | `load`      | bits 3 to 11 of an offset, at 11                                  | replaces the register by what lies there   |
//! | `jump`      |                                                                   | goes where the register says               |
//!
//! So code has two reaches: what it branches to lies within 128 MiB, or behind a stub; what it loads lies within 4 GiB. A GOT entry has
//! sixteen bytes, the address and its complement. `fake_tests` links and executes code for it.

pub(crate) mod elf;

use super::encoding::{Encoding, Piece, Range};
use super::machine::{Machine, Table};
use super::row::Misfit;
use codeslab::Architecture;

/// The machine. It goes by the name of one that nothing is linked for.
#[derive(Debug)]
pub(crate) struct Fake;

/// What object files say about it, format by format.
pub(super) static TABLES: [Table; 1] = [elf::TABLE];

pub(crate) const CALL: u32 = 1;
pub(crate) const SKIP: u32 = 2;
pub(crate) const PAGE: u32 = 3;
pub(crate) const LOW: u32 = 4;
pub(crate) const LOAD: u32 = 5;
pub(crate) const JUMP: u32 = 6;

/// The register that stubs may use.
const SCRATCH: u32 = 31;

/// An instruction whose other bits are 0.
pub(crate) const fn instruction(operation: u32, register: u32) -> u32 {
    operation | register << 6
}

const fn bits(pieces: &'static [Piece]) -> Encoding {
    Encoding::Bits { size: 4, pieces }
}

const CALL_TARGET: Encoding = bits(&[Piece::new(2, 6, 26)]);
const SKIP_TARGET: Encoding = bits(&[Piece::new(2, 28, 4), Piece::new(6, 11, 15)]);
const PAGE_NUMBER: Encoding = bits(&[Piece::new(12, 29, 3), Piece::new(15, 11, 18)]);
const LOW_BITS: Encoding = bits(&[Piece::new(0, 11, 12)]);
const LOAD_OFFSET: Encoding = bits(&[Piece::new(3, 11, 9)]);

/// How far `page` spans.
const DATA_REACH: Range = Range::signed(33);

impl Machine for Fake {
    fn architecture(&self) -> Architecture {
        Architecture::Riscv64
    }

    fn name(&self) -> &'static str {
        "the fake machine"
    }

    fn entry_size(&self) -> u64 {
        16
    }

    fn write_entry(&self, entry: &mut [u8], address: u64) {
        let (first, second) = entry.split_at_mut(8);
        first.copy_from_slice(&address.to_le_bytes());
        second.copy_from_slice(&(!address).to_le_bytes());
    }

    fn stub_size(&self) -> u64 {
        16
    }

    fn write_stub(&self, stub: &mut [u8], at: u64, entry: u64) -> Result<(), Misfit> {
        let page = |address: u64| i128::from(address & !0xfff);
        let value = page(entry) - page(at);
        if !DATA_REACH.contains(value) {
            let limit = DATA_REACH.limit(value);
            return Err(Misfit::Range { value, limit });
        }
        let operations = [PAGE, LOAD, JUMP, 0];
        for (bytes, operation) in stub.chunks_exact_mut(4).zip(operations) {
            bytes.copy_from_slice(&instruction(operation, SCRATCH).to_le_bytes());
        }
        PAGE_NUMBER.write(&mut stub[..4], value);
        LOAD_OFFSET.write(&mut stub[4..8], entry.into());
        Ok(())
    }
}
