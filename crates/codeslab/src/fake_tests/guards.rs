//! Guard pages: where they lie while slabs grow, and that without them nothing of it is there.

use super::*;
use crate::model::stats::BlockPicture;

fn guarded(mut options: Options) -> Options {
    options.guard_pages = true;
    options
}

/// The least distance between pieces of different slabs, and between any piece and an end of its block.
fn least_distance(block: &BlockPicture) -> u64 {
    let mut slabs: Vec<_> = block.slabs.iter().collect();
    slabs.sort_unstable_by_key(|slab| slab.address);
    let (start, end) = (block.address.value(), block.address.value() + block.size);
    let mut distances = vec![];
    for (index, slab) in slabs.iter().enumerate() {
        let behind = slab.address.value() + slab.size;
        match slabs.get(index + 1) {
            Some(next) if next.protection == slab.protection => {}
            Some(next) => distances.push(next.address.value() - behind),
            None => distances.push(end - behind),
        }
    }
    distances.extend(slabs.first().map(|slab| slab.address.value() - start));
    distances.into_iter().min().unwrap_or(u64::MAX)
}

/// Requests of all mixtures: they meet in the middle of blocks, and some are larger than a block.
fn mixtures() -> impl Iterator<Item = [u64; 3]> {
    let size = |seed: u64, most| (seed * 7_919 % most) * u64::from(!seed.is_multiple_of(3));
    (1..120).map(move |seed| {
        let large = if seed % 40 == 0 { 2 * MIB } else { 0 };
        [
            size(seed, 90_000) + large,
            size(seed + 1, 30_000),
            size(seed + 2, 60_000) + 16,
        ]
    })
}

#[test]
fn no_piece_of_a_slab_ever_touches_another_slab_or_an_end_of_its_block() {
    for options in ways_to_write() {
        for (page, granularity) in SYSTEMS {
            let fake = Arc::new(Fake::new(page, granularity));
            let options = Options {
                block_size: Some(MIB.max(16 * granularity)),
                ..guarded(options.clone())
            };
            let memory = open(&fake, &options);
            assert!(memory.configuration().guard_pages);
            let mut live = Vec::new();
            for (index, sizes) in mixtures().enumerate() {
                let (layout, _) = layout(sizes);
                let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                live.push(in_flight.finalize().unwrap());
                if index % 5 == 0 {
                    drop(live.swap_remove(index % live.len()));
                }
                for block in &memory.picture().blocks {
                    let least = least_distance(block);
                    assert!(least >= granularity, "{options:?}: {least:#x} in {block:?}");
                }
            }
            drop(live);
            memory.trim();
            assert_eq!(memory.stats(), Stats::default(), "{options:?}");
        }
    }
}

#[test]
fn with_guard_pages_the_smallest_block_holds_one_protection_and_more_gets_a_block_to_measure() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let options = Options {
        block_size: Some(4 * 4096),
        ..guarded(writer(Writer::DualMapping))
    };
    let memory = open(&fake, &options);
    let sizes = |sizes| {
        let (layout, _) = layout(sizes);
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let _allocation = in_flight.finalize().unwrap();
        let blocks = memory.picture().blocks;
        (blocks.len(), blocks.iter().map(|block| block.size).max())
    };
    assert_eq!(sizes([4000, 0, 0]), (1, Some(4 * 4096)));
    let (_, largest) = sizes([4000, 4000, 4000]);
    assert!(largest >= Some(7 * 4096), "{largest:?}");
}

#[test]
fn without_guard_pages_slabs_use_all_of_a_block() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    assert!(!memory.configuration().guard_pages);
    let (layout, _) = layout([MIB / 2, 0, MIB / 2]);
    let _whole = memory.allocate(&Request::new(&layout)).unwrap();
    let blocks = memory.picture().blocks;
    assert_eq!(blocks.iter().map(least_distance).min(), Some(0));
}

#[test]
fn code_is_guarded_where_that_is_asked_for_and_the_platform_does_it() {
    for mut kind in ways_to_write() {
        let fake = Arc::new(Fake::new(4096, 4096));
        assert!(!open(&fake, &kind).configuration().branch_protection);
        kind.branch_protection = true;
        assert!(open(&fake, &kind).configuration().branch_protection);
    }
}
