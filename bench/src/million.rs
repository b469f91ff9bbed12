//! Very many live allocations: whether the last ones are as fast as the first, how much metadata there is, and whether all of the
//! memory goes back.

use crate::allocator::Allocator;
use crate::measure;
use crate::report::{Report, float};
use crate::sizes::{self, Requests, sizes};
use std::error::Error;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What counts as the first allocations.
const FIRST: usize = 10_000;

/// `count` allocations that are written and kept, and then freed.
///
/// The first ones are timed in a memory that is as new as it is for the others, so that both pay for pages that the system hands
/// out. What only the first ones would pay, loading the program's own pages, is paid before: as many go into another memory.
pub(crate) fn keep<A: Allocator>(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    let mut work = Work::<A>::new(count as usize)?;
    let first = 0..FIRST.min(work.sizes.len());
    let mut other = A::open()?;
    work.place(&mut other, first.clone());
    work.free(&mut other);
    drop(other);

    measure::trim_heap();
    let bytes_before = measure::memory_bytes();
    let mut allocator = A::open()?;
    let first_elapsed = work.place(&mut allocator, first.clone());
    let elapsed = first_elapsed + work.place(&mut allocator, first.end..work.sizes.len());
    let mut report = Report {
        objects: u64::from(count),
        failed: work.kept.iter().filter(|one| one.is_none()).count() as u64,
        elapsed,
        content_bytes: work.content_bytes(),
        memory_bytes: measure::growth(bytes_before, measure::memory_bytes()),
        ..Report::default()
    };
    let metadata = allocator.metadata_bytes();
    work.free(&mut allocator);
    allocator.trim();
    measure::trim_heap();
    let left = measure::growth(bytes_before, measure::memory_bytes());

    let us_per_first = first_elapsed.as_secs_f64() * 1e6 / float(first.end as u64);
    report.add("times_first", report.us_per_object() / us_per_first);
    if let Some(bytes) = metadata {
        let per_content = float(bytes) / float(report.content_bytes);
        report.add("metadata_per_content", per_content);
    }
    if let Some(bytes) = left {
        report.add("mib_left", float(bytes) / f64::from(1 << 20));
    }
    Ok(report)
}

/// All that is asked for, and what is there of it.
struct Work<A: Allocator> {
    requests: Requests<A>,
    source: Vec<u8>,
    sizes: Vec<usize>,
    // Invariant: as many as sizes.
    kept: Vec<Option<A::Placed>>,
}

impl<A: Allocator> Work<A> {
    fn new(count: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            requests: Requests::new()?,
            source: sizes::source(),
            sizes: sizes().take(count).collect(),
            // Written to here, so that its own pages do not show in any figure.
            kept: (0..count).map(|_| None).collect(),
        })
    }

    fn place(&mut self, allocator: &mut A, range: Range<usize>) -> Duration {
        let start = Instant::now();
        for index in range {
            let size = self.sizes[index];
            self.kept[index] = allocator.place(self.requests.of(size), &self.source[..size]);
        }
        start.elapsed()
    }

    fn free(&mut self, allocator: &mut A) {
        let kept = self.kept.iter_mut().filter_map(Option::take);
        kept.for_each(|one| allocator.free(one));
    }

    /// Bytes of content in what is there.
    fn content_bytes(&self) -> u64 {
        let both = self.sizes.iter().zip(&self.kept);
        both.filter_map(|(&size, one)| one.as_ref().map(|_| size as u64))
            .sum()
    }
}
