//! Rewriting 64-bit Arm code that takes an address from a GOT entry, where `adrp` reaches what the entry says.
//!
//! `adrp` gives the page of the entry and `ldr` the address that stands there; both have a relocation. Where the symbol's own page is within
//! ±4 GiB, `adrp` gives that, and an `add` in the place of `ldr` the rest: the same value in the same register, without a load. Nothing in an
//! object says that the two belong together, so they are rewritten only as lld does: they lie behind each other, as their relocations do, name
//! one symbol, and use one register, so that nothing behind them sees the page. `apply` sees to the relocations, this file to the
//! instructions.
//!
//! Source: ELF for the Arm 64-bit Architecture, §5.7.8 "Static linker optimizations"; lld's `ELF/Arch/AArch64.cpp` for when it is safe.

use super::instructions::{LOW_1, PAGE, PAGE_REACH};

/// The number of a register stands in five bits; 31 is none for `adrp`, and the stack for `ldr`.
const REGISTER: u32 = 0x1f;

/// `adrp xN, entry; ldr xN, [xN, entry]` → `adrp xN, symbol; add xN, xN, symbol`, for instructions at `place`. `None` if they are other ones, or
/// the symbol lies too far away.
pub(super) fn load_from_entry(code: [u8; 8], place: u64, symbol: u64) -> Option<[u8; 8]> {
    const ADRP: u32 = 0x9000_0000;
    const ADRP_BITS: u32 = 0x9f00_0000;
    const LDR: u32 = 0xf940_0000;
    const LDR_BITS: u32 = 0xffc0_0000;
    const ADD: u32 = 0x9100_0000;
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| code[at + index]));
    let (adrp, ldr) = (word(0), word(4));
    let register = adrp & REGISTER;
    let is_pair = adrp & ADRP_BITS == ADRP
        && ldr & LDR_BITS == LDR
        && ldr & REGISTER == register
        && ldr >> 5 & REGISTER == register
        && register != REGISTER;
    let page = |address: u64| i128::from(address & !0xfff);
    let distance = page(symbol) - page(place);
    if !is_pair || !PAGE_REACH.contains(distance) {
        return None;
    }
    let add = ADD | register << 5 | register;
    let mut relaxed = [0; 8];
    let (first, second) = relaxed.split_at_mut(4);
    first.copy_from_slice(&adrp.to_le_bytes());
    second.copy_from_slice(&add.to_le_bytes());
    PAGE.write(first, distance);
    LOW_1.write(second, symbol.into());
    Some(relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code([first, second]: [u32; 2]) -> [u8; 8] {
        let words = [first.to_le_bytes(), second.to_le_bytes()].concat();
        words.try_into().expect("two words")
    }

    fn relaxed(words: [u32; 2], place: u64, symbol: u64) -> Option<[u8; 8]> {
        load_from_entry(code(words), place, symbol)
    }

    /// The instructions are those that GNU's assembler writes for these operands.
    #[test]
    fn an_address_that_adrp_reaches_is_computed_and_not_loaded() {
        // adrp x3, .; ldr x3, [x3] → adrp x3, .+0x12345000; add x3, x3, #0x678
        let expected = code([0xb009_1a23, 0x9119_e063]);
        let pair = [0x9000_0003, 0xf940_0063];
        assert_eq!(relaxed(pair, 0x4_0000_0ffc, 0x4_1234_5678), Some(expected));
        // What the assembler has left in the fields does not count.
        let filled = [0xb009_1a23, 0xf943_3c63];
        assert_eq!(
            relaxed(filled, 0x4_0000_0000, 0x4_1234_5678),
            Some(expected)
        );
        // adrp x3, .-0x1000; add x3, x3, #0
        let before = code([0xf0ff_ffe3, 0x9100_0063]);
        assert_eq!(relaxed(pair, 0x4_0000_0000, 0x3_ffff_f000), Some(before));
    }

    #[test]
    fn an_address_beyond_the_reach_of_adrp_is_loaded() {
        const REACH: u64 = 1 << 32;
        let pair = [0x9000_0003, 0xf940_0063];
        assert!(relaxed(pair, 0x1fff, 0x1000 + REACH - 1).is_some());
        assert_eq!(relaxed(pair, 0x1fff, 0x1000 + REACH), None);
        assert!(relaxed(pair, 0x1000 + REACH, 0x1000).is_some());
        assert_eq!(relaxed(pair, 0x1000 + REACH, 0xfff), None);
        assert_eq!(relaxed(pair, 0, u64::MAX), None);
    }

    #[test]
    fn other_instructions_and_other_registers_are_left_alone() {
        let near = |words| relaxed(words, 0x1000, 0x2000);
        assert!(near([0x9000_0003, 0xf940_0063]).is_some());
        for words in [
            // ldr x4, [x3]; ldr x3, [x4]; ldr x4, [x4]: the page is seen, or another register's.
            [0x9000_0003, 0xf940_0064],
            [0x9000_0003, 0xf940_0083],
            [0x9000_0003, 0xf940_0084],
            // ldr w3, [x3]; ldrsw x3, [x3]; ldr d3, [x3]; str x3, [x3]; ldr x3, [x3], #8; add x3, x3, #0
            [0x9000_0003, 0xb940_0063],
            [0x9000_0003, 0xb980_0063],
            [0x9000_0003, 0xfd40_0063],
            [0x9000_0003, 0xf900_0063],
            [0x9000_0003, 0xf840_8463],
            [0x9000_0003, 0x9100_0063],
            // adr x3, .; and adrp xzr, .; ldr xzr, [sp]
            [0x1000_0003, 0xf940_0063],
            [0x9000_001f, 0xf940_03ff],
        ] {
            assert_eq!(near(words), None, "{words:x?}");
        }
    }
}
