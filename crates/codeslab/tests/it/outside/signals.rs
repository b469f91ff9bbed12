//! Signals that come all the time, while everything else is done: no call that they interrupt loses anything.

use super::with_each_writer;
use crate::support::{call_all, functions, memory_of};
use codeslab::{Stats, Writer};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

fn handle(flags: i32) {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    action.sa_flags = flags;
    let failed = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

/// Everything that is done to a memory, over and over.
fn work(writer: Writer) {
    for _ in 0..12 {
        let memory = memory_of(writer, 1 << 20);
        let mut live = functions(&memory, 60, 3_000);
        live.extend(functions(&memory, 4, 300_000));
        call_all(&live, writer);
        live.retain(|(_, _, value)| value % 2 == 0);
        live.extend(functions(&memory, 60, 2_000));
        call_all(&live, writer);
        drop(live);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
    }
}

/// Two threads work, and are interrupted as often as it can be done.
fn storm(writer: Writer, flags: i32) -> String {
    handle(flags);
    let (ready, done) = (Barrier::new(3), AtomicBool::new(false));
    let ids = [const { AtomicU32::new(0) }; 2];
    std::thread::scope(|scope| {
        let workers = ids.each_ref().map(|id| {
            let ready = &ready;
            scope.spawn(move || {
                id.store(unsafe { libc::gettid() }.cast_unsigned(), Ordering::Relaxed);
                ready.wait();
                work(writer);
            })
        });
        let (ready, done, ids) = (&ready, &done, &ids);
        scope.spawn(move || {
            ready.wait();
            while !done.load(Ordering::Relaxed) {
                for id in ids {
                    let (process, thread) = (unsafe { libc::getpid() }, id.load(Ordering::Relaxed));
                    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGALRM) };
                }
                std::thread::yield_now();
            }
        });
        for worker in workers {
            worker.join().expect("its work was right");
        }
        done.store(true, Ordering::Relaxed);
    });
    let handled = HANDLED.load(Ordering::Relaxed);
    assert!(handled > 100, "{writer}: {handled} signals");
    "passes".to_owned()
}

#[test]
fn signals_that_restart_calls_change_nothing() {
    const NAME: &str = "outside::signals::signals_that_restart_calls_change_nothing";
    with_each_writer(NAME, "SIGALRM all the time, `SA_RESTART`", |writer| {
        storm(writer, libc::SA_RESTART)
    });
}

#[test]
fn signals_that_interrupt_calls_change_nothing() {
    const NAME: &str = "outside::signals::signals_that_interrupt_calls_change_nothing";
    with_each_writer(
        NAME,
        "SIGALRM all the time, without `SA_RESTART`",
        |writer| storm(writer, 0),
    );
}
