//! What GCC and Clang have in a library of their own for code of x86-64, and that code asks about the processor.
//!
//! `__builtin_cpu_supports`, `__builtin_cpu_is` and the resolvers of `target_clones` call `__cpu_indicator_init` and read the two variables,
//! directly: each image has its own. In libgcc and compiler-rt the function fills them in; here they are filled in before anything runs, by
//! what `codeslab-runtime` knows of the processor, so they are constants and the function has nothing to do.
//!
//! Source: GCC manual, "x86 Built-in Functions" (<https://gcc.gnu.org/onlinedocs/gcc/x86-Built-in-Functions.html>).

use super::thread_local;
use crate::arch::machine::Builtin;
use codeslab::Protection::{ReadExecute, ReadOnly};
use codeslab_runtime::ProcessorModel;

#[rustfmt::skip] // A table is read by columns.
static MODEL: [Builtin; 3] = [
    Builtin { name: "__cpu_model",          protection: ReadOnly,    align: 16, content: model },
    Builtin { name: "__cpu_features2",      protection: ReadOnly,    align: 16, content: features },
    Builtin { name: "__cpu_indicator_init", protection: ReadExecute, align: 16, content: init },
];

#[rustfmt::skip] // The same.
static WINDOWS: [Builtin; 3] = [
    Builtin { name: "___chkstk_ms",         protection: ReadExecute, align: 16, content: touch_stack },
    Builtin { name: "__chkstk",             protection: ReadExecute, align: 16, content: touch_stack },
    Builtin { name: "__main",               protection: ReadExecute, align: 16, content: nothing },
];

/// Touches every page that a function is about to take from the stack, from top to bottom, because systems add pages to stacks one by one:
/// `rax` says how many bytes it takes, and no register changes. Microsoft's compilers call it by the second name, GCC by the first.
/// <https://learn.microsoft.com/en-us/windows/win32/devnotes/-win32-chkstk>
fn touch_stack() -> Vec<u8> {
    [
        // push rcx; push rax; lea rcx, [rsp + 24]
        &[0x51, 0x50, 0x48, 0x8d, 0x4c, 0x24, 0x18][..],
        // cmp rax, 4096; jb +19
        &[0x48, 0x3d, 0, 0x10, 0, 0, 0x72, 0x13],
        // sub rcx, 4096; or qword [rcx], 0; sub rax, 4096; jmp -27
        &[0x48, 0x81, 0xe9, 0, 0x10, 0, 0, 0x48, 0x83, 0x09, 0],
        &[0x48, 0x2d, 0, 0x10, 0, 0, 0xeb, 0xe5],
        // sub rcx, rax; or qword [rcx], 0; pop rax; pop rcx; ret
        &[0x48, 0x29, 0xc1, 0x48, 0x83, 0x09, 0, 0x58, 0x59, 0xc3],
    ]
    .concat()
}

/// All of them.
pub(super) static ALL: [&[Builtin]; 3] = [&MODEL, &WINDOWS, &thread_local::APPLE];

/// `ret`: GCC has `main` call it for Windows, to have constructors run; they have by then.
fn nothing() -> Vec<u8> {
    vec![0xc3]
}

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
