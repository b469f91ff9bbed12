//! Fills a memory, frees every second allocation, and asks for the same sizes again: whether holes are found, and how fast.

use crate::allocator::Allocator;
use crate::report::Report;
use crate::sizes::{self, Requests, sizes};
use std::error::Error;
use std::time::Instant;

/// `count` allocations, half of which are freed and made again. Only making them again is timed, without writing to them.
pub(crate) fn refill<A: Allocator>(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    let mut allocator = A::open()?;
    let requests = Requests::<A>::new()?;
    let source = sizes::source();
    let sizes: Vec<usize> = sizes().take(count as usize).collect();
    let mut placed: Vec<_> = sizes
        .iter()
        .map(|&size| allocator.place(requests.of(size), &source[..size]))
        .collect();
    let filled = placed.iter().filter(|one| one.is_some()).count();
    for hole in placed.iter_mut().step_by(2).filter_map(Option::take) {
        allocator.free(hole);
    }
    let start = Instant::now();
    for (hole, &size) in placed.iter_mut().zip(&sizes).step_by(2) {
        *hole = allocator.place(requests.of(size), &[]);
    }
    let elapsed = start.elapsed();
    let there = placed.iter().filter(|one| one.is_some()).count();
    Ok(Report {
        objects: u64::from(count.div_ceil(2)),
        failed: (2 * sizes.len() - filled - there) as u64,
        elapsed,
        ..Report::default()
    })
}
