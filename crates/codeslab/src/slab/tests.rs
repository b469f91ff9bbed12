//! The slab against a naive oracle: a sorted list of what is used.

use crate::slab::Slab;
use crate::slab::span::Span;
use crate::sync::WordSource;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BLOCK: u64 = 1 << 20;

#[derive(Clone, Debug)]
enum Action {
    Extend {
        page: u64,
        pages: u64,
    },
    Carve {
        size: u64,
        align_log2: u32,
    },
    Free {
        index: prop::sample::Index,
    },
    Divide {
        index: prop::sample::Index,
        granule: prop::sample::Index,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        1 => (0_u64..256, 1_u64..24).prop_map(|(page, pages)| Action::Extend { page, pages }),
        6 => (1_u64..6_000, 0_u32..14).prop_map(|(size, align_log2)| Action::Carve { size, align_log2 }),
        4 => any::<prop::sample::Index>().prop_map(|index| Action::Free { index }),
        2 => any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(index, granule)| Action::Divide { index, granule }),
    ]
}

/// What a slab means: bytes that are there, and bytes of them that are used.
#[derive(Default)]
struct Oracle {
    pages: BTreeMap<u64, bool>,
    used: BTreeMap<u64, u64>,
}

impl Oracle {
    fn has_pages(&self, from: u64, to: u64) -> bool {
        (from / 4096..to.div_ceil(4096)).all(|page| self.pages.contains_key(&page))
    }

    fn is_free(&self, from: u64, to: u64) -> bool {
        self.has_pages(from, to)
            && self
                .used
                .range(..to)
                .next_back()
                .is_none_or(|(start, size)| start + size <= from)
    }

    /// Whether some place would do, by trying all of them but the one at which nothing may begin.
    fn has_place(&self, size: u64, align: u64, avoided: u64) -> bool {
        let places = (0..BLOCK).step_by(align.max(16) as usize);
        let mut places = places.filter(|at| *at != avoided);
        places.any(|at| at + size <= BLOCK && self.is_free(at, at + size))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, ..ProptestConfig::default() })]

    #[test]
    fn spans_never_overlap_and_everything_freed_can_be_carved_again(actions in prop::collection::vec(action(), 1..120), granule_log2 in 4_u32..13) {
        let granule = 1 << granule_log2;
        let avoided = (BLOCK / 3).next_multiple_of(granule);
        let mut slab = Slab::new(BLOCK, granule, Some(avoided), &mut WordSource::allocator()).unwrap();
        let mut oracle = Oracle::default();
        for action in actions {
            match action {
                Action::Extend { page, pages } => {
                    let end = (page + pages).min(256);
                    if (page..end).all(|page| !oracle.pages.contains_key(&page)) {
                        slab.extend(Span { offset: page * 4096, size: (end - page) * 4096 });
                        oracle.pages.extend((page..end).map(|page| (page, true)));
                    }
                }
                Action::Carve { size, align_log2 } => {
                    let align = 1 << align_log2;
                    match slab.carve(size, align) {
                        Some((span, run)) => {
                            prop_assert!(run.contains(span));
                            prop_assert!(oracle.is_free(run.offset, run.end()), "{:?} is not free", run);
                            prop_assert_eq!(span.offset % align, 0);
                            prop_assert!(span.offset != avoided);
                            prop_assert!(span.size >= size && span.size < size + granule);
                            prop_assert!(oracle.is_free(span.offset, span.end()), "{:?} is not free", span);
                            oracle.used.insert(span.offset, span.size);
                        }
                        // Good fit looks at every run that surely holds the size and at a few that may.
                        None => prop_assert!(!oracle.has_place(2 * slab.round_up(size), align.max(granule), avoided)),
                    }
                }
                Action::Free { index } => {
                    if !oracle.used.is_empty() {
                        let (&offset, &size) = oracle.used.iter().nth(index.index(oracle.used.len())).unwrap();
                        let span = Span { offset, size };
                        prop_assert!(slab.holds(span));
                        slab.free(span);
                        prop_assert!(!slab.holds(span));
                        oracle.used.remove(&offset);
                    }
                }
                Action::Divide { index, granule: at } => {
                    let long: Vec<_> = oracle.used.iter().filter(|(_, size)| **size > granule).map(|(&offset, &size)| Span { offset, size }).collect();
                    if let Some(&span) = (!long.is_empty()).then(|| index.get(&long)) {
                        let kept = (1 + at.index((span.size / granule) as usize - 1) as u64) * granule;
                        let (first, second) = (Span { size: kept, ..span }, Span { offset: span.offset + kept, size: span.size - kept });
                        prop_assert_eq!(slab.may_begin(second.offset), second.offset != avoided);
                        if slab.may_begin(second.offset) {
                            slab.divide(second.offset);
                            prop_assert!(slab.holds(first) && slab.holds(second) && !slab.holds(span));
                            oracle.used.insert(first.offset, first.size);
                            oracle.used.insert(second.offset, second.size);
                        }
                    }
                }
            }
            prop_assert!(slab.extents().iter().flat_map(|extent| slab.spans_in(extent)).map(|span| (span.offset, span.size)).eq(oracle.used.iter().map(|(&offset, &size)| (offset, size))));
            prop_assert_eq!(slab.used_bytes(), oracle.used.values().sum::<u64>());
            let long = slab.long_free_runs(4096).into_iter().filter(|run| run.size >= 4096);
            prop_assert!(long.eq(free_runs(&slab, &oracle).filter(|run| run.size >= 4096)));
        }
        for (offset, size) in std::mem::take(&mut oracle.used) {
            slab.free(Span { offset, size });
        }
        // All merged: each extent is one free run.
        for extent in slab.extents().iter() {
            prop_assert_eq!(slab.free_from(extent.offset), extent.size);
            prop_assert_eq!(slab.free_below(extent.end()), extent.size);
        }
    }
}

/// What is between the spans in use, by ascending offset.
fn free_runs<'a>(slab: &'a Slab, oracle: &'a Oracle) -> impl Iterator<Item = Span> + 'a {
    slab.extents().iter().flat_map(|extent| {
        let inside = oracle.used.range(extent.offset..extent.end());
        let ends = inside.clone().map(|(offset, size)| offset + size);
        let starts = inside.map(|(offset, _)| *offset);
        let gaps = std::iter::once(extent.offset).chain(ends);
        gaps.zip(starts.chain([extent.end()]))
            .filter(|(start, end)| start < end)
            .map(|(offset, end)| Span {
                offset,
                size: end - offset,
            })
    })
}

#[test]
fn a_run_grown_to_measure_is_found() {
    for size in (16..200_000).step_by(1_237) {
        let mut slab = Slab::new(BLOCK, 16, None, &mut WordSource::allocator()).unwrap();
        slab.extend(Span {
            offset: 4096,
            size: 4096_u64.max(slab.round_up(size).next_multiple_of(4096)),
        });
        assert!(slab.carve(size, 16).is_some(), "{size}");
    }
}

#[test]
fn churn_does_not_grow_the_metadata() {
    let mut slab = Slab::new(BLOCK, 16, None, &mut WordSource::allocator()).unwrap();
    slab.extend(Span {
        offset: 0,
        size: BLOCK,
    });
    let before = slab.metadata_bytes();
    for round in 0..100_000_u64 {
        let (first, _) = slab.carve(16 + round % 700, 16).unwrap();
        let (second, _) = slab.carve(32, 16).unwrap();
        slab.free(first);
        slab.free(second);
    }
    assert!(
        slab.metadata_bytes() < before + 4096,
        "{} then {}",
        before,
        slab.metadata_bytes()
    );
}
