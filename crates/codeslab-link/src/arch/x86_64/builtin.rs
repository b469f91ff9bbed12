//! What GCC and Clang have in a library of their own for code of x86-64, and that code asks about the processor.
//!
//! `__builtin_cpu_supports`, `__builtin_cpu_is` and the resolvers of `target_clones` call `__cpu_indicator_init` and read the two variables,
//! directly: each image has its own. In libgcc and compiler-rt the function fills them in; here they are filled in before anything runs, by
//! what `codeslab-runtime` knows of the processor, so they are constants and the function has nothing to do.
//!
//! Source: GCC manual, "x86 Built-in Functions" (<https://gcc.gnu.org/onlinedocs/gcc/x86-Built-in-Functions.html>).

use crate::arch::machine::Builtin;
use codeslab::Protection::{ReadExecute, ReadOnly};
use codeslab_runtime::ProcessorModel;

#[rustfmt::skip] // A table is read by columns.
static MODEL: [Builtin; 3] = [
    Builtin { name: "__cpu_model",          protection: ReadOnly,    align: 16, content: model },
    Builtin { name: "__cpu_features2",      protection: ReadOnly,    align: 16, content: features },
    Builtin { name: "__cpu_indicator_init", protection: ReadExecute, align: 16, content: init },
];

/// All of them.
pub(super) static ALL: [&[Builtin]; 1] = [&MODEL];

fn model() -> Vec<u8> {
    let model = ProcessorModel::native().map_or([0; 4], |model| model.model);
    model.map(u32::to_le_bytes).concat()
}

fn features() -> Vec<u8> {
    let features = ProcessorModel::native().map_or([0; 4], |model| model.features);
    features.map(u32::to_le_bytes).concat()
}

/// `endbr64; xor %eax, %eax; ret`: it went well.
fn init() -> Vec<u8> {
    vec![0xf3, 0x0f, 0x1e, 0xfa, 0x31, 0xc0, 0xc3]
}
