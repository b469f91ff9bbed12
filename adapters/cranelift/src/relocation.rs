//! Relocations of Cranelift's that code without position independence has, as rows: formula, field, range.
//!
//! Sources: System V psABI for AMD64, table 4.9; ELF for the Arm 64-bit architecture, "Static relocations". S is the address of
//! what is referred to, A the addend, P the address of the field. Everything is computed before anything is written.

use cranelift_codegen::binemit::Reloc;

/// What a relocation puts where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patch {
    /// Four bytes, whatever was there.
    Word([u8; 4]),
    /// Eight bytes, whatever was there.
    Double([u8; 8]),
    /// Bits of an instruction: those of the mask become these.
    Instruction { mask: u32, bits: u32 },
}

/// Why there is no patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Unsupported,
    OutOfReach { distance: i128, bits: u32 },
}

/// The bytes that a kind of relocation writes to; `None` for one that is not supported.
pub(crate) const fn width(kind: Reloc) -> Option<u64> {
    match kind {
        Reloc::Abs8 => Some(8),
        Reloc::Abs4
        | Reloc::X86PCRel4
        | Reloc::X86CallPCRel4
        | Reloc::Arm64Call
        | Reloc::Aarch64AdrPrelPgHi21
        | Reloc::Aarch64AddAbsLo12Nc => Some(4),
        _ => None,
    }
}

/// What a relocation of `kind` at `place` writes so that it refers to `target`, which is S + A.
pub(crate) fn patch(kind: Reloc, target: i128, place: u64) -> Result<Patch, Failure> {
    let place = i128::from(place);
    match kind {
        // S + A, unsigned
        Reloc::Abs4 => u32::try_from(target)
            .map(|value| Patch::Word(value.to_le_bytes()))
            .map_err(|_| too_far(target, 32)),
        // S + A, modulo 2^64 as the processor counts
        Reloc::Abs8 => Ok(Patch::Double(low_word(target).to_le_bytes())),
        // S + A - P
        Reloc::X86PCRel4 | Reloc::X86CallPCRel4 => i32::try_from(target - place)
            .map(|value| Patch::Word(value.to_le_bytes()))
            .map_err(|_| too_far(target - place, 32)),
        // S + A - P in words: bits 25 to 0 of bl and b
        Reloc::Arm64Call => {
            let words = signed((target - place) >> 2, 26, target - place, 28)?;
            Ok(Patch::Instruction {
                mask: 0x03ff_ffff,
                bits: words,
            })
        }
        // Page(S + A) - Page(P) in pages: bits 30 to 29 of adrp are the lowest, bits 23 to 5 the rest
        Reloc::Aarch64AdrPrelPgHi21 => {
            let pages = (target >> 12) - (place >> 12);
            let pages = signed(pages, 21, target - place, 33)?;
            Ok(Patch::Instruction {
                mask: 0x60ff_ffe0,
                bits: (pages & 3) << 29 | (pages >> 2) << 5,
            })
        }
        // The lowest 12 bits of S + A: bits 21 to 10 of add
        Reloc::Aarch64AddAbsLo12Nc => Ok(Patch::Instruction {
            mask: 0x003f_fc00,
            bits: (low_word(target) as u32 & 0xfff) << 10,
        }),
        _ => Err(Failure::Unsupported),
    }
}

/// The lowest `bits` bits of a number that they can hold with its sign.
fn signed(value: i128, bits: u32, distance: i128, spans: u32) -> Result<u32, Failure> {
    let half = 1_i128 << (bits - 1);
    if (-half..half).contains(&value) {
        Ok(low_word(value) as u32 & ((1 << bits) - 1))
    } else {
        Err(too_far(distance, spans))
    }
}

/// The lowest 64 bits of a number, as processors keep negative ones.
const fn low_word(value: i128) -> u64 {
    value.cast_unsigned() as u64
}

const fn too_far(distance: i128, bits: u32) -> Failure {
    Failure::OutOfReach { distance, bits }
}

impl Patch {
    /// Writes it over the bytes at the start of `field`, which has as many as [`width`] says.
    pub(crate) fn apply(self, field: &mut [u8]) {
        match self {
            Self::Word(bytes) => field[..4].copy_from_slice(&bytes),
            Self::Double(bytes) => field[..8].copy_from_slice(&bytes),
            Self::Instruction { mask, bits } => {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&field[..4]);
                let instruction = u32::from_le_bytes(bytes) & !mask | bits;
                field[..4].copy_from_slice(&instruction.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: u64 = 0x7fff_0000_1000;

    /// What an instruction is after a relocation to something `distance` bytes away.
    fn at(kind: Reloc, distance: i128, instruction: u32) -> Result<u32, Failure> {
        let mut field = instruction.to_le_bytes();
        patch(kind, i128::from(PLACE) + distance, PLACE)?.apply(&mut field);
        Ok(u32::from_le_bytes(field))
    }

    #[test]
    fn every_kind_writes_what_its_manual_says_and_nothing_else() {
        let rows = [
            (Reloc::X86PCRel4, 0x1234, 0xdead_beef, 0x1234),
            (Reloc::X86CallPCRel4, -4, 0, 0xffff_fffc),
            // bl, forwards and backwards, twice over a field that was not empty
            (Reloc::Arm64Call, 8, 0x9400_0000, 0x9400_0002),
            (Reloc::Arm64Call, -8, 0x9400_0002, 0x97ff_fffe),
            // adrp x0: one page on, and one back
            (
                Reloc::Aarch64AdrPrelPgHi21,
                0x1000,
                0x9000_0000,
                0xb000_0000,
            ),
            (
                Reloc::Aarch64AdrPrelPgHi21,
                -0x1000,
                0x9000_0000,
                0xf0ff_ffe0,
            ),
            // add x0, x0, #0x345
            (Reloc::Aarch64AddAbsLo12Nc, 0x345, 0x9100_0000, 0x910d_1400),
        ];
        for (kind, distance, before, after) in rows {
            assert_eq!(
                at(kind, distance, before),
                Ok(after),
                "{kind:?} {distance:#x}"
            );
            let again = at(kind, distance, after);
            assert_eq!(again, Ok(after), "{kind:?} twice");
        }
        assert_eq!(
            patch(Reloc::Abs8, 0x1122_3344_5566_7788, PLACE),
            Ok(Patch::Double(0x1122_3344_5566_7788_u64.to_le_bytes()))
        );
        assert_eq!(
            patch(Reloc::Abs4, 0xffff_ffff, PLACE),
            Ok(Patch::Word([0xff; 4]))
        );
    }

    #[test]
    fn every_kind_ends_where_its_field_does() {
        let rows = [
            (Reloc::X86PCRel4, (1_i128 << 31) - 1, -(1_i128 << 31), 32),
            (Reloc::X86CallPCRel4, (1 << 31) - 1, -(1 << 31), 32),
            (Reloc::Arm64Call, (1 << 27) - 4, -(1 << 27), 28),
            (Reloc::Aarch64AdrPrelPgHi21, (1 << 32) - 1, -(1 << 32), 33),
        ];
        for (kind, most, least, bits) in rows {
            // Instructions count in words, adrp in pages.
            let step = if kind == Reloc::Arm64Call { 4 } else { 1 };
            for distance in [most, least] {
                assert!(at(kind, distance, 0).is_ok(), "{kind:?} {distance:#x}");
            }
            for distance in [most + step, least - step] {
                let failure = Failure::OutOfReach { distance, bits };
                assert_eq!(at(kind, distance, 0), Err(failure), "{kind:?}");
            }
        }
        for target in [1 << 32, -1] {
            let failure = Failure::OutOfReach {
                distance: target,
                bits: 32,
            };
            assert_eq!(patch(Reloc::Abs4, target, PLACE), Err(failure));
        }
    }

    #[test]
    fn what_needs_a_table_is_not_supported() {
        for kind in [
            Reloc::X86GOTPCRel4,
            Reloc::X86CallPLTRel4,
            Reloc::ElfX86_64TlsGd,
            Reloc::Aarch64AdrGotPage21,
        ] {
            assert_eq!(width(kind), None, "{kind:?}");
            assert_eq!(patch(kind, 0, PLACE), Err(Failure::Unsupported), "{kind:?}");
        }
    }
}
