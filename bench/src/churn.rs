//! Places 256 bytes and takes them back, again and again: what an allocator costs when the system is not involved.
//!
//! Nothing is written, because copying costs the same everywhere.

use crate::allocator::{Allocator, SharedAllocator};
use crate::report::Report;
use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const SIZE: usize = 256;

/// `pairs` pairs on one thread.
pub(crate) fn one_thread<A: Allocator>(_: &str, pairs: u32) -> Result<Report, Box<dyn Error>> {
    let mut allocator = A::open()?;
    let request = A::request(SIZE)?;
    churn(&mut allocator, &request, pairs / 10);
    Ok(churn(&mut allocator, &request, pairs))
}

/// `pairs` pairs on each of two threads that share one allocator. The time per pair is what a thread waits for its own.
pub(crate) fn two_threads<A: SharedAllocator>(
    _: &str,
    pairs: u32,
) -> Result<Report, Box<dyn Error>> {
    let allocator = A::open()?;
    let requests = [A::request(SIZE)?, A::request(SIZE)?];
    let start = Barrier::new(requests.len());
    let run = |request: A::Request, mut handle: A| {
        churn(&mut handle, &request, pairs / 10);
        start.wait();
        churn(&mut handle, &request, pairs)
    };
    let reports = thread::scope(|scope| {
        let threads = requests.map(|request| {
            let handle = allocator.handle();
            let run = &run;
            scope.spawn(move || run(request, handle))
        });
        threads.map(thread::ScopedJoinHandle::join)
    });
    let mut both = Report::default();
    for report in reports {
        let report = report.map_err(|_| "a thread panicked")?;
        both.objects += report.objects;
        both.failed += report.failed;
        both.elapsed += report.elapsed;
    }
    Ok(both)
}

fn churn<A: Allocator>(allocator: &mut A, request: &A::Request, pairs: u32) -> Report {
    let mut failed = 0;
    let start = Instant::now();
    for _ in 0..pairs {
        match allocator.place(request, &[]) {
            Some(placed) => allocator.free(placed),
            None => failed += 1,
        }
    }
    Report {
        objects: u64::from(pairs),
        failed,
        elapsed: start.elapsed(),
        ..Report::default()
    }
}
