//! Looking for free address space, nearest first. Pure: it asks an [`AddressMap`] and does not care who answers.

use crate::address::{Address, Window};

/// What is mapped in a process.
pub(crate) trait AddressMap {
    /// The lowest mapping that ends above `at`: the one that covers it, or the next.
    fn mapping_from(&self, at: Address) -> Option<Window>;
}

/// How many mappings one search passes in each direction before it gives up.
const PATIENCE: usize = 200_000;

/// The start of a gap of `size` bytes that is wholly inside `window`, at a multiple of `align`, and as near to `near` as
/// there is one. `size` is not 0, `align` a power of two.
pub(crate) fn nearest_gap(
    map: &dyn AddressMap,
    window: Window,
    near: Address,
    size: u64,
    align: u64,
) -> Option<Address> {
    let starts = window.starts_for(size)?;
    let first = starts.first().align_up(align)?;
    let last = starts.last().align_down(align);
    let starts = Window::new(first, last)?;
    let near = near.align_down(align).clamp(first, last);
    let mut below = Side::Candidate(near);
    let mut above = near
        .checked_add(align)
        .map_or(Side::Exhausted, Side::Candidate);
    for _ in 0..PATIENCE {
        let go_down = match (below, above) {
            (Side::Exhausted, Side::Exhausted) => return None,
            (Side::Exhausted, _) => false,
            (_, Side::Exhausted) => true,
            (Side::Candidate(below), Side::Candidate(above)) => {
                near.distance(below) <= near.distance(above)
            }
        };
        let next = if go_down { &mut below } else { &mut above };
        let Side::Candidate(at) = *next else {
            return None;
        };
        if !starts.contains(Window::of_range(at, 1)?) {
            *next = Side::Exhausted;
            continue;
        }
        match obstacle(map, at, size) {
            None => return Some(at),
            // The obstacle is the lowest one, so everything between what we try next and here meets it too.
            Some(found) if go_down => {
                *next = found
                    .first()
                    .checked_sub(size)
                    .map(|at| at.align_down(align))
                    .into();
            }
            Some(found) => {
                *next = found
                    .last()
                    .checked_add(1)
                    .and_then(|at| at.align_up(align))
                    .into();
            }
        }
    }
    None
}

/// The lowest mapping that `size` bytes at `at` would meet.
fn obstacle(map: &dyn AddressMap, at: Address, size: u64) -> Option<Window> {
    let wanted = Window::of_range(at, size)?;
    map.mapping_from(at)
        .filter(|mapping| mapping.intersect(wanted).is_some())
}

#[derive(Clone, Copy)]
enum Side {
    Candidate(Address),
    Exhausted,
}

impl From<Option<Address>> for Side {
    fn from(at: Option<Address>) -> Self {
        at.map_or(Self::Exhausted, Self::Candidate)
    }
}

/// A map that was read once.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    // Invariant: ascending and disjoint.
    mappings: Vec<Window>,
}

impl Snapshot {
    /// A map with these mappings, in any order; they do not overlap.
    pub(crate) fn new(mut mappings: Vec<Window>) -> Self {
        mappings.sort_unstable_by_key(|mapping| mapping.first());
        Self { mappings }
    }
}

impl AddressMap for Snapshot {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let index = self.mappings.partition_point(|mapping| mapping.last() < at);
        self.mappings.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, nearest_gap};
    use crate::address::{Address, Window};
    use proptest::prelude::*;

    const PAGE: u64 = 4096;

    fn pages(first: u64, count: u64) -> Window {
        Window::of_range(Address::new(first * PAGE), count * PAGE).unwrap()
    }

    /// The nearest gap by trying every page; ties go to the lower one.
    fn naive(
        taken: &[Window],
        window: Window,
        near: Address,
        size: u64,
        align: u64,
    ) -> Option<Address> {
        let free = |at: &Address| {
            let wanted = Window::of_range(*at, size).unwrap();
            window.contains(wanted)
                && taken
                    .iter()
                    .all(|mapping| mapping.intersect(wanted).is_none())
        };
        let clamped = near.align_down(align);
        (0..400)
            .map(|page| Address::new(page * align))
            .filter(free)
            .min_by_key(|at| (clamped.distance(*at), *at))
    }

    proptest! {
        #[test]
        fn finds_what_trying_every_place_finds(
            layout in prop::collection::vec((0_u64..6, 1_u64..6), 0..40),
            first in 0_u64..200, count in 1_u64..200, near in 0_u64..200, size in 1_u64..12, align_log2 in 0_u32..3,
        ) {
            let mut at = 0;
            let mut taken = Vec::new();
            for (gap, length) in layout {
                taken.push(pages(at + gap, length));
                at += gap + length;
            }
            let (window, near) = (pages(first, count), Address::new((first + near % count) * PAGE));
            let align = PAGE << align_log2;
            let found = nearest_gap(&Snapshot::new(taken.clone()), window, near, size * PAGE, align);
            let expected = naive(&taken, window, near, size * PAGE, align);
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                let wanted = Window::of_range(found, size * PAGE).unwrap();
                prop_assert!(window.contains(wanted));
                prop_assert!(taken.iter().all(|mapping| mapping.intersect(wanted).is_none()));
                // `near` is moved into the window before distances count, so the two may prefer different sides then.
                let starts = window.starts_for(size * PAGE).unwrap();
                if starts.contains(Window::of_range(near.align_down(align), 1).unwrap()) {
                    prop_assert_eq!(near.align_down(align).distance(found), near.align_down(align).distance(expected));
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_address_space_do_not_wrap() {
        let everything = Snapshot::new(vec![Window::ANYWHERE]);
        assert_eq!(
            nearest_gap(
                &everything,
                Window::ANYWHERE,
                Address::new(u64::MAX),
                PAGE,
                PAGE
            ),
            None
        );
        assert_eq!(
            nearest_gap(&everything, Window::ANYWHERE, Address::new(0), PAGE, PAGE),
            None
        );
        let nothing = Snapshot::default();
        assert_eq!(
            nearest_gap(
                &nothing,
                Window::ANYWHERE,
                Address::new(u64::MAX),
                PAGE,
                PAGE
            ),
            Some(Address::new(u64::MAX - PAGE + 1))
        );
    }
}
