//! Sizes from 64 to 1,024 bytes, the same in every run, and a request for each.

use crate::allocator::Allocator;
use std::error::Error;

const SMALLEST: usize = 64;
const LARGEST: usize = 1024;

/// Pseudo-random sizes without end.
pub(crate) fn sizes() -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        SMALLEST + (state % (LARGEST - SMALLEST + 1) as u64) as usize
    })
}

/// A request for each of the sizes.
pub(crate) struct Requests<A: Allocator> {
    // Invariant: one for each size from `SMALLEST` to `LARGEST`, ascending.
    all: Vec<A::Request>,
}

impl<A: Allocator> Requests<A> {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let all = (SMALLEST..=LARGEST)
            .map(A::request)
            .collect::<Result<_, _>>()?;
        Ok(Self { all })
    }

    pub(crate) fn of(&self, size: usize) -> &A::Request {
        &self.all[size - SMALLEST]
    }
}

/// As many bytes as the largest has, to copy from.
pub(crate) fn source() -> Vec<u8> {
    vec![0xC3; LARGEST]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_reach_from_the_smallest_to_the_largest_and_no_farther() {
        let some: Vec<usize> = sizes().take(100_000).collect();
        assert_eq!(some.iter().min(), Some(&SMALLEST));
        assert_eq!(some.iter().max(), Some(&LARGEST));
    }
}
