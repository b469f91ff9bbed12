//! Sealed memory on the real system: in a child process, somebody who can make any system call tries to get at code.

use crate::support::{Function, call, call_all, functions, layout, return_constant};
use codeslab::{
    Address, CodeMemory, Error, Options, Protection, Request, Sealing, Writer, capabilities,
};
use codeslab_testing::skip;
use codeslab_testing::{assert_passed, is_child, run_child};
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt;

const PAGE: usize = 4096;

fn sealed(writer: Writer) -> CodeMemory {
    CodeMemory::new(Options {
        writer: Some(writer),
        block_size: Some(1 << 20),
        sealed: true,
        ..Options::default()
    })
    .expect("a writer that can be sealed")
}

/// The writers that can be sealed here, and whether mappings can.
fn available(test: &str) -> (Vec<Writer>, bool) {
    let status = capabilities().expect("a supported platform").sealing;
    let missing = [&status.writes_unavailable, &status.mappings_unavailable];
    for reason in missing.into_iter().flatten() {
        skip(test, reason);
    }
    let writes = status.writes_unavailable.is_none();
    let writers = [Writer::DualMapping, Writer::FileWrite];
    let usable = writers
        .into_iter()
        .filter(|writer| writes || *writer == Writer::FileWrite);
    (usable.collect(), status.mappings_unavailable.is_none())
}

/// Runs the rest of a test in a child: what is sealed stays.
fn in_child(test: &str) -> bool {
    let is_child = is_child(test);
    if !is_child {
        assert_passed(&run_child(test, "exec \"$@\"", &[]));
    }
    is_child
}

/// The answer of a system call: nothing, or the error number.
fn answer(failed: bool) -> Result<(), i32> {
    if failed {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        Ok(())
    }
}

/// The memory files of this process.
fn memory_files() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("open files");
    let is_code = |path: &std::path::Path| {
        std::fs::read_link(path)
            .is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:codeslab"))
    };
    entries
        .flatten()
        .filter(|entry| is_code(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().parse().unwrap())
        .collect()
}

/// The lines of `/proc/self/maps` about memory files of ours that are mapped with these rights.
fn mappings(rights: &str) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = |line: &&str| line.contains(rights) && line.contains("/memfd:codeslab");
    maps.lines().filter(ours).map(str::to_owned).collect()
}

fn start_of(line: &str) -> *mut libc::c_void {
    let (start, _) = line.split_once('-').unwrap();
    usize::from_str_radix(start, 16).unwrap() as *mut libc::c_void
}

/// Tries to get a writable mapping of a file: of the descriptor, and of one that is opened anew.
fn map_writable(file: RawFd) -> [Result<(), i32>; 2] {
    let path = format!("/proc/self/fd/{file}");
    let again = std::fs::File::options().read(true).write(true).open(path);
    let again = again.expect("a file of our own");
    [file, std::os::fd::AsRawFd::as_raw_fd(&again)].map(|file| {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let none = std::ptr::null_mut();
        let at = unsafe { libc::mmap(none, PAGE, rights, libc::MAP_SHARED, file, 0) };
        answer(at == libc::MAP_FAILED)
    })
}

fn write_file(file: RawFd) -> Result<(), i32> {
    let byte = 0x90_u8;
    answer(unsafe { libc::pwrite(file, (&raw const byte).cast(), 1, 0) } != 1)
}

/// Tries what debuggers do, which write to memory whatever its rights.
fn write_memory(at: *mut libc::c_void) -> bool {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::options().write(true).open("/proc/self/mem");
    let byte = 0x90_u8;
    let local = libc::iovec {
        iov_base: (&raw const byte).cast_mut().cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: at,
        iov_len: 1,
    };
    let (own, local, remote) = unsafe { (libc::getpid(), &raw const local, &raw const remote) };
    let moved = unsafe { libc::process_vm_writev(own, local, 1, remote, 1, 0) };
    memory.is_ok_and(|memory| memory.write_at(&[byte], at.addr() as u64).is_ok()) || moved > 0
}

fn protect(at: *mut libc::c_void, rights: i32) -> Result<(), i32> {
    answer(unsafe { libc::mprotect(at, PAGE, rights) } != 0)
}

fn unmap(at: *mut libc::c_void) -> Result<(), i32> {
    answer(unsafe { libc::munmap(at, PAGE) } != 0)
}

fn replace(at: *mut libc::c_void) -> Result<(), i32> {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    answer(unsafe { libc::mmap(at, PAGE, rights, flags, -1, 0) } == libc::MAP_FAILED)
}

/// A second mapping of what is mapped there: of no bytes that are moved, which duplicates shared memory.
fn duplicate(at: *mut libc::c_void) -> Result<(), i32> {
    answer(unsafe { libc::mremap(at, 0, PAGE, libc::MREMAP_MAYMOVE) } == libc::MAP_FAILED)
}

/// Publishes, frees and publishes again through many blocks, and returns what lives then.
fn churn(memory: &CodeMemory) -> Vec<Function> {
    let mut live = functions(memory, 60, 90_000);
    live.retain(|(_, _, value)| value % 3 == 0);
    live.extend(functions(memory, 400, 900));
    live.extend(functions(memory, 3, 3 << 20));
    live.retain(|(_, _, value)| value % 5 != 1);
    live.extend(functions(memory, 60, 90_000));
    call_all(&live, memory.configuration().writer);
    live
}

const REFUSED: Result<(), i32> = Err(libc::EPERM);

#[test]
fn nobody_gets_another_way_to_write_to_code() {
    const NAME: &str = "sealed::nobody_gets_another_way_to_write_to_code";
    if !in_child(NAME) {
        return;
    }
    let (writers, seals_mappings) = available(NAME);
    if !writers.contains(&Writer::DualMapping) {
        return;
    }
    let memory = sealed(Writer::DualMapping);
    let live = churn(&memory);
    let files = memory_files();
    assert!(!files.is_empty());
    for file in files {
        if unsafe { libc::fcntl(file, libc::F_GETFL) } & libc::O_ACCMODE == libc::O_RDONLY {
            assert_eq!(
                map_writable(file)[0],
                Err(libc::EACCES),
                "without seals, too"
            );
            continue;
        }
        assert_eq!(map_writable(file), [REFUSED; 2]);
        assert_eq!(write_file(file), REFUSED);
        let size = unsafe { libc::ftruncate(file, 0) };
        assert_eq!(answer(size != 0), REFUSED);
        let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let punched = unsafe { libc::fallocate(file, hole, 0, 4096) };
        assert_eq!(answer(punched != 0), REFUSED);
        let more = unsafe { libc::fcntl(file, libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(answer(more != 0), REFUSED, "seals are final");
    }
    let code = live[0].1.value() as *mut libc::c_void;
    let page = code.map_addr(|at| at & !(PAGE - 1));
    let writable = protect(page, libc::PROT_READ | libc::PROT_WRITE);
    assert_eq!(writable, Err(libc::EACCES));
    if seals_mappings {
        let views = mappings("rw-s");
        assert!(!views.is_empty());
        for view in &views {
            assert_eq!(duplicate(start_of(view)), REFUSED, "{view}");
            let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            assert_eq!(protect(start_of(view), all), REFUSED, "{view}");
        }
        assert_eq!(mappings("rw-s").len(), views.len());
    }
    call_all(&live, Writer::DualMapping);
    call_all(&churn(&memory), Writer::DualMapping);
}

#[test]
fn code_stays_where_it_is_and_what_it_is() {
    const NAME: &str = "sealed::code_stays_where_it_is_and_what_it_is";
    if !in_child(NAME) {
        return;
    }
    let (writers, seals_mappings) = available(NAME);
    for writer in writers {
        let memory = sealed(writer);
        let writes = writer == Writer::DualMapping;
        let sealing = memory.configuration().sealing.expect("it was asked for");
        assert_eq!((sealing.writes, sealing.mappings), (writes, seals_mappings));
        if !seals_mappings {
            continue;
        }
        let live = churn(&memory);
        let (allocation, at, _) = &live[0];
        let constants = allocation.segment_address(Protection::ReadOnly).unwrap();
        for at in [*at, constants] {
            let page = (at.value() & !0xfff) as *mut libc::c_void;
            assert_eq!(protect(page, libc::PROT_READ), REFUSED, "{writer}");
            let writable = protect(page, libc::PROT_READ | libc::PROT_WRITE);
            // It is mapped by a descriptor that cannot write, so it could not become writable without seals either: another error.
            assert_eq!(writable, Err(libc::EACCES), "{writer}");
            assert_eq!(unmap(page), REFUSED, "{writer}");
            assert_eq!(replace(page), REFUSED, "{writer}");
            assert!(!write_memory(page), "{writer}");
        }
        call_all(&live, writer);
        // Sealed steps of a slab are one mapping.
        let blocks = memory.stats().blocks as usize;
        let mapped = mappings(" r-xs ").len() + mappings(" r--s ").len();
        assert!(mapped <= 6 * blocks, "{mapped} mappings of {blocks} blocks");
        drop(live);
        call_all(&churn(&memory), writer);
    }
}

#[test]
fn freed_code_traps_and_its_place_is_used_again() {
    const NAME: &str = "sealed::freed_code_traps_and_its_place_is_used_again";
    if !in_child(NAME) {
        return;
    }
    let (writers, _) = available(NAME);
    for writer in writers {
        let before = memory_files().len();
        let memory = sealed(writer);
        let mut reserved = 0;
        for round in 0..20 {
            let live = churn(&memory);
            let at = live[0].1;
            assert!(!crate::support::traps(at), "{writer}");
            drop(live);
            memory.trim();
            if memory.configuration().sealing.unwrap().mappings && writer == Writer::DualMapping {
                assert!(crate::support::traps(at), "what stays mapped traps");
            }
            let stats = memory.stats();
            assert_eq!((stats.live, stats.used_bytes), (0, 0), "{writer}");
            if round < 3 {
                reserved = stats.reserved_bytes;
            }
            assert_eq!(stats.reserved_bytes, reserved, "{writer}: round {round}");
        }
        // Without sealed mappings none is left by now.
        let live = functions(&memory, 1, 900);
        assert!(memory_files().len() > before, "{writer}: no file");
        drop(live);
        drop(memory);
        assert_eq!(memory_files().len(), before, "{writer}: files are closed");
    }
}

#[test]
fn threads_share_sealed_memory() {
    const NAME: &str = "sealed::threads_share_sealed_memory";
    if !in_child(NAME) {
        return;
    }
    let (writers, _) = available(NAME);
    for writer in writers {
        let memory = sealed(writer);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..3).for_each(|_| drop(churn(&memory))));
            }
        });
        assert_eq!((memory.stats().live, memory.stats().used_bytes), (0, 0));
    }
}

#[test]
fn where_address_space_is_short_less_is_reserved_and_sealed() {
    const NAME: &str = "sealed::where_address_space_is_short_less_is_reserved_and_sealed";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "ulimit -v 500000; exec \"$@\"", &[]));
    }
    let (writers, _) = available(NAME);
    for writer in writers {
        let memory = sealed(writer);
        let live = functions(&memory, 3, 90_000);
        let reserved = memory.stats().reserved_bytes;
        // A quarter of half a gigabyte, with a view of the same size beside it; the other writer has none.
        let most = [256 << 20, 128 << 20][usize::from(writer == Writer::DualMapping)];
        assert!((1 << 20..=most).contains(&reserved), "{writer}: {reserved}");
        call_all(&live, writer);
    }
}

#[test]
fn a_write_to_sealed_code_faults() {
    const NAME: &str = "sealed::a_write_to_sealed_code_faults";
    if !is_child(NAME) {
        let output = run_child(NAME, "exec \"$@\"", &[]);
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
        return;
    }
    let memory = sealed(Writer::FileWrite);
    let live = functions(&memory, 1, crate::support::CODE_BYTES);
    assert_eq!(call(live[0].1), 0);
    unsafe { std::ptr::write_volatile(live[0].1.value() as *mut u8, 0x90) };
}

#[test]
fn a_forked_child_has_no_view_of_sealed_code() {
    const NAME: &str = "sealed::a_forked_child_has_no_view_of_sealed_code";
    if !in_child(NAME) {
        return;
    }
    let (writers, _) = available(NAME);
    for writer in writers {
        let memory = sealed(writer);
        let (layout, [code, ..]) = layout([crate::support::CODE_BYTES, 0, 0]);
        let mut pending = memory.allocate(&Request::new(&layout)).unwrap();
        pending.write(code, 0, &return_constant(5)).unwrap();
        let at: Address = pending.address(code);
        let child = unsafe { libc::fork() };
        if child == 0 {
            let has_view = !mappings("rw-s").is_empty();
            let refused = matches!(pending.write(code, 0, &[0; 6]), Err(Error::Forked));
            let fresh = sealed(writer);
            let works = functions(&fresh, 3, 100)
                .iter()
                .all(|(_, at, value)| call(*at) == *value);
            unsafe { libc::_exit(i32::from(has_view || !refused || !works)) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "{writer}");
        let _published = pending.finalize().unwrap();
        assert_eq!(call(at), 5, "{writer}");
    }
}

#[test]
fn writers_of_private_memory_cannot_be_sealed_and_say_so() {
    for writer in [Writer::Protect, Writer::SelfMem] {
        let refused = CodeMemory::new(Options {
            writer: Some(writer),
            sealed: true,
            ..Options::default()
        })
        .unwrap_err();
        assert!(
            matches!(&refused, Error::WriterUnavailable { writer: named, reason }
                if *named == writer && reason.contains("private memory")),
            "{refused}"
        );
    }
    let usual = CodeMemory::new(Options::default()).unwrap();
    assert_eq!(usual.configuration().sealing, None);
}

#[test]
fn a_system_that_refuses_seals_is_named_and_one_without_sealed_mappings_is_told() {
    use crate::filter::{Only, Rule, refuse};
    const NAME: &str =
        "sealed::a_system_that_refuses_seals_is_named_and_one_without_sealed_mappings_is_told";
    if !in_child(NAME) {
        return;
    }
    refuse(&[Rule {
        call: libc::SYS_mseal,
        only: Only::Any,
        errno: libc::ENOSYS,
    }]);
    let status = capabilities().unwrap().sealing;
    let reason = status.mappings_unavailable.expect("there is none");
    assert!(
        reason.contains("mseal") && reason.contains("does not offer"),
        "{reason}"
    );
    for writer in [Writer::DualMapping, Writer::FileWrite] {
        let memory = sealed(writer);
        let sealing = memory.configuration().sealing;
        let is_told = matches!(sealing, Some(Sealing { writes, mappings: false, .. })
            if writes == (writer == Writer::DualMapping));
        assert!(is_told, "{writer}: {sealing:?}");
        drop(churn(&memory));
        memory.trim();
        let left = memory.stats();
        assert_eq!(left, codeslab::Stats::default(), "{writer}: all goes back");
        drop(churn(&memory));
        drop(memory);
        assert_eq!(mappings("s ").len() + memory_files().len(), 0, "{writer}");
    }
    // A kernel that knows no seal against writers, and then one that refuses all.
    let add = |only, errno| Rule {
        call: libc::SYS_fcntl,
        only,
        errno,
    };
    refuse(&[add(Only::With(2, libc::F_SEAL_FUTURE_WRITE), libc::EINVAL)]);
    let options = Options {
        sealed: true,
        ..Options::default()
    };
    let second = CodeMemory::new(options.clone()).unwrap().configuration();
    assert_eq!(second.writer, Writer::FileWrite);
    let status = capabilities().unwrap().sealing;
    let reason = status.writes_unavailable.expect("there is none");
    assert!(reason.contains("F_ADD_SEALS"), "{reason}");
    refuse(&[add(
        Only::Equal(1, libc::F_ADD_SEALS.cast_unsigned()),
        libc::EPERM,
    )]);
    let refused = CodeMemory::new(options).unwrap_err();
    assert!(
        matches!(&refused, Error::WriterUnavailable { reason, .. }
            if reason.matches("F_ADD_SEALS").count() == 2),
        "{refused}"
    );
}
