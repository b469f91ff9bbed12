//! What must not be possible, tried in a child process that dies of it.

use crate::support::{byte_at, call, function, is_child, layout, memories, memory, run_child};
use codeslab::{Address, Protection, Request, Writer};
use std::os::unix::process::ExitStatusExt;

pub(crate) const SEGV: i32 = 11;
const TRAP: i32 = 5;
const MARKER: &str = "about to do it";

pub(crate) fn announce() {
    use std::io::Write;
    println!("{MARKER}");
    std::io::stdout().flush().unwrap();
}

/// Runs the test again as a child for every writer, and expects it to announce what it does and die of that signal.
pub(crate) fn dies_of(signal: i32, test: &str, action: impl Fn(Writer)) {
    if is_child(test) {
        let name = std::env::var("CODESLAB_TEST_WRITER").unwrap();
        action(Writer::from_name(&name).unwrap());
        return;
    }
    for (writer, _) in memories() {
        let output = run_child(
            test,
            "exec \"$@\"",
            &[("CODESLAB_TEST_WRITER", writer.name())],
        );
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(MARKER),
            "{writer}: {output:?}"
        );
        assert_eq!(output.status.signal(), Some(signal), "{writer}: {output:?}");
    }
}

fn write_to(at: Address) {
    announce();
    unsafe { std::ptr::write_volatile(at.value() as *mut u8, 0x90) };
}

#[test]
fn a_write_to_published_code_faults() {
    dies_of(SEGV, "faults::a_write_to_published_code_faults", |writer| {
        let memory = memory(writer);
        let (_function, at) = function(&memory, 1);
        assert_eq!(call(at), 1);
        write_to(at);
    });
}

#[test]
fn a_write_to_published_constants_faults() {
    dies_of(
        SEGV,
        "faults::a_write_to_published_constants_faults",
        |writer| {
            let memory = memory(writer);
            let (layout, _) = layout([0, 64, 0]);
            let allocation = memory
                .allocate(&Request::new(&layout))
                .unwrap()
                .finalize()
                .unwrap();
            write_to(allocation.segment_address(Protection::ReadOnly).unwrap());
        },
    );
}

#[test]
fn constants_and_data_are_not_executable() {
    for (name, protection) in [("ro", Protection::ReadOnly), ("rw", Protection::ReadWrite)] {
        let test = "faults::constants_and_data_are_not_executable";
        if is_child(test) && std::env::var("CODESLAB_TEST_PROTECTION").as_deref() != Ok(name) {
            continue;
        }
        let action = |writer| {
            let memory = memory(writer);
            let mut layout = codeslab::Layout::new();
            let section = layout.add(protection, 6, 16).unwrap();
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            in_flight
                .write(section, 0, &crate::support::return_constant(1))
                .unwrap();
            let at = in_flight.address(section);
            let _allocation = in_flight.finalize().unwrap();
            announce();
            call(at);
        };
        if is_child(test) {
            return action(
                Writer::from_name(&std::env::var("CODESLAB_TEST_WRITER").unwrap()).unwrap(),
            );
        }
        for (writer, _) in memories() {
            let variables = [
                ("CODESLAB_TEST_WRITER", writer.name()),
                ("CODESLAB_TEST_PROTECTION", name),
            ];
            let output = run_child(test, "exec \"$@\"", &variables);
            assert!(
                String::from_utf8_lossy(&output.stdout).contains(MARKER),
                "{writer}: {output:?}"
            );
            assert_eq!(
                output.status.signal(),
                Some(SEGV),
                "{writer} {name}: {output:?}"
            );
        }
    }
}

/// Runs a test again as a child for every writer, where calling what `prepare` gives traps, or faults where rights change with each
/// step of an allocation's life.
fn calling_traps(test: &str, prepare: impl Fn(&codeslab::CodeMemory) -> Address) {
    if is_child(test) {
        let name = std::env::var("CODESLAB_TEST_WRITER").unwrap();
        let memory = memory(Writer::from_name(&name).unwrap());
        let (_keep, _) = function(&memory, 1);
        let at = prepare(&memory);
        announce();
        call(at);
        return;
    }
    for (writer, _) in memories() {
        let variables = [("CODESLAB_TEST_WRITER", writer.name())];
        let output = run_child(test, "exec \"$@\"", &variables);
        let expected = if writer == Writer::Protect {
            SEGV
        } else {
            TRAP
        };
        assert_eq!(
            output.status.signal(),
            Some(expected),
            "{writer}: {output:?}"
        );
    }
}

#[test]
fn executing_freed_code_traps() {
    calling_traps("faults::executing_freed_code_traps", |memory| {
        let (freed, at) = function(memory, 2);
        freed.free();
        at
    });
}

#[test]
fn executing_code_in_flight_traps() {
    calling_traps("faults::executing_code_in_flight_traps", |memory| {
        let (layout, [code, ..]) = layout([6, 0, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let at = in_flight.address(code);
        let answer = crate::support::return_constant(42);
        in_flight.write(code, 0, &answer).unwrap();
        std::mem::forget(in_flight);
        at
    });
}

/// Part of a memory file that is mapped.
pub(crate) struct Mapped {
    pub(crate) addresses: std::ops::Range<u64>,
    pub(crate) is_writable: bool,
    pub(crate) offset: u64,
    // Other tests have files, too.
    pub(crate) file: String,
}

pub(crate) fn mapped_files() -> Vec<Mapped> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = maps.lines().filter(|line| line.contains("memfd:codeslab"));
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (first, end) = fields[0].split_once('-').unwrap();
        Mapped {
            addresses: hex(first)..hex(end),
            is_writable: fields[1].contains('w'),
            offset: hex(fields[2]),
            file: fields[4].to_owned(),
        }
    };
    ours.map(parse).collect()
}

#[test]
fn no_address_exists_at_which_published_constants_can_be_written() {
    let memory = memory(Writer::DualMapping);
    let functions = crate::support::functions(&memory, 2_000, 100);
    let files = mapped_files();
    let mut shows_code = 0;
    for (allocation, ..) in &functions {
        let is_writable = |protection| {
            let at = allocation.segment_address(protection).unwrap().value();
            let mut mapped = files.iter();
            let found = mapped.find(|one| one.addresses.contains(&at));
            let found = found.expect("it is part of a memory file");
            let byte = found.offset + at - found.addresses.start;
            let views = files
                .iter()
                .filter(|one| one.is_writable && one.file == found.file);
            let mut shown = views.map(|view| {
                let size = view.addresses.end - view.addresses.start;
                view.offset..view.offset + size
            });
            shown.any(|shown| shown.contains(&byte))
        };
        assert!(!is_writable(Protection::ReadOnly));
        shows_code += u32::from(is_writable(Protection::ReadExecute));
    }
    assert!(shows_code > 0, "there was a view to look at");
    crate::support::call_all(&functions, Writer::DualMapping);
}

#[test]
fn a_forked_child_runs_inherited_code_and_never_changes_its_parents() {
    for (writer, memory) in memories() {
        let (inherited, at) = function(&memory, 11);
        let (mut doomed, doomed_at) = {
            let (allocation, at) = function(&memory, 22);
            (Some(allocation), at)
        };
        let child = unsafe { libc::fork() };
        if child == 0 {
            // No allocation of the test harness's own may fail here, and nothing may unwind.
            let runs = call(at) == 11;
            drop(doomed.take());
            let (layout, _) = layout([16, 0, 0]);
            let refused = matches!(
                memory.allocate(&Request::new(&layout)),
                Err(codeslab::Error::Forked)
            );
            let fresh = crate::support::memory(writer);
            let works = call(function(&fresh, 33).1) == 33;
            unsafe { libc::_exit(i32::from(!(runs && refused && works))) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(
            status, 0,
            "{writer}: inherited code runs, the memory is refused, a new one works"
        );
        assert_eq!(
            (call(at), call(doomed_at)),
            (11, 22),
            "{writer}: what the child frees stays the parent's"
        );
        assert_eq!(byte_at(doomed_at), 0xb8);
        drop(inherited);
    }
}

#[test]
fn a_forked_child_has_no_descriptor_of_its_parents_code_and_cannot_make_it_writable() {
    for (writer, memory) in memories() {
        if !matches!(writer, Writer::DualMapping | Writer::FileWrite) {
            // Private memory: the child has a copy of its own.
            continue;
        }
        let (code, at) = function(&memory, 7);
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut target = [0_u8; 64];
            let is_ours = |number: i32| {
                let link = format!("/proc/self/fd/{number}\0");
                let room = target.as_mut_ptr().cast();
                let length = unsafe { libc::readlink(link.as_ptr().cast(), room, target.len()) };
                let name = target
                    .get(..length.max(0).cast_unsigned())
                    .unwrap_or_default();
                name.windows(8).any(|part| part == b"codeslab")
            };
            let inherits = (0..1024).any(is_ours);
            let page = (at.value() & !4095) as *mut libc::c_void;
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let is_writable = unsafe { libc::mprotect(page, 4096, rights) } == 0;
            unsafe { libc::_exit(i32::from(inherits) | i32::from(is_writable) << 1) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 0, "{writer}: {status:#x}");
        // The parent has lost nothing.
        let _more: Vec<_> = (0..100).map(|_| function(&memory, 8)).collect();
        assert_eq!(call(at), 7);
        drop(code);
    }
}

#[test]
fn no_call_by_address_makes_code_in_a_memory_file_writable_or_writes_to_it() {
    use std::os::unix::fs::FileExt;
    let files = [Writer::DualMapping, Writer::FileWrite];
    for (writer, memory) in memories() {
        if !files.contains(&writer) {
            continue;
        }
        let functions = crate::support::functions(&memory, 1, 16);
        let (allocation, code, _) = &functions[0];
        let constants = allocation.segment_address(Protection::ReadOnly).unwrap();
        let itself = std::fs::File::options().write(true).open("/proc/self/mem");
        let itself = itself.unwrap();
        for at in [*code, constants] {
            let page = (at.value() & !4095) as *mut libc::c_void;
            for rights in [
                libc::PROT_WRITE,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            ] {
                assert_eq!(
                    unsafe { libc::mprotect(page, 4096, rights) },
                    -1,
                    "{writer}"
                );
            }
            assert!(itself.write_at(&[0x90], at.value()).is_err(), "{writer}");
        }
        crate::support::call_all(&functions, writer);
    }
}

#[test]
fn a_forked_child_cannot_write_to_what_its_parent_is_writing() {
    for (writer, memory) in memories() {
        let (layout, [code, ..]) = layout([6, 0, 0]);
        let mut pending = memory.allocate(&Request::new(&layout)).unwrap();
        pending
            .write(code, 0, &crate::support::return_constant(5))
            .unwrap();
        let at = pending.address(code);
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = pending.write(code, 0, &[0; 6]);
            let is_refused = matches!(refused, Err(codeslab::Error::Forked));
            let stats = memory.stats();
            unsafe {
                libc::_exit(i32::from(
                    !is_refused || stats != codeslab::Stats::default(),
                ))
            };
        }
        let in_place = unsafe { libc::fork() };
        if in_place == 0 {
            // Through the slice there is nobody to refuse it: it faults, or it is a copy of the child's own.
            pending.bytes_mut(code).fill(0);
            unsafe { libc::_exit(0) };
        }
        for child in [child, in_place] {
            let mut status = 0;
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert!(
                status == 0 || (child == in_place && libc::WTERMSIG(status) == SEGV),
                "{writer}: {status}"
            );
        }
        let _published = pending.finalize().unwrap();
        assert_eq!(call(at), 5, "{writer}");
    }
}
