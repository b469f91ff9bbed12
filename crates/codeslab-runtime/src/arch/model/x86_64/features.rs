//! Which features compilers number, and where the processor says that it has them.
//!
//! The numbers are an interface: code that was compiled with `__builtin_cpu_supports`, `target_clones` or `ifunc` tests bits by them.
//! Numbers are given at the end, so a table that is longer than a compiler knows serves it. A feature that needs more state than a
//! thread has without it counts only if the system saves that state.
//!
//! Sources: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. Numbers: GCC's `i386-cpuinfo.h`, LLVM's `X86TargetParser.def`.

use super::cpuid::Register::{self, Eax, Ebx, Ecx, Edx};

/// What the system has to save for a feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// What every thread has.
    Usual,
    /// Vectors of 256 bits.
    Avx,
    /// Vectors of 512 bits and masks.
    Avx512,
    /// Tiles.
    Amx,
}

/// One feature: its number, and the bit that says that the processor has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feature {
    pub(super) number: u32,
    pub(super) leaf: u32,
    pub(super) subleaf: u32,
    pub(super) register: Register,
    pub(super) bit: u32,
    pub(super) state: State,
}

const fn row(
    number: u32,
    (leaf, subleaf): (u32, u32),
    register: Register,
    bit: u32,
    state: State,
) -> Feature {
    Feature {
        number,
        leaf,
        subleaf,
        register,
        bit,
        state,
    }
}

use State::{Amx, Avx, Avx512, Usual};

const BASIC: (u32, u32) = (1, 0);
const SEVEN: (u32, u32) = (7, 0);
const MORE: (u32, u32) = (7, 1);
const SAVING: (u32, u32) = (0xd, 1);
const TRACE: (u32, u32) = (0x14, 0);
const LOCKER: (u32, u32) = (0x19, 0);
const EXTENDED: (u32, u32) = (0x8000_0001, 0);
const CAPACITY: (u32, u32) = (0x8000_0008, 0);

/// Every feature that is one bit.
#[rustfmt::skip] // A table is read by columns.
pub(super) static FEATURES: [Feature; 107] = [
    row(  0, BASIC,    Edx, 15, Usual),  // cmov
    row(  1, BASIC,    Edx, 23, Usual),  // mmx
    row(  2, BASIC,    Ecx, 23, Usual),  // popcnt
    row(  3, BASIC,    Edx, 25, Usual),  // sse
    row(  4, BASIC,    Edx, 26, Usual),  // sse2
    row(  5, BASIC,    Ecx,  0, Usual),  // sse3
    row(  6, BASIC,    Ecx,  9, Usual),  // ssse3
    row(  7, BASIC,    Ecx, 19, Usual),  // sse4.1
    row(  8, BASIC,    Ecx, 20, Usual),  // sse4.2
    row(  9, BASIC,    Ecx, 28, Avx),    // avx
    row( 10, SEVEN,    Ebx,  5, Avx),    // avx2
    row( 11, EXTENDED, Ecx,  6, Usual),  // sse4a
    row( 12, EXTENDED, Ecx, 16, Avx),    // fma4
    row( 13, EXTENDED, Ecx, 11, Avx),    // xop
    row( 14, BASIC,    Ecx, 12, Avx),    // fma
    row( 15, SEVEN,    Ebx, 16, Avx512), // avx512f
    row( 16, SEVEN,    Ebx,  3, Usual),  // bmi
    row( 17, SEVEN,    Ebx,  8, Usual),  // bmi2
    row( 18, BASIC,    Ecx, 25, Usual),  // aes
    row( 19, BASIC,    Ecx,  1, Usual),  // pclmul
    row( 20, SEVEN,    Ebx, 31, Avx512), // avx512vl
    row( 21, SEVEN,    Ebx, 30, Avx512), // avx512bw
    row( 22, SEVEN,    Ebx, 17, Avx512), // avx512dq
    row( 23, SEVEN,    Ebx, 28, Avx512), // avx512cd
    row( 24, SEVEN,    Ebx, 27, Avx512), // avx512er
    row( 25, SEVEN,    Ebx, 26, Avx512), // avx512pf
    row( 26, SEVEN,    Ecx,  1, Avx512), // avx512vbmi
    row( 27, SEVEN,    Ebx, 21, Avx512), // avx512ifma
    row( 28, SEVEN,    Edx,  2, Avx512), // avx5124vnniw
    row( 29, SEVEN,    Edx,  3, Avx512), // avx5124fmaps
    row( 30, SEVEN,    Ecx, 14, Avx512), // avx512vpopcntdq
    row( 31, SEVEN,    Ecx,  6, Avx512), // avx512vbmi2
    row( 32, SEVEN,    Ecx,  8, Usual),  // gfni
    row( 33, SEVEN,    Ecx, 10, Avx),    // vpclmulqdq
    row( 34, SEVEN,    Ecx, 11, Avx512), // avx512vnni
    row( 35, SEVEN,    Ecx, 12, Avx512), // avx512bitalg
    row( 36, MORE,     Eax,  5, Avx512), // avx512bf16
    row( 37, SEVEN,    Edx,  8, Avx512), // avx512vp2intersect
    row( 38, EXTENDED, Edx, 31, Usual),  // 3dnow
    row( 39, EXTENDED, Edx, 30, Usual),  // 3dnowp
    row( 40, SEVEN,    Ebx, 19, Usual),  // adx
    row( 41, EXTENDED, Ecx,  5, Usual),  // abm
    row( 42, SEVEN,    Ecx, 25, Usual),  // cldemote
    row( 43, SEVEN,    Ebx, 23, Usual),  // clflushopt
    row( 44, SEVEN,    Ebx, 24, Usual),  // clwb
    row( 45, CAPACITY, Ebx,  0, Usual),  // clzero
    row( 46, BASIC,    Ecx, 13, Usual),  // cmpxchg16b
    row( 47, BASIC,    Edx,  8, Usual),  // cmpxchg8b
    row( 48, SEVEN,    Ecx, 29, Usual),  // enqcmd
    row( 49, BASIC,    Ecx, 29, Avx),    // f16c
    row( 50, SEVEN,    Ebx,  0, Usual),  // fsgsbase
    row( 51, BASIC,    Edx, 24, Usual),  // fxsave
    row( 52, SEVEN,    Ebx,  4, Usual),  // hle
    row( 53, SEVEN,    Edx, 20, Usual),  // ibt
    row( 54, EXTENDED, Ecx,  0, Usual),  // lahf_lm
    row( 55, EXTENDED, Edx, 29, Usual),  // lm
    row( 56, EXTENDED, Ecx, 15, Usual),  // lwp
    row( 57, EXTENDED, Ecx,  5, Usual),  // lzcnt
    row( 58, BASIC,    Ecx, 22, Usual),  // movbe
    row( 59, SEVEN,    Ecx, 28, Usual),  // movdir64b
    row( 60, SEVEN,    Ecx, 27, Usual),  // movdiri
    row( 61, EXTENDED, Ecx, 29, Usual),  // mwaitx
    row( 62, BASIC,    Ecx, 27, Usual),  // osxsave
    row( 63, SEVEN,    Edx, 18, Usual),  // pconfig
    row( 64, SEVEN,    Ecx,  4, Usual),  // pku, where the system uses it
    row( 65, SEVEN,    Ecx,  0, Usual),  // prefetchwt1
    row( 66, EXTENDED, Ecx,  8, Usual),  // prfchw
    row( 67, TRACE,    Ebx,  4, Usual),  // ptwrite
    row( 68, SEVEN,    Ecx, 22, Usual),  // rdpid
    row( 69, BASIC,    Ecx, 30, Usual),  // rdrnd
    row( 70, SEVEN,    Ebx, 18, Usual),  // rdseed
    row( 71, SEVEN,    Ebx, 11, Usual),  // rtm
    row( 72, SEVEN,    Edx, 14, Usual),  // serialize
    row( 73, SEVEN,    Ebx,  2, Usual),  // sgx
    row( 74, SEVEN,    Ebx, 29, Usual),  // sha
    row( 75, SEVEN,    Ecx,  7, Usual),  // shstk
    row( 76, EXTENDED, Ecx, 21, Usual),  // tbm
    row( 77, SEVEN,    Edx, 16, Usual),  // tsxldtrk
    row( 78, SEVEN,    Ecx,  9, Avx),    // vaes
    row( 79, SEVEN,    Ecx,  5, Usual),  // waitpkg
    row( 80, CAPACITY, Ebx,  9, Usual),  // wbnoinvd
    row( 81, BASIC,    Ecx, 26, Usual),  // xsave
    row( 82, SAVING,   Eax,  1, Usual),  // xsavec
    row( 83, SAVING,   Eax,  0, Usual),  // xsaveopt
    row( 84, SAVING,   Eax,  3, Usual),  // xsaves
    row( 85, SEVEN,    Edx, 24, Amx),    // amx-tile
    row( 86, SEVEN,    Edx, 25, Amx),    // amx-int8
    row( 87, SEVEN,    Edx, 22, Amx),    // amx-bf16
    row( 88, SEVEN,    Edx,  5, Usual),  // uintr
    row( 89, MORE,     Eax, 22, Usual),  // hreset
    row( 90, SEVEN,    Ecx, 23, Usual),  // kl, with aeskle only
    row( 91, LOCKER,   Ebx,  0, Usual),  // aeskle
    row( 92, LOCKER,   Ebx,  2, Usual),  // widekl, with aeskle only
    row( 93, MORE,     Eax,  4, Avx),    // avxvnni
    row( 94, SEVEN,    Edx, 23, Avx512), // avx512fp16
    row( 99, MORE,     Eax, 23, Avx),    // avxifma
    row(100, MORE,     Edx,  4, Avx),    // avxvnniint8
    row(101, MORE,     Edx,  5, Avx),    // avxneconvert
    row(102, MORE,     Eax,  7, Usual),  // cmpccxadd
    row(103, MORE,     Eax, 21, Amx),    // amx-fp16
    row(104, MORE,     Edx, 14, Usual),  // prefetchi
    row(105, MORE,     Eax,  3, Usual),  // raoint
    row(106, MORE,     Edx,  8, Amx),    // amx-complex
    row(107, MORE,     Edx, 10, Avx),    // avxvnniint16
    row(108, MORE,     Eax,  1, Avx),    // sm3
    row(109, MORE,     Eax,  0, Avx),    // sha512
    row(110, MORE,     Eax,  2, Avx),    // sm4
];

/// What an architecture level takes beside the level before it.
#[rustfmt::skip] // A table is read by columns.
pub(super) static LEVELS: [(u32, &[u32]); 4] = [
    (95, &[55, 4]),                      // x86-64: lm sse2
    (96, &[46, 2, 54, 8]),               // v2: cmpxchg16b popcnt lahf_lm sse4.2
    (97, &[10, 16, 17, 49, 14, 57, 58]), // v3: avx2 bmi bmi2 f16c fma lzcnt movbe
    (98, &[21, 23, 22, 20]),             // v4: avx512bw cd dq vl
];

pub(super) const KEY_LOCKER: [u32; 2] = [90, 92];
pub(super) const AES_KEY_LOCKER: u32 = 91;
