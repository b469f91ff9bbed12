//! How far apart code, constants and data may lie: what each machine's code takes for granted.
//!
//! Sources: System V psABI for AMD64 §3.5.1 (code models); ELF for the Arm 64-bit architecture, "Code models" in SYSVABI64;
//! RISC-V ELF psABI, "Code models".

use std::fmt;

/// The instruction set that code is made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Architecture {
    /// AMD64, Intel 64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Architecture {
    /// The name that compilers use for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The bytes that trap when they are executed; freed code is filled with them.
    #[must_use]
    pub const fn trap_pattern(self) -> [u8; 4] {
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

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

/// What code assumes about the distance between itself, its callees, its constants and its data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CodeModel {
    /// ±1 MiB on `AArch64`.
    Tiny,
    /// What compilers do unless they are told otherwise: ±2 GiB on x86-64 and RISC-V.
    #[default]
    Small,
    /// Code within ±2 GiB, large data anywhere (x86-64).
    Medium,
    /// Anything anywhere.
    Large,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl CodeModel {
    /// Every code model.
    pub const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Medium, Self::Large];

    /// `tiny`, `small`, `medium` or `large`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// The model of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// The distance that the shortest of its references can span on `architecture`; `None` where it has no such model.
    ///
    /// The limit of a signed displacement is one byte shorter forwards than backwards, and it is counted from the
    /// instruction or the field, not from the start of the section: 64 KiB are kept back for that.
    #[must_use]
    pub const fn reach(self, architecture: Architecture) -> Option<Reach> {
        const SLACK: u64 = 64 << 10;
        match (architecture, self) {
            (_, Self::Large) => Some(Reach::UNLIMITED),
            // adr, and b.cond.
            (Architecture::Aarch64, Self::Tiny) => Some(Reach(MIB - SLACK)),
            // bl; adrp reaches ±4 GiB and .eh_frame ±2 GiB.
            (Architecture::Aarch64, Self::Small) => Some(Reach(128 * MIB - SLACK)),
            (Architecture::X86_64, Self::Small | Self::Medium)
            | (Architecture::Riscv64, Self::Small) => Some(Reach(2 * GIB - SLACK)),
            _ => None,
        }
    }
}

impl fmt::Display for CodeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
