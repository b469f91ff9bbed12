//! A processor of the fake machine. It reads instructions as the machine's description has them and knows nothing of relocations.

use super::memory::Scattered;
use crate::arch::fake::{CALL, JUMP, LOAD, LOW, PAGE, SKIP};

/// What the processor knows.
pub(super) struct Processor<'m> {
    memory: &'m Scattered,
    pub(super) registers: [u64; 32],
    pub(super) at: u64,
}

/// Bits `from` to `from + width` of an instruction, as a signed number.
fn signed(parts: &[(u32, u32, u32)]) -> i64 {
    let joined = parts.iter().rev().fold((0_i64, 0), |(bits, total), part| {
        let (instruction, from, width) = *part;
        let field = i64::from(instruction >> from) & ((1 << width) - 1);
        (bits << width | field, total + width)
    });
    let unused = 64 - joined.1;
    joined.0 << unused >> unused
}

impl<'m> Processor<'m> {
    pub(super) fn new(memory: &'m Scattered, at: u64) -> Self {
        Self {
            memory,
            registers: [0; 32],
            at,
        }
    }

    /// Executes until it leaves the memory, and says where to.
    pub(super) fn run(&mut self) -> u64 {
        while let Some(bytes) = self.memory.read(self.at) {
            self.step(u32::from_le_bytes(bytes));
        }
        self.at
    }

    pub(super) fn step(&mut self, code: u32) {
        let register = &mut self.registers[(code >> 6) as usize & 31];
        let here = self.at;
        self.at += 4;
        match code & 63 {
            CALL => self.at = here.wrapping_add_signed(signed(&[(code, 6, 26)]) * 4),
            SKIP if *register == 0 => {
                let distance = signed(&[(code, 28, 4), (code, 11, 15)]) * 4;
                self.at = here.wrapping_add_signed(distance);
            }
            SKIP => {}
            PAGE => {
                let pages = signed(&[(code, 29, 3), (code, 11, 18)]);
                *register = (here & !0xfff).wrapping_add_signed(pages << 12);
            }
            LOW => *register += u64::from(code >> 11 & 0xfff),
            LOAD => {
                let place = *register + u64::from(code >> 11 & 0x1ff) * 8;
                let loaded = self.memory.read(place).expect("something lies there");
                *register = u64::from_le_bytes(loaded);
            }
            JUMP => self.at = *register,
            other => panic!("{other} at {here:#x}"),
        }
    }
}
