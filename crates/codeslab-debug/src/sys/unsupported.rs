//! A system on which perf does not run. Debuggers that know GDB's interface need none of this.

use std::fs::File;
use std::io;
use std::path::Path;

pub(crate) fn thread_id() -> u32 {
    std::process::id()
}

pub(crate) fn monotonic_nanoseconds() -> u64 {
    0
}

pub(crate) fn is_debugged() -> bool {
    false
}

pub(crate) fn is_recorded_by_perf() -> bool {
    false
}

pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    options.open(path)
}

pub(crate) fn map_marker(_file: &File, _size: usize) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Nothing: files that nobody reads may lack their last lines.
pub(crate) fn at_exit(_run: extern "C" fn()) {}

pub(crate) fn without_signals<T>(run: impl FnOnce() -> T) -> T {
    run()
}
