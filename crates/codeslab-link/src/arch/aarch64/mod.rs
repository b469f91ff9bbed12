//! 64-bit Arm, as a linker sees it.
//!
//! Instructions have four bytes, at multiples of four, and no room for an address. `bl` and `b` span ±128 MiB; what lies farther away is
//! reached through a stub. Branches on conditions span ±1 MiB and ±32 KiB, and compilers keep them within a function. Data is addressed
//! in two steps: `adrp` gives the 4 KiB page, within ±4 GiB, whatever the pages of the system are, and the next instruction adds the low
//! 12 bits, which loads and stores keep without those that are 0 at their size. What may be anywhere is an 8-byte entry of the GOT; code that
//! takes an address from there can be rewritten to do without when it turns out to be near (`relax`).
//!
//! `x16` and `x17` are for what lies between a caller and its callee, so stubs use them. Where branches are guarded (BTI), a function may
//! be called through a pointer only if it begins with `bti c`, and a branch through `x16` or `x17` may arrive there, too. Processors
//! without it take the instruction for one that does nothing.
//!
//! The thread pointer is `tpidr_el0`, and variables lie above it. Compilers ask descriptors for them unless they are told otherwise.
//!
//! Source: ELF for the Arm 64-bit Architecture (<https://github.com/ARM-software/abi-aa>); Arm Architecture Reference Manual for A-profile,
//! chapter C6, for the encodings (<https://developer.arm.com/documentation/ddi0487/latest>).

mod atomics;
mod binder;
mod compact;
mod elf;
mod instructions;
mod macho;
mod relax;
mod thread_local;

use super::compact::CompactForm;
use super::machine::{Binder, BinderCode, Builtin, Machine, Table};
use super::row::Misfit;
use codeslab::Architecture;
use instructions::{BTI_C, LOW_8, PAGE, PAGE_REACH, code};

/// The machine.
#[derive(Debug)]
pub(super) struct Aarch64;

/// What object files say about it, format by format.
pub(super) static TABLES: [Table; 2] = [elf::TABLE, macho::TABLE];

impl Machine for Aarch64 {
    fn architecture(&self) -> Architecture {
        Architecture::Aarch64
    }

    fn name(&self) -> &'static str {
        "AArch64"
    }

    /// Mapping symbols: `$x` where code begins, `$d` where data does, with anything behind a dot. Source: AAELF64, "Mapping symbols".
    fn is_mark(&self, name: &str) -> bool {
        let end = name.strip_prefix("$x").or_else(|| name.strip_prefix("$d"));
        end.is_some_and(|end| end.is_empty() || end.starts_with('.'))
    }

    /// `GNU_PROPERTY_AARCH64_FEATURE_1_AND`, whose lowest bit is that of BTI. Source: AAELF64, "Program Property".
    fn landing_pad_property(&self) -> Option<u32> {
        Some(0xc000_0000)
    }

    fn stub_size(&self) -> u64 {
        16
    }

    /// `bti c; adrp x16, entry; ldr x17, [x16, entry]; br x17`
    fn write_stub(&self, stub: &mut [u8], at: u64, entry: u64) -> Result<(), Misfit> {
        let page = |address: u64| i128::from(address & !0xfff);
        let value = page(entry) - page(at + 4);
        if !PAGE_REACH.contains(value) {
            let limit = PAGE_REACH.limit(value);
            return Err(Misfit::Range { value, limit });
        }
        stub.copy_from_slice(&code(&[BTI_C, 0x9000_0010, 0xf940_0211, 0xd61f_0220]));
        PAGE.write(&mut stub[4..8], value);
        LOW_8.write(&mut stub[8..12], entry.into());
        Ok(())
    }

    fn code_align(&self) -> u64 {
        4
    }

    /// `bti c; stp x29, x30, [sp, #-16]!; mov x29, sp`, and `ldp x29, x30, [sp], #16; ret`: a call leaves its return address in x30, which
    /// the calls between overwrite.
    fn function_frame(&self) -> Option<[&'static [u8]; 2]> {
        const BEFORE: [u8; 12] = [
            0x5f, 0x24, 0x03, 0xd5, 0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91,
        ];
        const AFTER: [u8; 8] = [0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6];
        Some([&BEFORE, &AFTER])
    }

    fn binder(&self, binder: Binder) -> Option<BinderCode> {
        binder::code(binder)
    }

    fn access_log2(&self, code: &[u8], field: usize) -> u32 {
        let word = code.get(field..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| {
            instructions::access_log2(u32::from_le_bytes(*word))
        })
    }

    fn compact_form(&self) -> Option<&'static CompactForm> {
        Some(&compact::FORM)
    }

    fn builtins(&self) -> &'static [&'static [Builtin]] {
        &BUILTINS
    }
}

/// What code refers to because compilers have it in a library of their own.
static BUILTINS: [&[Builtin]; 3] = [atomics::ALL[0], atomics::ALL[1], &thread_local::APPLE];

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(at: u64, entry: u64) -> Result<Vec<u32>, Misfit> {
        let mut stub = [0; 16];
        Aarch64.write_stub(&mut stub, at, entry)?;
        let (words, _) = stub.as_chunks::<4>();
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// The instructions are those that GNU's assembler writes for these operands.
    #[test]
    fn a_stub_may_be_called_and_branches_through_its_entry_if_that_is_in_reach() {
        // adrp x16, .+0x5000; ldr x17, [x16, #8]
        let near = vec![BTI_C, 0xb000_0030, 0xf940_0611, 0xd61f_0220];
        assert_eq!(stub(0x1000, 0x6008), Ok(near));
        // adrp x16, .-0x5000
        assert_eq!(stub(0x6000, 0x1000).map(|code| code[1]), Ok(0xf0ff_ffd0));
        let reach = 1_u64 << 32;
        assert!(stub(0x1000, reach + 0xff8).is_ok());
        let (value, limit) = (i128::from(reach), i128::from(reach) - 1);
        assert_eq!(
            stub(0x1000, reach + 0x1000),
            Err(Misfit::Range { value, limit })
        );
        assert!(stub(reach, 0).is_ok());
        assert!(stub(reach + 0x1000, 0).is_err());
    }
}
