//! Objects for Apple's systems. Clang makes them on any system; small ones are kept in the tree, so that tests that need nothing else run
//! without it. A kept one has the name of its test and a sum of what it was made of: one that no longer fits is not found.

use crate::compiler::run;
use crate::package_skip;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Clang by all its names.
const CLANG: [&str; 5] = ["clang", "clang-19", "clang-16", "clang-15", "clang-14"];

/// Where objects are kept; and the variable that has tests leave theirs there.
const KEPT: &str = "objects/apple";
const KEEP: &str = "CODESLAB_KEEP_OBJECTS";

/// The object that Clang makes of a source for a machine of Apple's, such as `x86_64` or `arm64`; `kind` is how the name of the source
/// ends. `None` without one kept and without Clang; then `test` counts as skipped.
///
/// # Panics
///
/// When Clang complains, or files cannot be written.
#[must_use]
pub fn apple_object(
    test: &str,
    machine: &str,
    kind: &str,
    source: &str,
    flags: &[&str],
) -> Option<Vec<u8>> {
    let parts = [&[machine, kind, source], flags].concat();
    let name = format!("{test}-{machine}-{:016x}.o", sum(&parts));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT).join(name);
    if let Ok(bytes) = std::fs::read(&kept) {
        return Some(bytes);
    }
    let Some(clang) = CLANG.iter().find(|program| runs(program)) else {
        package_skip(test, "clang", "clang");
        return None;
    };
    let bytes = compile(clang, machine, kind, source, flags);
    if std::env::var_os(KEEP).is_some() {
        std::fs::write(&kept, &bytes).unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
    }
    Some(bytes)
}

/// A program of LLVM's that tests for these systems take, by its name or with the number of a version; `None` if there is none, and then
/// `test` counts as skipped.
#[must_use]
pub fn llvm_program(test: &str, name: &str, package: &str) -> Option<String> {
    let versions = (14..24).rev().map(|version| format!("{name}-{version}"));
    let mut names = std::iter::once(name.to_owned()).chain(versions);
    let found = names.find(|name| runs(name));
    if found.is_none() {
        package_skip(test, name, package);
    }
    found
}

/// Whether a program is there and runs. In qemu's user mode one that is not there seems to start all the same, and to end with a status of its own.
fn runs(program: &str) -> bool {
    let answer = Command::new(program).arg("--version").output();
    answer.is_ok_and(|answer| answer.status.success())
}

/// FNV-1a, which is the same everywhere.
fn sum(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Compiles in a folder of its own, and tells the compiler of none: objects are to be the same everywhere.
fn compile(clang: &str, machine: &str, kind: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("codeslab-apple-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let input = format!("input.{kind}");
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(&input), source));
    written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut command = Command::new(clang);
    let target = format!("--target={machine}-apple-macos11");
    command.args([&target, "-nostdinc", "-fdebug-compilation-dir=."]);
    command.args(flags).args(["-c", &input, "-o", "output.o"]);
    let done = run(command.current_dir(&folder));
    let bytes = std::fs::read(folder.join("output.o"));
    // What cannot be removed is left to the system's own cleaning.
    let _ = std::fs::remove_dir_all(&folder);
    done.unwrap_or_else(|error| panic!("{error}"));
    bytes.unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}
