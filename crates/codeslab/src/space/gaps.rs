//! Finding free address space in a window, nearest first.
//!
//! It is pure: it asks an [`AddressMap`] and claims nothing, so the gap may be taken by the time it is claimed. A map can be asked for the next
//! mapping upwards only, and a process may have tens of thousands of small ones, so the search steps by the size that it looks for, from above,
//! and no mapping is asked for that does not stand in the way.

use crate::model::address::{Address, Window};
use crate::sys::address_map::AddressMap;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How many mappings one search passes before it gives up.
const PATIENCE: usize = 100_000;

/// The start of a gap of `size` bytes that is wholly inside `window`, at a multiple of `align`; none is nearer to `near` than
/// half as far. `size` is not 0, `align` a power of two.
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
    Window::new(first, last)?;
    let near = near.align_down(align).clamp(first, last);
    let mut search = GapSearch {
        map,
        size,
        align,
        patience: PATIENCE,
    };
    let below = search.highest(first, near);
    // Only what is nearer than that is of interest above.
    let bound = below.map_or(last, |found| {
        last.min(near.checked_add(near.distance(found)).unwrap_or(last))
    });
    let above = search.lowest(near, bound);
    match (below, above) {
        (Some(below), Some(above)) if near.distance(above) < near.distance(below) => Some(above),
        (below, above) => below.or(above),
    }
}

/// A search under way. Starts of gaps are multiples of `align`, and so are the ends of the ranges that are searched.
struct GapSearch<'m> {
    map: &'m dyn AddressMap,
    size: u64,
    align: u64,
    patience: usize,
}

impl GapSearch<'_> {
    /// The highest start from `first` to `last`. Each step goes down by the size or passes a mapping, so it does not matter how
    /// many small mappings there are.
    fn highest(&mut self, first: Address, last: Address) -> Option<Address> {
        let mut at = last;
        while at >= first && self.patience > 0 {
            self.patience -= 1;
            let Some(obstacle) = self.obstacle(at) else {
                return Some(at);
            };
            // The obstacle is the lowest one: a gap that begins between there and here meets it too.
            let end = obstacle.first();
            at = end.checked_sub(self.size)?.align_down(self.align);
        }
        None
    }

    /// A start from `first` to `last`, less than twice as far from `first` as the lowest: mappings can be found upwards only,
    /// so going up would pass them one by one. The range is searched from above in pieces that double instead.
    fn lowest(&mut self, first: Address, last: Address) -> Option<Address> {
        let mut from = first;
        let mut length = self.size.next_multiple_of(self.align);
        while from <= last && self.patience > 0 {
            let to = from.checked_add(length).map_or(last, |to| to.min(last));
            if let Some(found) = self.highest(from, to) {
                return Some(found);
            }
            from = to.checked_add(self.align)?;
            length = length.saturating_mul(2);
        }
        None
    }

    /// The lowest mapping in the way of a gap that begins at `at`.
    fn obstacle(&self, at: Address) -> Option<Window> {
        let wanted = Window::of_range(at, self.size)?;
        let mapping = self.map.mapping_from(at)?;
        mapping.intersect(wanted).map(|_| mapping)
    }
}

/// A map that does not ask twice about what it was told, for several searches in a row. What other threads map in the meantime it does
/// not see.
pub(crate) struct Remembered<'m> {
    map: &'m dyn AddressMap,
    // By the address that was asked about: the mapping from there on. Everything up to its end has the same answer.
    answers: RefCell<BTreeMap<Address, Option<Window>>>,
}

impl<'m> Remembered<'m> {
    pub(crate) const fn new(map: &'m dyn AddressMap) -> Self {
        Self {
            map,
            answers: RefCell::new(BTreeMap::new()),
        }
    }
}

impl AddressMap for Remembered<'_> {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let mut answers = self.answers.borrow_mut();
        let below = answers.range(..=at).next_back();
        if let Some((_, answer)) = below
            && answer.is_none_or(|mapping| at <= mapping.last())
        {
            return *answer;
        }
        let answer = self.map.mapping_from(at);
        answers.insert(at, answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::{Remembered, nearest_gap};
    use crate::model::address::{Address, Window};
    use crate::sys::address_map::{AddressMap, Avoiding, Snapshot};
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
        fn the_gap_is_about_as_near_as_the_one_that_trying_every_page_finds(
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
            let snapshot = Snapshot::new(taken.clone());
            let remembered = Remembered::new(&snapshot);
            for size in (1..12).chain([size]) {
                let again = nearest_gap(&remembered, window, near, size * PAGE, align);
                prop_assert_eq!(again, nearest_gap(&snapshot, window, near, size * PAGE, align));
            }
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                let wanted = Window::of_range(found, size * PAGE).unwrap();
                prop_assert!(window.contains(wanted));
                prop_assert!(taken.iter().all(|mapping| mapping.intersect(wanted).is_none()));
                // `near` is moved into the window before distances count, so the two may prefer different sides then.
                let starts = window.starts_for(size * PAGE).unwrap();
                let near = near.align_down(align);
                if starts.contains(Window::of_range(near, 1).unwrap()) {
                    let slack = size * PAGE + align;
                    prop_assert!(near.distance(found) <= 2 * near.distance(expected) + slack);
                }
            }
        }
    }

    /// Counts how often it is asked.
    struct Counting(Snapshot, std::cell::Cell<usize>);

    impl AddressMap for Counting {
        fn mapping_from(&self, at: Address) -> Option<Window> {
            self.1.set(self.1.get() + 1);
            self.0.mapping_from(at)
        }
    }

    #[test]
    fn a_gap_among_tens_of_thousands_of_small_mappings_takes_few_questions() {
        let taken = (1_000_000..1_060_000)
            .map(|index| pages(2 * index, 1))
            .collect();
        let map = Counting(Snapshot::new(taken), std::cell::Cell::default());
        for size in [1 << 20, 16 << 20, 256 << 20] {
            map.1.set(0);
            let near = Address::new(2_030_000 * PAGE);
            let found = nearest_gap(&map, Window::ANYWHERE, near, size, PAGE).unwrap();
            assert!(found.value() < 2_000_000 * PAGE || found.value() >= 2_120_000 * PAGE - PAGE);
            assert!(
                map.1.get() < 2_000,
                "{size:#x}: asked {} times",
                map.1.get()
            );
        }
    }

    #[test]
    fn searches_in_a_row_ask_little_more_than_one() {
        // A window of 128 MiB with a crowd in its middle, and nothing else for far around.
        let window = pages(1_000_000, 32_768);
        let crowd = (1_015_884..1_016_884).map(|page| pages(page, 1)).collect();
        let map = Counting(Snapshot::new(crowd), std::cell::Cell::default());
        let remembered = Remembered::new(&map);
        let near = window.center();
        let found = [128 << 20, 64 << 20, 32 << 20]
            .map(|size| nearest_gap(&remembered, window, near, size, PAGE));
        assert_eq!((found[0], found[1]), (None, None));
        assert!(found[2].is_some());
        assert!(map.1.get() <= 4, "asked {} times", map.1.get());
        let fresh = [128 << 20, 64 << 20, 32 << 20]
            .map(|size| nearest_gap(&map.0, window, near, size, PAGE));
        assert_eq!(found, fresh);
    }

    #[test]
    fn places_that_turned_out_to_be_occupied_are_passed_like_mappings() {
        let map = Snapshot::new(vec![pages(10, 2)]);
        let map = Avoiding {
            map: &map as &dyn AddressMap,
            places: vec![pages(20, 4), pages(12, 3), pages(14, 2)],
        };
        for near in 0..40 {
            let near = Address::new(near * PAGE);
            let found = nearest_gap(&map, pages(8, 40), near, 4 * PAGE, PAGE).unwrap();
            let found = Window::of_range(found, 4 * PAGE).unwrap();
            assert!(found == pages(16, 4) || found.first() >= Address::new(24 * PAGE));
        }
    }

    #[test]
    fn no_gap_is_found_in_addresses_that_are_kept_clear() {
        let map: Box<dyn AddressMap> = Box::new(Snapshot::new(vec![pages(10, 2), pages(30, 2)]));
        let places = vec![pages(12, 8)];
        let map = Avoiding { map, places };
        for near in 0..90 {
            let near = Address::new(near * PAGE);
            let found = nearest_gap(&map, pages(0, 100), near, 4 * PAGE, PAGE).unwrap();
            let found = Window::of_range(found, 4 * PAGE).unwrap();
            for taken in [pages(10, 2), pages(12, 8), pages(30, 2)] {
                assert_eq!(found.intersect(taken), None, "near {near}");
            }
        }
    }

    #[test]
    fn gaps_at_the_ends_of_the_address_space_are_found_and_do_not_wrap() {
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
