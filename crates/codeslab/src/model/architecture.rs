//! How far apart code, constants and data may lie: what each machine's code takes for granted.
//!
//! Sources: System V psABI for AMD64 §3.5.1 (code models); ELF for the Arm 64-bit architecture, "Code models" in SYSVABI64;
//! RISC-V ELF psABI, "Code models".

use std::fmt;

named! {
    /// The instruction set that code is made for.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[non_exhaustive]
    pub enum Architecture {
        /// AMD64, Intel 64.
        X86_64 = "x86_64",
        /// 64-bit Arm.
        Aarch64 = "aarch64",
        /// 64-bit RISC-V.
        Riscv64 = "riscv64",
    }
}

impl Architecture {
    /// What memory for code is filled with while it holds none: bytes that trap when they are executed.
    #[must_use]
    pub const fn fill_pattern(self) -> [u8; 4] {
        match self {
            // int3
            Self::X86_64 => [0xcc; 4],
            // brk #0
            Self::Aarch64 => 0xd420_0000_u32.to_le_bytes(),
            // ebreak
            Self::Riscv64 => 0x0010_0073_u32.to_le_bytes(),
        }
    }
}

/// How far one reference may span, in bytes, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reach(u64);

impl Reach {
    /// No limit: references are 64 bits wide.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// A reach of this many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The largest power of two within reach, and at most 4 GiB: slabs count their granules in 32 bits.
    pub(crate) const fn largest_block(self) -> u64 {
        const MOST: u64 = 4 << 30;
        if self.0 > MOST {
            MOST
        } else {
            1 << self.0.ilog2()
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNLIMITED {
            f.write_str("unlimited")
        } else {
            write!(f, "±{:#x}", self.0)
        }
    }
}

named! {
    /// What code assumes about the distance between itself, its callees, its constants and its data.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub enum CodeModel {
        /// ±1 MiB on `AArch64`.
        Tiny = "tiny",
        /// What compilers do unless they are told otherwise: ±2 GiB; branches of 64-bit Arm span ±128 MiB.
        #[default]
        Small = "small",
        /// Code within ±2 GiB, large data anywhere (x86-64).
        Medium = "medium",
        /// Anything anywhere.
        Large = "large",
    }
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl CodeModel {
    /// The distance that the shortest of its references to data can span on `architecture`, and where [`CodeModel::branch_reach`] says
    /// nothing else, its branches too; `None` where it has no such model.
    ///
    /// The limit of a signed displacement is one byte shorter forwards than backwards, and it is counted from the
    /// instruction or the field, not from the start of the section: 64 KiB are kept back for that.
    #[must_use]
    pub const fn reach(self, architecture: Architecture) -> Option<Reach> {
        const SLACK: u64 = 64 << 10;
        match (architecture, self) {
            (_, Self::Large) => Some(Reach::UNLIMITED),
            // adr, and ldr of a literal.
            (Architecture::Aarch64, Self::Tiny) => Some(Reach(MIB - SLACK)),
            // What describes code (.eh_frame) has 32 bits for a distance on 64-bit Arm, too, where adrp would reach ±4 GiB.
            (Architecture::X86_64, Self::Small | Self::Medium)
            | (Architecture::Aarch64 | Architecture::Riscv64, Self::Small) => {
                Some(Reach(2 * GIB - SLACK))
            }
            _ => None,
        }
    }

    /// The distance that a branch can span on `architecture`, which may be less than [`CodeModel::reach`]: what is farther away is
    /// reached through a stub. `None` where it has no such model.
    ///
    /// Code of one request is contiguous, so it branches within itself as long as it is no larger than that; between requests it takes a
    /// window, or a stub. Some bytes are kept back, as for `reach`.
    #[must_use]
    pub const fn branch_reach(self, architecture: Architecture) -> Option<Reach> {
        // b and bl; branches on conditions span less, and stay within a function.
        const BRANCH: u64 = 128 * MIB - (64 << 10);
        match (architecture, self.reach(architecture)) {
            (Architecture::Aarch64, Some(Reach(reach))) if reach > BRANCH => Some(Reach(BRANCH)),
            (_, reach) => reach,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_span_less_than_data_on_64_bit_arm_alone() {
        let both = |model: CodeModel, architecture| {
            let (data, branches) = (model.reach(architecture), model.branch_reach(architecture));
            (data.map(Reach::bytes), branches.map(Reach::bytes))
        };
        for architecture in [Architecture::X86_64, Architecture::Riscv64] {
            for model in CodeModel::ALL {
                let (data, branches) = both(model, architecture);
                assert_eq!(data, branches, "{architecture} {model}");
            }
        }
        let near = |reach: Option<u64>, whole: u64| {
            reach.is_some_and(|reach| reach < whole && reach + (1 << 20) > whole)
        };
        let (data, branches) = both(CodeModel::Small, Architecture::Aarch64);
        assert!(near(data, 2 * GIB) && near(branches, 128 * MIB));
        let (data, branches) = both(CodeModel::Tiny, Architecture::Aarch64);
        assert!(near(data, MIB) && data == branches);
        let (data, branches) = both(CodeModel::Large, Architecture::Aarch64);
        assert_eq!(data, Some(u64::MAX));
        assert!(near(branches, 128 * MIB), "b and bl are what there is");
        assert_eq!(both(CodeModel::Medium, Architecture::Aarch64), (None, None));
    }
}
