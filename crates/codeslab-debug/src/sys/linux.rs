//! Linux: `/proc` says who is watching, and perf finds a jitdump file by an executable mapping of it.
#![allow(unsafe_code, reason = "calls of libc")]

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::ptr;

/// The number of the calling thread, which perf records with its samples.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: it takes nothing and always succeeds.
    let id = unsafe { libc::gettid() };
    id.unsigned_abs()
}

/// The clock that `perf record -k mono` stamps samples with.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` can be written, and every Linux has the clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Whether a debugger is attached to this process.
pub(crate) fn is_debugged() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// Whether `perf` started this process, as `perf record PROGRAM` does.
pub(crate) fn is_recorded_by_perf() -> bool {
    let parent = fs::read_to_string(format!("/proc/{}/comm", parent_id()));
    parent.is_ok_and(|name| name.trim_end() == "perf")
}

/// Opens a file whose name is known beforehand, in a folder where everybody may make files, to append to it. A link that somebody else has put
/// there is refused: it could lead to any file of this user.
pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Makes such a file, or empties it, to read and write it. A link is refused, before anything is emptied.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Maps the start of a file executable, and leaves the mapping to the process: perf records it, and finds the file by it.
pub(crate) fn map_marker(file: &File, size: usize) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let (flags, descriptor) = (libc::MAP_PRIVATE, file.as_raw_fd());
    // SAFETY: the system chooses a place where nothing is, and nothing refers to the mapping.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, descriptor, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has a function run when the process exits, or before the library with this code is unloaded.
pub(crate) fn at_exit(run: extern "C" fn()) {
    // SAFETY: the function lives as long as this library, and takes nothing. If there is no room for it, it does not run.
    unsafe { libc::atexit(run) };
}

/// Runs something with all signals blocked: a thread that it starts has them blocked for good, so it never runs a program's handlers.
pub(crate) fn without_signals<T>(run: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: the set can be written.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let (all, place) = (all.as_ptr(), before.as_mut_ptr());
    // SAFETY: the one set was filled above, the other can be written.
    let is_blocked = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all, place) == 0 };
    let result = run();
    if is_blocked {
        // SAFETY: the set was filled by the call above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A folder of one test, which goes when it ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("codeslab-debug-{}-{test}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_refused_and_nothing_is_made_where_it_leads() {
        let folder = Folder::new("made");
        for open in [append_to, create] {
            let (elsewhere, link) = (folder.0.join("elsewhere"), folder.0.join("link"));
            symlink(&elsewhere, &link).unwrap();
            assert!(open(&link).is_err());
            assert!(!elsewhere.exists());
            assert!(open(&elsewhere).is_ok());
            fs::remove_file(elsewhere).unwrap();
            fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn a_file_that_a_link_leads_to_keeps_what_it_holds() {
        let folder = Folder::new("kept");
        let (elsewhere, link) = (folder.0.join("elsewhere"), folder.0.join("link"));
        fs::write(&elsewhere, "precious").unwrap();
        symlink(&elsewhere, &link).unwrap();
        assert!(append_to(&link).is_err());
        assert!(create(&link).is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
        assert!(create(&elsewhere).is_ok());
        assert_eq!(
            fs::read(&elsewhere).unwrap(),
            b"",
            "a file of an earlier process is emptied"
        );
    }
}
