//! What only the writer `pkeys` has to show: rights belong to threads there, not to pages. On a processor without keys the
//! first two tests tell that it is refused, and the others are skipped; `scripts/pkeys-vm.mjs` runs them on one that has keys.

use crate::support::{byte_at, call, function, layout, memory};
use codeslab::{Address, Allocation, CodeMemory, Constants, Error, Options, Request, Writer};
use codeslab_testing::skip;
use codeslab_testing::{assert_passed, is_child, run_child};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

const DENY_ACCESS: u32 = 1;
const DENY_WRITING: u32 = 2;

/// Why it does not work here.
fn unavailable() -> Option<String> {
    let writers = codeslab::capabilities().unwrap().writers;
    let mut statuses = writers.into_iter();
    let status = statuses.find(|status| status.writer == Writer::Pkeys);
    status.unwrap().unavailable
}

/// Runs a test in a process of its own, where no key is allocated yet; not at all where there are none.
fn in_a_process_of_its_own(test: &str, action: impl FnOnce()) {
    if is_child(test) {
        action();
    } else if is_to_be_tried(test) {
        assert_passed(&run_child(test, "exec \"$@\"", &[]));
    }
}

/// Whether there are keys here. Where not, `test` counts as skipped.
fn is_to_be_tried(test: &str) -> bool {
    let missing = unavailable();
    if let Some(reason) = &missing {
        skip(test, &format!("{reason} (npm run test:pkeys emulates one)"));
    }
    missing.is_none()
}

/// Rights and protection key of the page at an address.
fn page_at(at: Address) -> (String, u32) {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines();
    let header = lines.find(|line| {
        let bounds = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let bounds = bounds.map(|(first, end)| [first, end].map(|at| u64::from_str_radix(at, 16)));
        matches!(bounds, Some([Ok(first), Ok(end)]) if (first..end).contains(&at.value()))
    });
    let key = lines.find_map(|line| line.strip_prefix("ProtectionKey:"));
    let rights = header.unwrap().split(' ').nth(1).unwrap().to_owned();
    (rights, key.unwrap().trim().parse().unwrap())
}

/// What this thread may not do with a key.
fn denied(rights: u32, key: u32) -> u32 {
    rights >> (2 * key) & (DENY_ACCESS | DENY_WRITING)
}

/// The rights of this thread, for all keys.
fn rights() -> u32 {
    let rights;
    unsafe { asm!("rdpkru", in("ecx") 0, out("eax") rights, out("edx") _) };
    rights
}

/// A function that returns its constant, where it is and where the constant is.
fn with_constant(memory: &CodeMemory, value: u32) -> (Allocation, Address, Address) {
    let (layout, [code, constant, _]) = layout([7, 4, 0]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    let (at, constant_at) = (in_flight.address(code), in_flight.address(constant));
    let displacement = constant_at.offset_from(at.checked_add(6).unwrap()) as i32;
    // mov eax, [rip + constant]; ret
    let mut bytes = vec![0x8b, 0x05];
    bytes.extend(displacement.to_le_bytes());
    bytes.push(0xc3);
    in_flight.write(code, 0, &bytes).unwrap();
    in_flight.write(constant, 0, &value.to_le_bytes()).unwrap();
    (in_flight.finalize().unwrap(), at, constant_at)
}

/// A thread that does something with two addresses when it gets them.
fn waiting_thread<T: Send + 'static>(
    action: impl FnOnce(Address, Address) -> T + Send + 'static,
) -> (mpsc::Sender<(Address, Address)>, JoinHandle<T>) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let (code, constant) = receiver.recv().unwrap();
        action(code, constant)
    });
    (sender, thread)
}

#[test]
fn the_writer_works_where_processor_and_system_have_keys_and_tells_where_not() {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let has_keys = processor.split_whitespace().any(|flag| flag == "ospke");
    let expected = "pkey_alloc: the processor does not offer it, or the system makes no use of it";
    assert_eq!(unavailable().as_deref(), (!has_keys).then_some(expected));
}

#[test]
fn constants_between_code_are_refused() {
    let options = Options {
        writer: Some(Writer::Pkeys),
        constants: Constants::WithCode,
        ..Options::default()
    };
    let refused = CodeMemory::new(options).unwrap_err();
    assert!(
        matches!(&refused, Error::WriterUnavailable { writer: Writer::Pkeys, reason } if reason.contains("keep them separate")),
        "{refused}"
    );
}

#[test]
fn memories_share_one_key_and_their_constants_and_data_are_under_none() {
    const NAME: &str = "pkeys::memories_share_one_key_and_their_constants_and_data_are_under_none";
    in_a_process_of_its_own(NAME, || {
        // At once, so that they race for the key.
        let memories = std::thread::scope(|scope| {
            let opening = [(); 3].map(|()| scope.spawn(|| memory(Writer::Pkeys)));
            opening.map(|thread| thread.join().unwrap())
        });
        let functions = memories.each_ref().map(|memory| with_constant(memory, 5));
        let pages = functions.each_ref().map(|(_, code, _)| page_at(*code));
        let (rights, key) = &pages[0];
        assert_eq!(rights, "rwxp");
        assert_ne!(*key, 0);
        assert!(pages.iter().all(|page| page == &pages[0]), "{pages:?}");
        for (_, _, constant) in &functions {
            assert_eq!(page_at(*constant), ("r--p".to_owned(), 0));
        }
        assert_eq!(allocate_all_keys().len(), 14, "15, less the one");
        drop((functions, memories));
        assert_eq!(call(function(&memory(Writer::Pkeys), 6).1), 6, "it stays");
    });
}

/// Takes all keys that are left.
fn allocate_all_keys() -> Vec<i64> {
    let allocate = || Some(unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, 0) });
    std::iter::from_fn(allocate)
        .take_while(|key| *key >= 0)
        .collect()
}

#[test]
fn a_lack_of_keys_is_named_and_over_when_there_is_one() {
    const NAME: &str = "pkeys::a_lack_of_keys_is_named_and_over_when_there_is_one";
    // Whether there are keys must not be asked here: that takes one.
    if is_child(NAME) {
        let keys = allocate_all_keys();
        let reason = unavailable().unwrap();
        assert!(
            reason.ends_with("the process has no protection key left"),
            "{reason}"
        );
        unsafe { libc::syscall(libc::SYS_pkey_free, keys[0]) };
        assert_eq!(call(function(&memory(Writer::Pkeys), 3).1), 3);
    } else if is_to_be_tried(NAME) {
        assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
}

#[test]
fn a_thread_older_than_the_key_executes_code_and_reads_constants() {
    const NAME: &str = "pkeys::a_thread_older_than_the_key_executes_code_and_reads_constants";
    in_a_process_of_its_own(NAME, || {
        let (addresses, older) = waiting_thread(|code, constant| {
            let key = page_at(code).1;
            (denied(rights(), key), call(code), byte_at(constant))
        });
        let (_function, code, constant) = with_constant(&memory(Writer::Pkeys), 7);
        addresses.send((code, constant)).unwrap();
        let (denied, returned, read) = older.join().unwrap();
        assert_ne!(denied & DENY_ACCESS, 0, "it is such a thread");
        assert_eq!((returned, read), (7, 7));
    });
}

#[test]
fn a_thread_that_publishes_or_frees_may_read_afterwards_and_never_write() {
    const NAME: &str =
        "pkeys::a_thread_that_publishes_or_frees_may_read_afterwards_and_never_write";
    in_a_process_of_its_own(NAME, || {
        let (addresses, older) = waiting_thread(|code, _| {
            let memory = memory(Writer::Pkeys);
            let (mine, _) = function(&memory, 1);
            let key = page_at(code).1;
            let after_publishing = denied(rights(), key);
            mine.free();
            (after_publishing, denied(rights(), key), byte_at(code))
        });
        let (_function, code, constant) = with_constant(&memory(Writer::Pkeys), 7);
        addresses.send((code, constant)).unwrap();
        assert_eq!(older.join().unwrap(), (DENY_WRITING, DENY_WRITING, 0x8b));
    });
}

/// Does something in a child process that it must not survive. Its thread is as old as its name says.
fn dies_of(signal: i32, test: &str, cases: &[&str], action: fn(&str, Address, Address)) {
    const CASE: &str = "CODESLAB_TEST_CASE";
    if is_child(test) {
        let case = std::env::var(CASE).unwrap();
        let act = move |code, constant| action(&case, code, constant);
        let (older, waiting) = waiting_thread(act.clone());
        let (_function, code, constant) = with_constant(&memory(Writer::Pkeys), 7);
        if std::env::var(CASE).unwrap().starts_with("older") {
            older.send((code, constant)).unwrap();
            waiting.join().unwrap();
        } else {
            std::thread::spawn(move || act(code, constant))
                .join()
                .unwrap();
        }
        return;
    }
    if !is_to_be_tried(test) {
        return;
    }
    for case in cases {
        let output = run_child(test, "exec \"$@\"", &[(CASE, case)]);
        assert_eq!(output.status.signal(), Some(signal), "{case}: {output:?}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("about to do it"), "{case}: {output:?}");
    }
}

#[test]
fn a_write_faults_in_threads_of_every_age() {
    const NAME: &str = "pkeys::a_write_faults_in_threads_of_every_age";
    let cases = [
        "older, code",
        "older, constant",
        "younger, code",
        "younger, constant",
    ];
    dies_of(libc::SIGSEGV, NAME, &cases, |case, code, constant| {
        let at = if case.ends_with("code") {
            code
        } else {
            constant
        };
        println!("about to do it");
        unsafe { std::ptr::write_volatile(at.value() as *mut u8, 0x90) };
    });
}

#[test]
fn freed_code_traps_in_threads_of_every_age() {
    const NAME: &str = "pkeys::freed_code_traps_in_threads_of_every_age";
    dies_of(libc::SIGTRAP, NAME, &["older", "younger"], |_, _, _| {
        // In a memory of its own, kept alive by a neighbour.
        let memory = memory(Writer::Pkeys);
        let (_keep, _) = function(&memory, 1);
        let (freed, at) = function(&memory, 2);
        assert_eq!(call(at), 2);
        freed.free();
        println!("about to do it");
        call(at);
    });
}

/// What the signal handler needs to know and what it saw.
struct Seen {
    code: AtomicU64,
    constant: AtomicU64,
    key: AtomicU32,
    /// Where in the saved registers the rights of the interrupted thread are.
    rights_at: AtomicU32,
    during_copies: AtomicU32,
    wrong: AtomicU32,
}

static SEEN: Seen = Seen {
    code: AtomicU64::new(0),
    constant: AtomicU64::new(0),
    key: AtomicU32::new(0),
    rights_at: AtomicU32::new(0),
    during_copies: AtomicU32::new(0),
    wrong: AtomicU32::new(0),
};

/// Executes code and reads a constant, and sees whether it interrupted a copy.
extern "C" fn look(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let load = |address: &AtomicU64| Address::new(address.load(Ordering::Relaxed));
    let context = context.cast::<libc::ucontext_t>();
    // The address of what the kernel saved of the other registers follows the 23 general ones. Not for every C library has that a name.
    let machine = unsafe { &raw const (*context).uc_mcontext }.cast::<*const u8>();
    let registers = unsafe { machine.add(23).read() };
    let rights_at = SEEN.rights_at.load(Ordering::Relaxed) as usize;
    let interrupted = unsafe { registers.add(rights_at).cast::<u32>().read_unaligned() };
    let key = SEEN.key.load(Ordering::Relaxed);
    let works = call(load(&SEEN.code)) == 7 && byte_at(load(&SEEN.constant)) == 7;
    if !works || denied(rights(), key) == 0 {
        SEEN.wrong.fetch_add(1, Ordering::Relaxed);
    }
    if denied(interrupted, key) == 0 {
        SEEN.during_copies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Interrupts this thread every millisecond with [`look`].
fn interrupt_this_thread() -> libc::timer_t {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = look as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = libc::SIGUSR1;
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let millisecond = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    let often = libc::itimerspec {
        it_interval: millisecond,
        it_value: millisecond,
    };
    let mut timer: libc::timer_t = std::ptr::null_mut();
    let answers = unsafe {
        [
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()),
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer),
            libc::timer_settime(timer, 0, &raw const often, std::ptr::null_mut()),
        ]
    };
    assert_eq!(answers, [0; 3]);
    timer
}

#[test]
fn a_signal_handler_that_interrupts_a_copy_executes_code_and_has_no_right_to_write() {
    const NAME: &str =
        "pkeys::a_signal_handler_that_interrupts_a_copy_executes_code_and_has_no_right_to_write";
    /// Where CPUID tells about the saved registers, and which part of them PKRU is.
    const SAVED: (u32, u32) = (0xd, 9);
    in_a_process_of_its_own(NAME, || {
        let memory = memory(Writer::Pkeys);
        let (_function, code, constant) = with_constant(&memory, 7);
        SEEN.code.store(code.value(), Ordering::Relaxed);
        SEEN.constant.store(constant.value(), Ordering::Relaxed);
        SEEN.key.store(page_at(code).1, Ordering::Relaxed);
        #[allow(
            unused_unsafe,
            reason = "the intrinsic is safe in newer standard libraries"
        )]
        let rights_at = unsafe { __cpuid_count(SAVED.0, SAVED.1) }.ebx;
        SEEN.rights_at.store(rights_at, Ordering::Relaxed);
        let timer = interrupt_this_thread();
        let (layout, [large, ..]) = layout([4 << 20, 0, 0]);
        for round in 0..2_000_u32 {
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            let value = crate::support::return_constant(round);
            in_flight.write(large, (4 << 20) - 6, &value).unwrap();
            let last = in_flight.address(large).checked_add((4 << 20) - 6);
            let allocation = in_flight.finalize().unwrap();
            assert_eq!(call(last.unwrap()), round);
            allocation.free();
            if SEEN.during_copies.load(Ordering::Relaxed) >= 3 {
                break;
            }
        }
        // Before the code goes that the handler calls.
        assert_eq!(unsafe { libc::timer_delete(timer) }, 0);
        let seen = [&SEEN.during_copies, &SEEN.wrong].map(|count| count.load(Ordering::Relaxed));
        assert!(
            seen[0] >= 3 && seen[1] == 0,
            "during copies, wrong: {seen:?}"
        );
    });
}
