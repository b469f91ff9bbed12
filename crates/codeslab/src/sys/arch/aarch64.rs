//! 64-bit Arm. What a reader must know about it:
//!
//! - Fetches of instructions go through caches of their own, which do not see stores by themselves. A store reaches them when the data cache is
//!   cleaned to the point of unification (`dc cvau`), the instruction cache is invalidated there (`ic ivau`), each by line, each completed by
//!   `dsb ish`, and the fetching processor then executes `isb`. Arm ARM, "Ordering and completion of data and instruction cache
//!   instructions". <https://developer.arm.com/documentation/ddi0487/latest>
//! - `CTR_EL0` tells how long lines are, and whether either step is unnecessary: IDC for cleaning, DIC for invalidating. The barriers are
//!   necessary in any case. User mode may read it and use both instructions where the system lets it, as Linux, Windows and macOS do.
//! - Both go by the address that code is executed at; a store through another address of the same memory is cleaned all the same, because
//!   data caches behave as if they went by physical address.
//! - `dc cvau` counts as a read: memory that may not be read faults.
//! - `isb` is about the processor that executes it. The others take the system's help (`membarrier` on Linux).
//! - `x16` and `x17` are for what lies between a caller and its callee. Where branches are guarded, a branch through them may arrive at what
//!   may be called (`bti c`), and at nothing else. Arm ARM, "BTI".
//! - There is no register of access rights by key that user mode can rely on.

use super::{Address, Architecture, Branch, KeyRegister, Processor};
use std::arch::asm;

pub(in crate::sys) struct Native;

impl Processor for Native {
    const ARCHITECTURE: Option<Architecture> = Some(Architecture::Aarch64);
    /// bti c; mov w0, #42; ret. The probe calls it through a pointer.
    const ANSWER: &'static [u8] = &[
        0x5f, 0x24, 0x03, 0xd5, 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6,
    ];
    const FETCHES_ARE_COHERENT: bool = false;
    const FETCHES_AHEAD_OF_OTHERS: bool = true;
    const HAS_GUARDED_PAGES: bool = true;
    const KEY_REGISTER: Option<KeyRegister> = None;

    /// bti c; adrp x16, page; ldr x17, [x16, offset]; br x17
    fn branch_through(at: Address, pointer: Address) -> Option<Branch> {
        const PAGE: u64 = 4096;
        let page = |address: u64| (address / PAGE).cast_signed();
        let offset = pointer.value() % PAGE;
        let pages = page(pointer.value()) - page(at.value() + 4);
        let is_in_reach = (-(1 << 20)..1 << 20).contains(&pages) && offset.is_multiple_of(8);
        let field = pages.cast_unsigned() as u32;
        let adrp = 0x9000_0010 | (field & 0b11) << 29 | (field >> 2 & 0x7_ffff) << 5;
        let ldr = 0xf940_0211 | (offset as u32 / 8) << 10;
        let code = [0xd503_245f, adrp, ldr, 0xd61f_0220].map(u32::to_le_bytes);
        is_in_reach.then(|| code.concat().try_into().ok())?
    }

    unsafe fn synchronize_instructions(ranges: &[(Address, u64)]) {
        let caches = CacheType::of_processor();
        if let Some(line) = caches.data_line {
            for address in ranges.iter().flat_map(|range| lines(*range, line)) {
                // SAFETY: the line holds a byte of a range that is mapped and readable, and cleaning changes no byte.
                unsafe { asm!("dc cvau, {}", in(reg) address, options(nostack, preserves_flags)) };
            }
        }
        // The stores, and what was cleaned, are complete for the whole machine.
        // SAFETY: a barrier changes no register and no memory.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        if let Some(line) = caches.instruction_line {
            for address in ranges.iter().flat_map(|range| lines(*range, line)) {
                // SAFETY: the line holds a byte of a range that is mapped, and invalidating instructions changes no byte.
                unsafe { asm!("ic ivau, {}", in(reg) address, options(nostack, preserves_flags)) };
            }
            // SAFETY: a barrier changes no register and no memory.
            unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier changes no register and no memory.
        unsafe { asm!("isb", options(nostack, preserves_flags)) };
    }
}

/// What `CTR_EL0` tells: how many bytes a line has, if the step by line is necessary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct CacheType {
    data_line: Option<u64>,
    instruction_line: Option<u64>,
}

impl CacheType {
    fn of_processor() -> Self {
        let register: u64;
        // SAFETY: it reads a register that every system lets user mode read, or reads for it.
        unsafe {
            asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack, preserves_flags));
        };
        Self::decode(register)
    }

    /// Fields of Arm ARM, "`CTR_EL0`, Cache Type Register": lines are powers of two words of 4 bytes.
    const fn decode(register: u64) -> Self {
        const IDC: u64 = 1 << 28;
        const DIC: u64 = 1 << 29;
        const fn line(log2_words: u64) -> u64 {
            4 << (log2_words & 0xf)
        }
        Self {
            data_line: if register & IDC == 0 {
                Some(line(register >> 16))
            } else {
                None
            },
            instruction_line: if register & DIC == 0 {
                Some(line(register))
            } else {
                None
            },
        }
    }
}

/// An address of each line of `line` bytes that holds a byte of a range.
fn lines((at, size): (Address, u64), line: u64) -> impl Iterator<Item = u64> {
    let first = at.value() & !(line - 1);
    let end = if size == 0 {
        first
    } else {
        at.value().saturating_add(size)
    };
    (first..end).step_by(line as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_code_touches_is_synchronized_once() {
        let touched = |at, size, line| lines((Address::new(at), size), line).collect::<Vec<_>>();
        assert_eq!(touched(0x1000, 64, 64), [0x1000]);
        assert_eq!(touched(0x103f, 2, 64), [0x1000, 0x1040]);
        assert_eq!(touched(0x1004, 124, 32), [0x1000, 0x1020, 0x1040, 0x1060]);
        assert_eq!(touched(0x1010, 0, 64), []);
    }

    #[test]
    fn a_branch_goes_through_the_word_that_it_is_made_for() {
        let words = |at, pointer| {
            let code = Native::branch_through(Address::new(at), Address::new(pointer))?;
            let (words, _) = code.as_chunks::<4>();
            Some(
                words
                    .iter()
                    .map(|word| u32::from_le_bytes(*word))
                    .collect::<Vec<_>>(),
            )
        };
        // As `llvm-mc` assembles `adrp x16, .+0x5000` and `ldr x17, [x16, #8]`.
        let near = [0xd503_245f, 0xb000_0030, 0xf940_0611, 0xd61f_0220];
        assert_eq!(words(0x1000, 0x6008), Some(near.to_vec()));
        let back = words(0x6000, 0x1000).unwrap();
        assert_eq!(back[1], 0xf0ff_ffd0);
        assert_eq!(words(0x1000, 0x6004), None, "it is no aligned word");
    }

    #[test]
    fn a_step_that_the_processor_makes_unnecessary_is_left_out() {
        // Lines of 64 bytes in both caches; then IDC, then DIC as well.
        let usual = 0x8444_c004;
        let both = (Some(64), Some(64));
        let steps = |register| {
            let caches = CacheType::decode(register);
            (caches.data_line, caches.instruction_line)
        };
        assert_eq!(steps(usual), both);
        assert_eq!(steps(usual | 1 << 28), (None, Some(64)));
        assert_eq!(steps(usual | 1 << 28 | 1 << 29), (None, None));
        assert_eq!(steps(0x8443_c003), (Some(32), Some(32)));
    }
}
