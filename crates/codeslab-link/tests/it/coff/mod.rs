//! COFF objects: what compilers for Windows make, linked and executed on whatever system runs the tests on x86-64.
//!
//! Their functions are called as Windows calls them, which compilers can do anywhere on x86-64. A process on Linux offers such objects no
//! functions of its own, so what they call is among the externals. Objects are compiled where there is a compiler; for a run on Windows,
//! where there is none, the same tests keep them in a folder beforehand (`CODESLAB_COFF`).

mod archives;
mod directives;
mod exceptions;
mod grouped;
mod jitlink;
mod libraries;
mod objects;
mod refused;
mod relocations;
mod selections;
mod system;
mod weak;

use codeslab_testing::package_skip;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// GCC and its C++ compiler for Windows, and where Debian has them.
pub(super) const GCC: Tool = Tool {
    programs: &["x86_64-w64-mingw32-gcc"],
    flags: &[],
    package: "gcc-mingw-w64-x86-64",
};
pub(super) const GPP: Tool = Tool {
    programs: &["x86_64-w64-mingw32-g++"],
    flags: &[],
    package: "g++-mingw-w64-x86-64",
};
/// Clang as it compiles for Microsoft's run-time library.
pub(super) const CLANG: Tool = Tool {
    programs: &["clang", "clang-19", "clang-16", "clang-15", "clang-14"],
    flags: &["--target=x86_64-pc-windows-msvc", "-ffreestanding"],
    package: "clang",
};

/// A compiler.
#[derive(Clone, Copy)]
pub(super) struct Tool {
    programs: &'static [&'static str],
    flags: &'static [&'static str],
    package: &'static str,
}

/// The folder with objects for a run on another system, if there is one.
fn folder() -> Option<PathBuf> {
    std::env::var_os("CODESLAB_COFF").map(PathBuf::from)
}

/// The object that a compiler makes of a source; the kind is how its name ends. Where there is no compiler, `test` counts as skipped.
pub(super) fn compiled(
    test: &str,
    tool: Tool,
    kind: &str,
    source: &str,
    flags: &[&str],
) -> Option<Vec<u8>> {
    made(test, tool, (kind, source, flags), |program, input| {
        let workshop = crate::support::Workshop::new();
        let name = format!("input.{kind}");
        std::fs::write(workshop.path(&name), input).expect("the temporary directory is writable");
        let arguments = [&["-c", &name, "-o", "output.o"], tool.flags, flags].concat();
        workshop.run(program, &arguments);
        workshop.read("output.o")
    })
}

/// The same for anything that is made of a text on a system with the tools.
pub(super) fn made(
    test: &str,
    tool: Tool,
    key: (&str, &str, &[&str]),
    make: impl FnOnce(&str, &str) -> Vec<u8>,
) -> Option<Vec<u8>> {
    let mut hasher = DefaultHasher::new();
    (tool.programs, key).hash(&mut hasher);
    let kept = folder().map(|folder| folder.join(format!("{:016x}.o", hasher.finish())));
    if cfg!(windows) {
        let bytes = kept.and_then(|path| std::fs::read(path).ok());
        if bytes.is_none() {
            codeslab_testing::skip(test, "no object was made for it before");
        }
        return bytes;
    }
    let runs = |program: &&&str| Command::new(program).arg("--version").output().is_ok();
    let Some(program) = tool.programs.iter().find(runs) else {
        package_skip(test, tool.programs[0], tool.package);
        return None;
    };
    let bytes = make(program, key.1);
    if let Some(path) = kept {
        std::fs::write(path, &bytes).expect("the folder is writable");
    }
    Some(bytes)
}

/// An object of assembler input in the syntax of AT&T, by LLVM's assembler.
pub(super) fn assembled(test: &str, source: &str) -> Option<Vec<u8>> {
    compiled(test, CLANG, "s", source, &[])
}
