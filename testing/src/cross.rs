//! Objects for a system that has no compiler: a run of the same tests on one that has makes them beforehand.

use crate::compiler::run;
use crate::package_skip;
use crate::skip;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A C compiler for Windows, and where Debian has it.
#[derive(Clone, Copy, Debug)]
pub struct CrossCompiler {
    /// What it is called.
    pub program: &'static str,
    /// The package of Debian's that it is in.
    pub package: &'static str,
}

/// The variable that names the folder with objects for a run on Windows.
const FOLDER: &str = "CODESLAB_COFF";

/// Files of this process have numbers.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The object of a C source: made by this machine's own compiler, or, on Windows, by `windows` in a run on another system, in which the folder is
/// named by `CODESLAB_COFF` as well. `None` if it is not there; then `test` counts as skipped.
///
/// # Panics
///
/// When the compiler complains, or files cannot be written.
#[must_use]
pub fn compile_c(
    test: &str,
    source: &str,
    flags: &[&str],
    windows: CrossCompiler,
) -> Option<Vec<u8>> {
    let mut hasher = DefaultHasher::new();
    (windows.program, source, flags).hash(&mut hasher);
    let name = format!("{:016x}.o", hasher.finish());
    let kept = std::env::var_os(FOLDER).map(|folder| PathBuf::from(folder).join(name));
    if cfg!(windows) {
        let bytes = kept.and_then(|path| std::fs::read(path).ok());
        if bytes.is_none() {
            skip(test, "no object was made for it before");
        }
        return bytes;
    }
    if let Some(path) = kept {
        let found = Command::new(windows.program).arg("--version").output();
        if found.is_err() {
            package_skip(test, windows.program, windows.package);
            return None;
        }
        let bytes = compile(windows.program, source, flags);
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    Some(compile("cc", source, flags))
}

/// The object that a compiler makes. Several tests of a process compile at the same time.
fn compile(program: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("codeslab-{}-{number}", std::process::id());
    let folder = std::env::temp_dir();
    let (input, object) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("{name}.o")),
    );
    std::fs::write(&input, source).unwrap_or_else(|error| panic!("{}: {error}", input.display()));
    let mut command = Command::new(program);
    command.args(flags).arg("-c").arg(&input);
    let done = run(command.arg("-o").arg(&object));
    let bytes = std::fs::read(&object);
    // What cannot be removed is left to the system's own cleaning.
    let _ = std::fs::remove_file(&input);
    let _ = std::fs::remove_file(&object);
    done.unwrap_or_else(|error| panic!("{error}"));
    bytes.unwrap_or_else(|error| panic!("{}: {error}", object.display()))
}
