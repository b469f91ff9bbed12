//! Limits of the process that are met while it works: what there is goes on, what is refused is named, and nothing is lost.

use super::with_each_writer;
use crate::support::{Function, call, call_all, functions, layout, memory_of, return_constant};
use codeslab::{CodeMemory, Error, Limit, Request, Stats, Writer};

/// Requests at most: more than any limit that a test sets lets through.
const MOST: u32 = 8_000;

/// Publishes functions until one is refused, and says why.
fn fill(memory: &CodeMemory, live: &mut Vec<Function>) -> Option<Error> {
    let (layout, [code, ..]) = layout([60_000, 2_000, 30_000]);
    (0..MOST).find_map(|value| {
        let publish = || {
            let mut in_flight = memory.allocate(&Request::new(&layout))?;
            in_flight.write(code, 0, &return_constant(value))?;
            let at = in_flight.address(code);
            Ok((in_flight.finalize()?, at, value))
        };
        publish().map(|function| live.push(function)).err()
    })
}

/// The life of a memory under a limit that `press` puts on the process and `release` takes away. What was refused?
fn under(
    writer: Writer,
    press: impl FnOnce(),
    release: impl FnOnce(),
    expected: &[Limit],
) -> String {
    let memory = memory_of(writer, 1 << 20);
    // The test's own memory is there before.
    let mut live = Vec::with_capacity(MOST as usize + 100);
    live.extend(functions(&memory, 20, 5_000));
    let (small, [code, ..]) = layout([100, 100, 100]);
    let mut pending = memory.allocate(&Request::new(&small)).unwrap();
    pending.write(code, 0, &return_constant(77)).unwrap();
    let at = pending.address(code);
    press();
    let refused = fill(&memory, &mut live);
    call_all(&live, writer);
    let published = pending.finalize();
    assert!(published.is_err() || call(at) == 77, "{writer}");
    // What was freed is used again, under the same limit.
    let kept = live.len() / 2;
    live.truncate(kept);
    let again = fill(&memory, &mut live);
    assert!(live.len() > kept, "{writer}: {refused:?}, then {again:?}");
    release();
    call_all(&live, writer);
    live.extend(functions(&memory, 20, 5_000));
    call_all(&live, writer);
    drop((live, published));
    memory.trim();
    assert_eq!(memory.stats(), Stats::default(), "{writer}");
    match refused {
        Some(Error::Refused(refusal)) if expected.contains(&refusal.limit) => {
            format!("`{}`, and goes on", Error::Refused(refusal).code())
        }
        refused => panic!("{writer}: {refused:?} instead of {expected:?}"),
    }
}

/// Limits a resource to what the process has of it, by a field of `/proc/self/statm`, and some mebibytes more.
fn limit(resource: i64, field: usize, more: u64) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = text.split_whitespace().nth(field);
    let pages: u64 = pages.expect("a field").parse().expect("a number");
    set_limit(resource, pages * 4096 + (more << 20));
}

fn set_limit(resource: i64, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // As the kernel has it: each C library has a type of its own for resources.
    let old = std::ptr::null_mut::<libc::rlimit>();
    let failed = unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, old) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_limit_on_address_space_that_comes_later_is_named_and_what_there_is_goes_on() {
    const NAME: &str = "outside::limits::a_limit_on_address_space_that_comes_later_is_named_and_what_there_is_goes_on";
    with_each_writer(NAME, "`RLIMIT_AS`, 64 MiB above what is used", |writer| {
        let press = || limit(i64::from(libc::RLIMIT_AS), 0, 64);
        let release = || set_limit(i64::from(libc::RLIMIT_AS), libc::RLIM_INFINITY);
        under(writer, press, release, &[Limit::AddressSpace])
    });
}

#[test]
fn a_limit_on_private_memory_that_comes_later_is_named_and_what_there_is_goes_on() {
    const NAME: &str = "outside::limits::a_limit_on_private_memory_that_comes_later_is_named_and_what_there_is_goes_on";
    with_each_writer(NAME, "`RLIMIT_DATA`, 32 MiB above what is used", |writer| {
        let press = || limit(i64::from(libc::RLIMIT_DATA), 5, 32);
        let release = || set_limit(i64::from(libc::RLIMIT_DATA), libc::RLIM_INFINITY);
        under(writer, press, release, &[Limit::Data])
    });
}

/// Mappings that hold nothing, as many as it takes until only some are left.
struct Padding {
    start: *mut libc::c_void,
    bytes: usize,
}

impl Padding {
    fn leaving(left: usize) -> Self {
        let read = |path| std::fs::read_to_string(path).expect("/proc");
        let most: usize = read("/proc/sys/vm/max_map_count").trim().parse().unwrap();
        let used = read("/proc/self/maps").lines().count();
        let pages = most.saturating_sub(used + left);
        let bytes = pages * 4096;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        for page in (0..pages).step_by(2) {
            let at = unsafe { start.byte_add(page * 4096) };
            unsafe { libc::mprotect(at, 4096, libc::PROT_READ) };
        }
        Self { start, bytes }
    }
}

impl Drop for Padding {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

#[test]
fn a_lack_of_mappings_is_named_and_what_there_is_goes_on() {
    const NAME: &str = "outside::limits::a_lack_of_mappings_is_named_and_what_there_is_goes_on";
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let condition = format!("`vm.max_map_count` at {}, all but 200 in use", most.trim());
    with_each_writer(NAME, &condition, |writer| {
        let padding = std::cell::Cell::new(None);
        let press = || padding.set(Some(Padding::leaving(200)));
        let release = || drop(padding.take());
        under(writer, press, release, &[Limit::MapCount])
    });
}
