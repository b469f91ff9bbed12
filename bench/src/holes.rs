//! Fills a memory, frees every second allocation, and asks for the same sizes again: whether holes are found, and how fast.

use crate::allocator::Allocator;
use crate::report::Report;
use crate::sizes::{self, Requests, sizes};
use std::error::Error;
use std::ops::Range;
use std::time::Instant;

/// `count` allocations, half of which are freed and made again. Only making them again is timed, without writing to them. What is
/// placed over something that is still there counts as failed: not every allocator looks.
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
    let there: Vec<Range<u64>> = placed
        .iter()
        .zip(&sizes)
        .filter_map(|(one, &size)| {
            let start = A::address(one.as_ref()?);
            Some(start..start + size as u64)
        })
        .collect();
    Ok(Report {
        objects: u64::from(count.div_ceil(2)),
        failed: (2 * sizes.len() - filled - there.len() + overlaps(there)) as u64,
        elapsed,
        ..Report::default()
    })
}

/// How many of these begin before another that began earlier has ended.
fn overlaps(mut ranges: Vec<Range<u64>>) -> usize {
    ranges.sort_unstable_by_key(|range| range.start);
    let neighbours = ranges.windows(2);
    neighbours
        .filter(|pair| pair[0].end > pair[1].start)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        assert_eq!(overlaps(vec![16..32, 0..16]), 0);
        assert_eq!(overlaps(vec![16..32, 0..17, 40..50]), 1);
    }
}
