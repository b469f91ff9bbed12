//! Which processors compilers number, by what the processor says of itself.
//!
//! `__builtin_cpu_is` and `target_clones("arch=…")` compare a maker, a type and a subtype; the numbers are an interface, given at the end.
//! A processor that is newer than this table has a maker and no type, as with a compiler's own library that is older than it.
//!
//! Numbers: GCC's `i386-cpuinfo.h`, LLVM's `X86TargetParser.def`. Models: Intel SDM volume 4, table 2-1; AMD's revision guides.

/// Who made a processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Maker {
    Intel = 1,
    Amd = 2,
    Zhaoxin = 3,
    Other = 4,
    Centaur = 5,
    Cyrix = 6,
    Nsc = 7,
}

impl Maker {
    /// By the twelve letters that the processor spells.
    pub(super) fn of(letters: [u8; 12], family: u32) -> Self {
        match &letters {
            b"GenuineIntel" => Self::Intel,
            b"AuthenticAMD" => Self::Amd,
            b"CentaurHauls" if family < 7 => Self::Centaur,
            b"CentaurHauls" | b"  Shanghai  " => Self::Zhaoxin,
            b"CyrixInstead" => Self::Cyrix,
            b"Geode by NSC" => Self::Nsc,
            _ => Self::Other,
        }
    }
}

/// A type and a subtype, 0 for none.
pub(super) type Kind = (u32, u32);

const COREI7: u32 = 3;

/// Intel's family 6, by model.
#[rustfmt::skip] // A table is read by columns.
static INTEL: [(&[u32], Kind); 31] = [
    (&[0x1c, 0x26, 0x27, 0x35, 0x36], (1, 0)),                    // bonnell
    (&[0x0f, 0x16, 0x17, 0x1d], (2, 0)),                          // core2
    (&[0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x5d, 0x75], (6, 0)),        // silvermont
    (&[0x57], (7, 0)),                                            // knl
    (&[0x85], (11, 0)),                                           // knm
    (&[0x5c, 0x5f], (12, 0)),                                     // goldmont
    (&[0x7a], (13, 0)),                                           // goldmont-plus
    (&[0x86, 0x8a, 0x96, 0x9c], (14, 0)),                         // tremont
    (&[0xaf], (17, 0)),                                           // sierraforest
    (&[0xb6], (18, 0)),                                           // grandridge
    (&[0x1a, 0x1e, 0x1f, 0x2e], (COREI7, 1)),                     // nehalem
    (&[0x25, 0x2c, 0x2f], (COREI7, 2)),                           // westmere
    (&[0x2a, 0x2d], (COREI7, 3)),                                 // sandybridge
    (&[0x3a, 0x3e], (COREI7, 12)),                                // ivybridge
    (&[0x3c, 0x3f, 0x45, 0x46], (COREI7, 13)),                    // haswell
    (&[0x3d, 0x47, 0x4f, 0x56], (COREI7, 14)),                    // broadwell
    (&[0x4e, 0x5e, 0x8e, 0x9e, 0xa5, 0xa6], (COREI7, 15)),        // skylake
    (&[0x55], (COREI7, SKYLAKE_AVX512)),                          // skylake-avx512, or what came after it
    (&[0x66], (COREI7, 17)),                                      // cannonlake
    (&[0x7d, 0x7e, 0x9d], (COREI7, 18)),                          // icelake-client
    (&[0x6a, 0x6c], (COREI7, 19)),                                // icelake-server
    (&[0x8c, 0x8d], (COREI7, 22)),                                // tigerlake
    (&[0x8f, 0xcf], (COREI7, 24)),                                // sapphirerapids
    (&[0x97, 0x9a, 0xaa, 0xac, 0xb5, 0xb7, 0xba, 0xbe, 0xbf], (COREI7, 25)), // alderlake
    (&[0xa7, 0xa8], (COREI7, 27)),                                // rocketlake
    (&[0xad], (COREI7, 30)),                                      // graniterapids
    (&[0xae], (COREI7, 31)),                                      // graniterapids-d
    (&[0xc5], (COREI7, 32)),                                      // arrowlake
    (&[0xc6, 0xbd], (COREI7, 33)),                                // arrowlake-s
    (&[0xcc], (COREI7, 34)),                                      // pantherlake
    (&[0xdd], (19, 0)),                                           // clearwaterforest
];

const SKYLAKE_AVX512: u32 = 16;
const CASCADELAKE: u32 = 21;
const COOPERLAKE: u32 = 23;

/// AMD's, by family and models. The first that fits counts.
#[rustfmt::skip] // A table is read by columns.
static AMD: [(u32, std::ops::RangeInclusive<u32>, Kind); 19] = [
    (0x10, 0x02..=0x02, (4, 4)),   // barcelona
    (0x10, 0x04..=0x04, (4, 5)),   // shanghai
    (0x10, 0x08..=0x08, (4, 6)),   // istanbul
    (0x10, 0x00..=0xff, (4, 0)),
    (0x14, 0x00..=0xff, (8, 0)),   // btver1
    (0x15, 0x02..=0x02, (5, 8)),   // bdver2
    (0x15, 0x00..=0x0f, (5, 7)),   // bdver1
    (0x15, 0x10..=0x2f, (5, 8)),   // bdver2
    (0x15, 0x30..=0x4f, (5, 9)),   // bdver3
    (0x15, 0x50..=0xff, (5, 10)),  // bdver4
    (0x16, 0x00..=0xff, (9, 0)),   // btver2
    (0x17, 0x00..=0x2f, (10, 11)), // znver1
    (0x17, 0x30..=0xff, (10, 20)), // znver2
    (0x19, 0x00..=0x0f, (15, 26)), // znver3
    (0x19, 0x10..=0x1f, (15, 29)), // znver4
    (0x19, 0x20..=0x5f, (15, 26)), // znver3
    (0x19, 0x60..=0xaf, (15, 29)), // znver4
    (0x19, 0xb0..=0xff, (15, 0)),
    (0x1a, 0x00..=0xff, (20, 36)), // znver5
];

/// The type and subtype of a processor. `has` says whether it has a feature, by number.
pub(super) fn kind(maker: Maker, family: u32, model: u32, has: impl Fn(u32) -> bool) -> Kind {
    const AVX512_BF16: u32 = 36;
    const AVX512_VNNI: u32 = 34;
    match maker {
        Maker::Intel if family == 6 => {
            let of_model = |(models, _): &&(&[u32], Kind)| models.contains(&model);
            match INTEL.iter().find(of_model).map(|(_, kind)| *kind) {
                Some((COREI7, SKYLAKE_AVX512)) if has(AVX512_BF16) => (COREI7, COOPERLAKE),
                Some((COREI7, SKYLAKE_AVX512)) if has(AVX512_VNNI) => (COREI7, CASCADELAKE),
                kind => kind.unwrap_or_default(),
            }
        }
        Maker::Amd => {
            let fits = |(of, models, _): &&(u32, std::ops::RangeInclusive<u32>, Kind)| {
                *of == family && models.contains(&model)
            };
            AMD.iter().find(fits).map_or((0, 0), |(_, _, kind)| *kind)
        }
        Maker::Zhaoxin if family == 7 && model == 0x3b => (16, 28),
        Maker::Zhaoxin if family == 7 && model == 0x5b => (16, 35),
        Maker::Zhaoxin if family == 7 => (16, 0),
        _ => (0, 0),
    }
}
