//! Systems that forbid one thing or another: each leaves some writer that works, and the reason for every other is named.
//!
//! The policies are real. Each is put in force in a child process, which then runs code with every writer that is left.

use crate::filter::{Only, Rule, refuse};
use crate::support::{call, call_all, function, functions, layout, memories, memory_of};
use codeslab::{CodeMemory, Error, Limit, Options, Request, Window, Writer, capabilities};
use codeslab_testing::skip;
use codeslab_testing::{assert_passed, is_child, run_child};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The writers that do not work here, with the reasons.
pub(crate) fn unavailable() -> Vec<(Writer, String)> {
    let writers = capabilities().expect("a supported platform").writers;
    let reason = |status: codeslab::WriterStatus| Some((status.writer, status.unavailable?));
    writers.into_iter().filter_map(reason).collect()
}

/// Puts a policy in force, and expects it to take just these writers away, each with a reason that says this, part by part.
pub(crate) fn takes_away(policy: impl FnOnce(), expected: &[(Writer, &str)]) {
    let before: Vec<Writer> = unavailable()
        .into_iter()
        .map(|(writer, _)| writer)
        .collect();
    policy();
    let after: Vec<_> = unavailable()
        .into_iter()
        .filter(|(writer, _)| !before.contains(writer))
        .collect();
    let taken: Vec<Writer> = after.iter().map(|(writer, _)| *writer).collect();
    // What does not work anyway cannot be taken away.
    let expected = expected
        .iter()
        .filter(|(writer, _)| !before.contains(writer));
    let foretold: Vec<Writer> = expected.clone().map(|(writer, _)| *writer).collect();
    assert_eq!(taken, foretold, "{after:?}");
    for ((writer, reason), (_, says)) in after.iter().zip(expected) {
        let is_named = |reason: &str| says.split('|').all(|part| reason.contains(part));
        assert!(is_named(reason), "{writer}: {reason}");
        let refused = open(Some(*writer)).unwrap_err();
        let is_typed = matches!(&refused, Error::WriterUnavailable { writer: named, reason }
            if named == writer && is_named(reason));
        assert!(is_typed, "{writer}: {refused}");
    }
    every_writer_that_is_left_works();
}

pub(crate) fn open(writer: Option<Writer>) -> Result<CodeMemory, Error> {
    CodeMemory::new(Options {
        writer,
        block_size: Some(1 << 20),
        ..Options::default()
    })
}

/// Whatever is chosen by default or by name runs code, over several blocks, and gives all of it back.
fn every_writer_that_is_left_works() {
    let left: Vec<Writer> = memories().into_iter().map(|(writer, _)| writer).collect();
    let chosen = open(None).expect("some writer is left");
    assert_eq!(chosen.configuration().writer, left[0]);
    for memory in left
        .iter()
        .map(|writer| open(Some(*writer)).expect("it is available"))
        .chain([chosen])
    {
        let writer = memory.configuration().writer;
        let mut live = functions(&memory, 40, 100_000);
        assert!(memory.stats().blocks > 1, "{writer}");
        call_all(&live, writer);
        live.retain(|(_, _, value)| value % 2 == 0);
        live.extend(functions(&memory, 60, 9_000));
        call_all(&live, writer);
        drop(live);
        memory.trim();
        assert_eq!(memory.stats(), codeslab::Stats::default(), "{writer}");
    }
}

const FILTERED: [(&str, i32); 2] = [("EPERM", libc::EPERM), ("ENOSYS", libc::ENOSYS)];
const ERRNO: &str = "CODESLAB_TEST_ERRNO";

#[test]
fn without_memory_files_private_memory_is_used() {
    const NAME: &str = "policies::without_memory_files_private_memory_is_used";
    if !is_child(NAME) {
        for (errno, _) in FILTERED {
            assert_passed(&run_child(NAME, "exec \"$@\"", &[(ERRNO, errno)]));
        }
        return;
    }
    let named = std::env::var(ERRNO).expect("the parent says which");
    let (_, errno) = FILTERED
        .into_iter()
        .find(|(name, _)| *name == named)
        .expect("a known error");
    let policy = || {
        refuse(&[Rule {
            call: libc::SYS_memfd_create,
            only: Only::Any,
            errno,
        }]);
    };
    let says = format!("memfd_create|failed with error {errno}: ");
    takes_away(
        policy,
        &[(Writer::DualMapping, &says), (Writer::FileWrite, &says)],
    );
    let private = open(None).unwrap().configuration().writer;
    assert_eq!(private, Writer::Protect, "the next in order");
}

#[test]
fn a_kernel_that_does_not_know_files_that_are_not_programs_gives_others() {
    const NAME: &str =
        "policies::a_kernel_that_does_not_know_files_that_are_not_programs_gives_others";
    const MFD_NOEXEC_SEAL: i32 = 8;
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let older = || {
        refuse(&[Rule {
            call: libc::SYS_memfd_create,
            only: Only::With(1, MFD_NOEXEC_SEAL),
            errno: libc::EINVAL,
        }]);
    };
    takes_away(older, &[]);
}

#[test]
fn where_memory_cannot_become_executable_it_is_so_from_the_start() {
    const NAME: &str = "policies::where_memory_cannot_become_executable_it_is_so_from_the_start";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    // What systemd's MemoryDenyWriteExecute does.
    let policy = || {
        refuse(&[Rule {
            call: libc::SYS_mprotect,
            only: Only::With(2, libc::PROT_EXEC),
            errno: libc::EPERM,
        }]);
    };
    let says = "mprotect of 0x1000 bytes failed with error 1: a security policy forbids it";
    takes_away(policy, &[(Writer::Protect, says), (Writer::SelfMem, says)]);
}

#[test]
fn a_process_that_refuses_to_gain_executable_memory_has_the_same_choice() {
    const NAME: &str =
        "policies::a_process_that_refuses_to_gain_executable_memory_has_the_same_choice";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let gain = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    let probe = unsafe { libc::prctl(libc::PR_GET_MDWE, 0, 0, 0, 0) };
    if probe < 0 {
        return skip(NAME, "Linux before 6.3 has no such policy");
    }
    let policy = || {
        let refused = unsafe { libc::prctl(libc::PR_SET_MDWE, gain, 0, 0, 0) };
        assert_eq!(refused, 0, "{}", std::io::Error::last_os_error());
    };
    takes_away(
        policy,
        &[
            (Writer::Protect, "mprotect"),
            (Writer::SelfMem, "mprotect"),
            (Writer::Pkeys, "pkey_mprotect"),
        ],
    );
}

#[test]
fn without_positioned_writes_no_writer_is_taken_that_needs_them() {
    const NAME: &str = "policies::without_positioned_writes_no_writer_is_taken_that_needs_them";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let policy = || {
        refuse(&[Rule {
            call: libc::SYS_pwrite64,
            only: Only::Any,
            errno: libc::EPERM,
        }]);
    };
    takes_away(
        policy,
        &[
            (Writer::DualMapping, "pwrite"),
            (Writer::FileWrite, "pwrite"),
            (Writer::SelfMem, "pwrite /proc/self/mem"),
        ],
    );
}

#[test]
fn where_no_writer_works_the_error_has_every_reason() {
    const NAME: &str = "policies::where_no_writer_works_the_error_has_every_reason";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let to = |call, only| Rule {
        call,
        only,
        errno: libc::EPERM,
    };
    refuse(&[
        to(libc::SYS_memfd_create, Only::Any),
        to(libc::SYS_mprotect, Only::With(2, libc::PROT_EXEC)),
        to(libc::SYS_pkey_mprotect, Only::With(2, libc::PROT_EXEC)),
    ]);
    assert_eq!(unavailable().len(), Writer::ALL.len());
    let refused = open(None).unwrap_err();
    let Error::WriterUnavailable { reason, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(reason.matches("memfd_create").count(), 2, "{reason}");
    let private = reason.matches("mprotect of").count() - reason.matches("pkey_mprotect").count();
    assert_eq!(private, 2, "{reason}");
}

#[test]
fn without_barriers_and_questions_about_mappings_all_is_as_usual() {
    const NAME: &str = "policies::without_barriers_and_questions_about_mappings_all_is_as_usual";
    /// `_IOWR('f', 17, struct procmap_query)`, of 104 bytes.
    const PROCMAP_QUERY: u32 = 0xc068_6611;
    if !is_child(NAME) {
        for (errno, _) in FILTERED {
            assert_passed(&run_child(NAME, "exec \"$@\"", &[(ERRNO, errno)]));
        }
        return;
    }
    let errno = match std::env::var(ERRNO).as_deref() {
        Ok("ENOSYS") => libc::ENOSYS,
        _ => libc::EPERM,
    };
    let policy = || {
        refuse(&[
            Rule {
                call: libc::SYS_membarrier,
                only: Only::Any,
                errno,
            },
            Rule {
                call: libc::SYS_ioctl,
                only: Only::Equal(1, PROCMAP_QUERY),
                errno,
            },
        ]);
    };
    takes_away(policy, &[]);
    // The gap is found in the list of mappings.
    for (writer, memory) in memories() {
        let (layout, [code, ..]) = layout([100, 0, 0]);
        let windows = [Window::BELOW_2_GIB];
        let placed = memory.allocate(&Request::new(&layout).within(&windows));
        let at = placed.expect("there is room").address(code);
        assert!(at.value() < 2 << 30, "{writer}: {at}");
    }
}

/// Runs a test in a process namespace with this value of the setting.
fn run_with_memfd_noexec(test: &str, scope: &str) -> Option<std::process::Output> {
    const CANNOT: i32 = 77;
    let shell = format!(
        "exec unshare --pid --mount --fork --mount-proc sh -c \
         'echo {scope} > /proc/sys/vm/memfd_noexec || exit {CANNOT}; exec \"$@\"' sh \"$@\""
    );
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        skip(test, "Linux before 6.3 has no vm.memfd_noexec");
        return None;
    }
    let output = run_child(test, &shell, &[("CODESLAB_TEST_NOEXEC", scope)]);
    let is_root = unsafe { libc::geteuid() } == 0;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if !is_root || output.status.code() == Some(CANNOT) || complaint.contains("unshare failed") {
        skip(test, &format!("no right to set it: {complaint}"));
        return None;
    }
    Some(output)
}

/// `memfd_create`, with the error that it answers.
fn memory_file(flags: u32) -> Result<i32, i32> {
    let file = unsafe { libc::memfd_create(c"test".as_ptr(), flags) };
    if file < 0 {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        Ok(file)
    }
}

#[test]
fn whether_memory_files_may_be_programs_makes_no_difference() {
    const NAME: &str = "policies::whether_memory_files_may_be_programs_makes_no_difference";
    const MFD_EXEC: u32 = 16;
    if !is_child(NAME) {
        for scope in ["0", "1", "2"] {
            if let Some(output) = run_with_memfd_noexec(NAME, scope) {
                assert_passed(&output);
            }
        }
        return;
    }
    let scope = std::env::var("CODESLAB_TEST_NOEXEC").expect("the parent says which");
    // The setting is in force here.
    let silent = memory_file(libc::MFD_CLOEXEC).expect("a memory file");
    let seals = unsafe { libc::fcntl(silent, libc::F_GET_SEALS) };
    assert_eq!(seals & libc::F_SEAL_EXEC != 0, scope != "0", "{seals:#x}");
    let program = memory_file(libc::MFD_CLOEXEC | MFD_EXEC);
    assert_eq!(program.err(), (scope == "2").then_some(libc::EACCES));
    takes_away(|| (), &[]);
    assert_eq!(
        open(None).unwrap().configuration().writer,
        Writer::DualMapping
    );
}

/// Mounts an empty file system there from which nothing can be executed, seen by this process only.
fn mount_noexec(folder: &Path) -> std::io::Result<()> {
    let folder = CString::new(folder.as_os_str().as_bytes())?;
    let flags = libc::MS_NOEXEC | libc::MS_NOSUID | libc::MS_NODEV;
    let kind = c"tmpfs".as_ptr();
    let failed = unsafe {
        libc::mount(
            kind,
            folder.as_ptr(),
            kind,
            flags,
            c"size=1m".as_ptr().cast(),
        )
    };
    if failed != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Gives this process mounts of its own.
fn unshare_mounts() -> std::io::Result<()> {
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
    let failed = unsafe {
        libc::unshare(libc::CLONE_NEWNS) != 0
            || libc::mount(none, root, none, private, std::ptr::null()) != 0
    };
    if failed {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

#[test]
fn folders_for_temporary_files_are_not_used() {
    const NAME: &str = "policies::folders_for_temporary_files_are_not_used";
    if !is_child(NAME) {
        let output = run_child(NAME, "exec \"$@\"", &[]);
        if output.status.code() == Some(77) {
            return skip(NAME, "no right to mount file systems");
        }
        return assert_passed(&output);
    }
    if unshare_mounts().is_err() {
        std::process::exit(77);
    }
    let policy = || {
        let temporary = std::env::temp_dir();
        let places = ["/tmp", "/var/tmp", "/dev/shm"].map(OsString::from);
        for place in places.iter().map(Path::new).chain([temporary.as_path()]) {
            if place.exists() {
                mount_noexec(place).expect("a mount of our own");
                assert_eq!(std::fs::read_dir(place).unwrap().count(), 0);
            }
        }
    };
    takes_away(policy, &[]);
}

static SIGNALLED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_signal(_: i32) {
    SIGNALLED.store(true, Ordering::Relaxed);
}

/// Changes the limit for this process. It can be raised again.
fn limit_file_size(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    assert_eq!(failed, 0);
}

fn is_about_file_size(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.limit == Limit::FileSize)
}

#[test]
fn a_limit_on_file_size_that_comes_later_is_an_error_and_no_signal() {
    const NAME: &str = "policies::a_limit_on_file_size_that_comes_later_is_an_error_and_no_signal";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    limits_on_file_size_are_errors();
}

#[test]
fn a_limit_on_file_size_is_told_by_another_call_where_the_first_is_filtered() {
    const NAME: &str =
        "policies::a_limit_on_file_size_is_told_by_another_call_where_the_first_is_filtered";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    refuse(&[Rule {
        call: libc::SYS_getrlimit,
        only: Only::Any,
        errno: libc::EPERM,
    }]);
    limits_on_file_size_are_errors();
}

fn limits_on_file_size_are_errors() {
    let handler = note_signal as *const () as libc::sighandler_t;
    unsafe { libc::signal(libc::SIGXFSZ, handler) };
    for (writer, _) in memories() {
        let memory = memory_of(writer, 1 << 20);
        let (first, at) = function(&memory, 7);
        let (second, _) = function(&memory, 8);
        let (layout, [code, ..]) = layout([crate::support::CODE_BYTES, 0, 0]);
        let mut pending = memory.allocate(&Request::new(&layout)).unwrap();
        let uses_files = matches!(writer, Writer::DualMapping | Writer::FileWrite);
        // Less than a file, a block, a page; and nothing at all.
        for bytes in [8 << 20, 512 << 10, 100, 0] {
            limit_file_size(bytes);
            let mut live = Vec::new();
            let refused = (0..30).find_map(|_| {
                let (layout, _) = crate::support::layout([900_000, 0, 0]);
                let placed = memory.allocate(&Request::new(&layout));
                placed.map(|placed| live.push(placed)).err()
            });
            let is_named = refused.as_ref().is_some_and(is_about_file_size);
            assert_eq!(is_named, uses_files, "{writer} {bytes:#x}: {refused:?}");
            assert_eq!(call(at), 7, "{writer}: what is published goes on");
        }
        drop(second);
        pending
            .write(code, 0, &crate::support::return_constant(9))
            .unwrap();
        let published = pending.finalize();
        let is_named = published.as_ref().err().is_some_and(is_about_file_size);
        assert_eq!(is_named, writer == Writer::FileWrite, "{writer}");
        limit_file_size(libc::RLIM_INFINITY);
        call_all(&functions(&memory, 30, 100_000), writer);
        drop((first, published));
        assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 0));
    }
    assert!(!SIGNALLED.load(Ordering::Relaxed), "SIGXFSZ was raised");
}
