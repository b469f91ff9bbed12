//! Signals that come all the time, while everything else is done: no call that they interrupt loses anything.

use super::with_each_writer;
use crate::support::{call_all, functions, memory_of};
use codeslab::{Stats, Writer};
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Interrupts the thread that makes it every 40 µs of the time in which it runs.
struct Alarm(libc::timer_t);

impl Alarm {
    fn new() -> Self {
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = std::ptr::null_mut();
        let clock = libc::CLOCK_MONOTONIC;
        let failed = unsafe { libc::timer_create(clock, &raw mut event, &raw mut timer) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
        let often = libc::timespec {
            tv_sec: 0,
            tv_nsec: 40_000,
        };
        let times = libc::itimerspec {
            it_interval: often,
            it_value: often,
        };
        let failed =
            unsafe { libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut()) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
        Self(timer)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Two threads work, and are interrupted all the time.
fn storm(writer: Writer, flags: i32) -> String {
    handle(flags);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _alarm = Alarm::new();
                work(writer);
            });
        }
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
