//! The manager on the fake platform: roll-back, placement and writers, with failures that no real system gives on demand.

use crate::address::{Address, Window};
use crate::error::{Error, Limit};
use crate::layout::{Layout, SectionId};
use crate::manager::{CodeMemory, Request};
use crate::options::{Constants, Options};
use crate::protection::Protection;
use crate::stats::Stats;
use crate::sys::Platform;
use crate::sys::fake::{Fake, Script};
use crate::writer::Writer;
use std::sync::Arc;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Every kind of system: page size and mapping granularity.
const SYSTEMS: [(u64, u64); 4] = [(4096, 4096), (4096, 65536), (16384, 16384), (65536, 65536)];

fn open(fake: &Arc<Fake>, options: &Options) -> CodeMemory {
    CodeMemory::on(Arc::clone(fake) as Arc<dyn Platform>, options).expect("valid options")
}

fn writer(writer: Writer) -> Options {
    Options {
        writer: Some(writer),
        ..Options::default()
    }
}

/// Blocks that are soon full.
fn small_blocks(kind: Writer) -> Options {
    Options {
        block_size: Some(MIB),
        ..writer(kind)
    }
}

/// Code, constants and data of these sizes.
fn layout(sizes: [u64; 3]) -> (Layout, [SectionId; 3]) {
    let mut layout = Layout::new();
    let sections = std::array::from_fn(|index| {
        layout
            .add(Protection::ALL[index], sizes[index], 16)
            .expect("a section")
    });
    (layout, sections)
}

/// Everything that must be as before when nothing is left behind.
fn holdings(stats: &Stats) -> (u64, u64, u64) {
    (stats.used_bytes, stats.live, stats.in_flight)
}

#[test]
fn every_writer_publishes_what_was_written_with_the_right_protection_on_every_system() {
    for (page, granularity) in SYSTEMS {
        for kind in Writer::ALL {
            for constants in [Constants::Separate, Constants::WithCode] {
                let fake = Arc::new(Fake::new(page, granularity));
                let memory = open(
                    &fake,
                    &Options {
                        constants,
                        ..writer(kind)
                    },
                );
                let (layout, sections) = layout([100, 50, 30]);
                let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                assert!(
                    in_flight
                        .bytes_mut(sections[2])
                        .iter()
                        .all(|byte| *byte == 0),
                    "data starts out as zero"
                );
                for (index, section) in sections.into_iter().enumerate() {
                    let size = in_flight.layout().section(section).size;
                    in_flight
                        .write(section, 0, &vec![index as u8 + 1; size as usize])
                        .unwrap();
                }
                let addresses = sections.map(|section| in_flight.address(section));
                let allocation = in_flight.finalize().unwrap();
                let expected = match constants {
                    Constants::Separate => Protection::ALL,
                    Constants::WithCode => [
                        Protection::ReadExecute,
                        Protection::ReadExecute,
                        Protection::ReadWrite,
                    ],
                };
                for (index, at) in addresses.into_iter().enumerate() {
                    assert_eq!(
                        fake.protection(at),
                        Some(expected[index]),
                        "{kind} {constants:?}"
                    );
                    assert_eq!(
                        fake.read(at, [100, 50, 30][index]),
                        vec![index as u8 + 1; [100, 50, 30][index]]
                    );
                    assert_eq!(allocation.segment_address(Protection::ALL[index]), Some(at));
                }
                drop(allocation);
                assert_eq!(holdings(&memory.stats()), (0, 0, 0));
                drop(memory);
                assert_eq!(
                    fake.holdings(),
                    (0, 0, 0),
                    "{kind}: reservations, files, views"
                );
            }
        }
    }
}

#[test]
fn freed_code_traps_and_freed_data_is_zero_for_the_next_tenant() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        // Somebody else keeps the block alive.
        let _other = memory
            .allocate(&Request::new(&layout([16, 16, 16]).0))
            .unwrap()
            .finalize()
            .unwrap();
        for data in [64, 100_000] {
            let (layout, sections) = layout([64, 0, data]);
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            let code = in_flight.address(sections[0]);
            in_flight.bytes_mut(sections[0]).fill(0x90);
            in_flight.bytes_mut(sections[2]).fill(0xff);
            let allocation = in_flight.finalize().unwrap();
            assert_eq!(fake.read(code, 64), vec![0x90; 64]);
            drop(allocation);
            match kind {
                Writer::Protect => assert_eq!(
                    fake.protection(code),
                    Some(Protection::ReadWrite),
                    "not executable"
                ),
                _ => assert_eq!(fake.protection(code), Some(Protection::ReadExecute)),
            }
            assert_eq!(fake.read(code, 64), vec![0xcc; 64], "{kind}");
            let mut again = memory.allocate(&Request::new(&layout)).unwrap();
            assert!(
                again.bytes_mut(sections[2]).iter().all(|byte| *byte == 0),
                "{kind}: data of {data} bytes"
            );
        }
    }
}

/// What one round of the life of two allocations does. Returns at the first refusal.
fn round(memory: &CodeMemory) -> Result<(), Error> {
    let (small, sections) = layout([3_000, 2_000, 1_000]);
    let mut first = memory.allocate(&Request::new(&small))?;
    first.write(sections[0], 0, &[0x90; 3_000])?;
    let (large, _) = layout([2 * MIB, 100, 100_000]);
    let second = memory.allocate(&Request::new(&large))?;
    let first = first.finalize()?;
    second.abandon();
    first.free();
    Ok(())
}

#[test]
fn a_failure_of_any_call_leaves_nothing_behind_and_the_memory_goes_on_working() {
    for kind in Writer::ALL {
        for limit in [Limit::Memory, Limit::MapCount, Limit::Policy] {
            let mut failing = 0;
            loop {
                let fake = Arc::new(Fake::new(4096, 4096));
                let memory = open(&fake, &small_blocks(kind));
                fake.script(Script::Call(failing, limit));
                let result = round(&memory);
                let reached = fake.calls().len() > failing;
                let stats = memory.stats();
                assert_eq!(
                    (stats.live, stats.in_flight),
                    (0, 0),
                    "{kind} {limit:?} call {failing}"
                );
                if let Err(error) = &result {
                    assert!(
                        matches!(error, Error::Refused(_)),
                        "{kind} {limit:?} call {failing}: {error}"
                    );
                }
                fake.script(Script::Nothing);
                round(&memory).unwrap_or_else(|error| {
                    panic!("{kind} {limit:?} after call {failing}: {error}")
                });
                drop(memory);
                let (reservations, files, views) = fake.holdings();
                // A refused release or unmap leaves address space reserved, but no memory in use.
                assert_eq!((files, views), (0, 0), "{kind} {limit:?} call {failing}");
                assert!(
                    reservations <= 1,
                    "{kind} {limit:?} call {failing}: {reservations} reservations"
                );
                if !reached {
                    break;
                }
                failing += 1;
            }
            assert!(failing > 6, "{kind}: only {failing} calls were tried");
        }
    }
}

#[test]
fn failures_without_end_are_errors_and_not_panics() {
    for kind in Writer::ALL {
        for failing in 0..12 {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(&fake, &small_blocks(kind));
            fake.script(Script::From(failing, Limit::Memory));
            let _ = round(&memory);
            assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 0));
            fake.script(Script::Nothing);
            round(&memory).unwrap();
        }
    }
}

#[test]
fn a_new_block_reaches_all_earlier_ones_even_if_the_system_would_put_it_elsewhere() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(
        &fake,
        &Options {
            block_size: Some(128 * MIB),
            ..Options::default()
        },
    );
    let (layout, sections) = layout([100 * MIB, 16, 16]);
    let mut addresses = Vec::new();
    let mut keep = Vec::new();
    for index in 0..12 {
        // Wherever the system would go next is far away.
        fake.place_next_at(Address::new(0x1000_0000_0000 * (1 + index % 6)));
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        addresses.push(in_flight.address(sections[0]));
        keep.push(in_flight);
    }
    let (first, last) = (
        addresses.iter().min().unwrap(),
        addresses.iter().max().unwrap(),
    );
    assert!(last.distance(*first) + 100 * MIB < 2 * GIB, "{addresses:?}");
    assert_eq!(memory.stats().clusters, 1);
}

#[test]
fn when_the_neighbourhood_is_full_there_is_a_second_cluster() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(
        &fake,
        &Options {
            block_size: Some(GIB),
            ..Options::default()
        },
    );
    let (layout, sections) = layout([600 * MIB, 16, 16]);
    let allocations: Vec<_> = (0..4)
        .map(|_| memory.allocate(&Request::new(&layout)).unwrap())
        .collect();
    assert!(memory.stats().clusters > 1);
    for in_flight in &allocations {
        let distance = in_flight
            .address(sections[0])
            .distance(in_flight.address(sections[2]));
        assert!(
            distance < 2 * GIB,
            "one request is always within reach of itself: {distance:#x}"
        );
    }
}

#[test]
fn requests_lie_in_all_of_their_windows_whatever_their_size() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let anchor = Address::new(0x2222_0000_0000);
    for size in [16, 5_000, 3 * MIB, 40 * MIB] {
        for windows in [
            vec![Window::BELOW_2_GIB],
            vec![Window::around(anchor, GIB)],
            vec![
                Window::around(anchor, 128 * MIB),
                Window::new(anchor, Address::new(u64::MAX)).unwrap(),
            ],
        ] {
            let (layout, sections) = layout([size, 16, 16]);
            let in_flight = memory
                .allocate(&Request::new(&layout).within(&windows))
                .unwrap();
            for (section, size) in sections.into_iter().zip([size, 16, 16]) {
                let range = Window::of_range(in_flight.address(section), size).unwrap();
                assert!(
                    windows.iter().all(|window| window.contains(range)),
                    "{range} for {windows:?}"
                );
            }
        }
    }
    assert_eq!(holdings(&memory.stats()), (0, 0, 0));
}

#[test]
fn a_window_smaller_than_a_block_gets_a_block_to_measure() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let window = Window::around(Address::new(0x3333_0000_0000), 2 * MIB);
    let (layout, sections) = layout([1_000, 16, 16]);
    let in_flight = memory
        .allocate(&Request::new(&layout).within(&[window]))
        .unwrap();
    assert!(window.contains(Window::of_range(in_flight.address(sections[0]), 1_000).unwrap()));
}

#[test]
fn no_place_in_reach_is_an_error_that_names_the_window_and_the_nearest_gap() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let anchor = Address::new(0x2222_0000_0000);
    fake.occupy(Window::around(anchor, 3 * GIB));
    let (layout, _) = layout([100, 16, 16]);
    let window = Window::around(anchor, GIB);
    match memory.allocate(&Request::new(&layout).within(&[window])) {
        Err(Error::OutOfReach {
            window: named,
            nearest: Some(nearest),
            ..
        }) => {
            assert_eq!(named, window);
            assert!(nearest.distance(anchor) > 3 * GIB && nearest.distance(anchor) < 4 * GIB);
        }
        other => panic!("{other:?}"),
    }
    let apart = [Window::BELOW_2_GIB, Window::around(anchor, GIB)];
    let conflict = memory
        .allocate(&Request::new(&layout).within(&apart))
        .unwrap_err();
    let distance = anchor.value() - GIB - 0x7fff_ffff;
    assert!(
        matches!(conflict, Error::ConflictingWindows { distance: named, .. } if named == distance),
        "{conflict}"
    );
    assert_eq!(fake.holdings(), (0, 0, 0));
}

#[test]
fn no_span_begins_where_the_low_half_of_the_address_is_zero() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    fake.place_next_at(Address::new(0x5001_0000_0000 + 256 * MIB));
    let (layout, sections) = layout([4096, 0, 0]);
    let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    assert_eq!(
        in_flight.address(sections[0]),
        Address::new(0x5001_0000_0010)
    );
}

#[test]
fn a_smaller_reservation_is_taken_where_a_large_one_is_refused() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    fake.script(Script::Call(0, Limit::AddressSpace));
    let in_flight = memory
        .allocate(&Request::new(&layout([16, 16, 16]).0))
        .unwrap();
    assert_eq!(memory.stats().reserved_bytes, 128 * MIB);
    drop(in_flight);
    let memory = open(&fake, &Options::default());
    fake.script(Script::From(0, Limit::AddressSpace));
    let refused = memory
        .allocate(&Request::new(&layout([16, 16, 16]).0))
        .unwrap_err();
    assert!(matches!(refused, Error::Refused(refusal) if refusal.limit == Limit::AddressSpace));
}

#[test]
fn the_first_writer_that_works_is_chosen_and_a_wish_that_cannot_be_met_is_refused() {
    let fake = Arc::new(Fake::new(4096, 4096));
    assert_eq!(
        open(&fake, &Options::default()).configuration().writer,
        Writer::DualMapping
    );
    fake.forbid(Writer::DualMapping);
    assert_eq!(
        open(&fake, &Options::default()).configuration().writer,
        Writer::FileWrite
    );
    let wish = CodeMemory::on(fake.clone(), &writer(Writer::DualMapping)).unwrap_err();
    assert!(
        matches!(
            wish,
            Error::WriterUnavailable {
                writer: Writer::DualMapping,
                ..
            }
        ),
        "{wish}"
    );
    for kind in Writer::ALL {
        fake.forbid(kind);
    }
    let none = CodeMemory::on(fake.clone(), &Options::default()).unwrap_err();
    let Error::WriterUnavailable { reason, .. } = none else {
        panic!("{none}")
    };
    assert_eq!(
        reason.matches("policy").count(),
        Writer::ALL.len(),
        "{reason}"
    );
    let short = Arc::new(Fake::new(4096, 4096));
    short.script(Script::From(0, Limit::MapCount));
    let refused = CodeMemory::on(short, &Options::default()).unwrap_err();
    assert_eq!(
        refused.code(),
        "TOO_MANY_MAPPINGS",
        "a lack of resources is named as such"
    );
}

#[test]
fn a_forked_child_is_refused_and_takes_nothing_from_its_parent() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let (layout, sections) = layout([64, 16, 16]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.bytes_mut(sections[0]).fill(0x90);
    let code = in_flight.address(sections[0]);
    let published = in_flight.finalize().unwrap();
    let pending = memory.allocate(&Request::new(&layout)).unwrap();
    fake.fork();
    fake.script(Script::Nothing);
    assert!(matches!(
        memory.allocate(&Request::new(&layout)),
        Err(Error::Forked)
    ));
    assert!(matches!(pending.finalize(), Err(Error::Forked)));
    drop(published);
    memory.trim();
    drop(memory);
    assert_eq!(
        fake.calls(),
        Vec::<&str>::new(),
        "the child asks the system for nothing"
    );
    assert_eq!(
        fake.read(code, 64),
        vec![0x90; 64],
        "the parent's code is as it was"
    );
    open(&fake, &Options::default())
        .allocate(&Request::new(&layout))
        .unwrap()
        .finalize()
        .unwrap();
}

#[test]
fn empty_blocks_go_back_but_one_and_trim_gives_back_all() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(
        &fake,
        &Options {
            block_size: Some(MIB),
            ..Options::default()
        },
    );
    let (layout, _) = layout([700_000, 16, 16]);
    let many: Vec<_> = (0..20)
        .map(|_| {
            memory
                .allocate(&Request::new(&layout))
                .unwrap()
                .finalize()
                .unwrap()
        })
        .collect();
    assert_eq!(memory.stats().blocks, 20);
    drop(many);
    let idle = memory.stats();
    assert_eq!((idle.blocks, idle.used_bytes), (1, 0));
    memory.trim();
    assert_eq!(memory.stats(), Stats::default());
    assert_eq!(fake.holdings(), (0, 0, 0));
}

#[test]
fn whatever_the_mixture_of_a_request_a_fresh_block_holds_it() {
    for shape in [
        [12, 1, 1],
        [1, 12, 1],
        [1, 1, 12],
        [5, 5, 5],
        [7, 7, 0],
        [0, 7, 7],
        [4, 4, 0],
        [15, 0, 0],
    ] {
        for block in [16 * MIB, 16 * 1024] {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(
                &fake,
                &Options {
                    block_size: Some(block),
                    ..Options::default()
                },
            );
            let (layout, _) = layout(shape.map(|sixteenths| sixteenths * block / 16));
            memory
                .allocate(&Request::new(&layout))
                .unwrap_or_else(|error| panic!("{shape:?} of {block:#x}: {error}"));
        }
    }
}

#[test]
fn code_that_nobody_wrote_traps() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let (layout, sections) = layout([64, 16, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        in_flight.write(sections[0], 0, &[0x90; 6]).unwrap();
        let code = in_flight.address(sections[0]);
        let _allocation = in_flight.finalize().unwrap();
        let expected = [&[0x90; 6][..], &[0xcc; 58]].concat();
        assert_eq!(fake.read(code, 64), expected, "{kind}");
    }
}

#[test]
fn a_window_is_used_to_the_last_page_whatever_it_begins_with() {
    for (first, size) in [
        (0x4444_0001_0000, 896 << 10),
        (0x4444_0000_0000, 4 * MIB),
        (0x4444_0000_1000, 12 * MIB),
    ] {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &Options::default());
        let window = Window::of_range(Address::new(first), size).unwrap();
        let (layout, sections) = layout([1_000, 0, 0]);
        let request = Request::new(&layout);
        let within = [window];
        let placed: Vec<_> =
            std::iter::from_fn(|| memory.allocate(&request.within(&within)).ok()).collect();
        for in_flight in &placed {
            assert!(
                window.contains(Window::of_range(in_flight.address(sections[0]), 1_000).unwrap())
            );
        }
        let used = placed.len() as u64 * 1_008;
        assert!(used > size - 64 * 1024, "{used} of {size} bytes are used");
    }
}

#[test]
fn nothing_is_placed_at_the_bottom_of_the_address_space() {
    // The fake refuses to be asked for a place outside of the user's addresses.
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let low = Window::new(Address::new(0), Address::new(4 * MIB - 1)).unwrap();
    let (layout, sections) = layout([300_000, 16, 16]);
    let windows = [low];
    let mut placed = Vec::new();
    let error = loop {
        match memory.allocate(&Request::new(&layout).within(&windows)) {
            Ok(in_flight) => placed.push(in_flight),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::OutOfReach { .. }), "{error}");
    assert!(placed.len() > 8, "{} fit", placed.len());
    assert!(
        placed
            .iter()
            .all(|in_flight| in_flight.address(sections[0]).value() >= 0x1_0000)
    );
}

#[test]
fn one_request_that_does_not_fit_does_not_spoil_a_block_for_others() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let (small, _) = layout([16, 16, 16]);
    let _first = memory.allocate(&Request::new(&small)).unwrap();
    let mut aligned = Layout::new();
    aligned.add(Protection::ReadWrite, 16, MIB).unwrap();
    let _second = memory.allocate(&Request::new(&aligned)).unwrap();
    assert_eq!(memory.stats().blocks, 2);
    let (data, _) = layout([0, 0, 1_000]);
    let _many: Vec<_> = (0..1_200)
        .map(|_| memory.allocate(&Request::new(&data)).unwrap())
        .collect();
    assert_eq!(
        memory.stats().blocks,
        2,
        "1.2 MB of data fit into two blocks of a mebibyte"
    );
}

#[test]
fn a_request_that_needs_another_block_commits_nothing_in_the_old_one() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let _first = memory
        .allocate(&Request::new(&layout([16, 16, 16]).0))
        .unwrap();
    let before = memory.stats().committed_bytes;
    let (large, _) = layout([12 * MIB, 0, 5 * MIB]);
    let second = memory.allocate(&Request::new(&large)).unwrap();
    assert_eq!(memory.stats().blocks, 2);
    second.abandon();
    assert_eq!(memory.stats().committed_bytes, before);
}

#[test]
fn a_commit_that_fails_gives_back_what_it_wrote_to_the_file() {
    for failing in ["write_file", "map_file"] {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(Writer::DualMapping));
        fake.refuse(failing);
        fake.script(Script::Nothing);
        assert!(
            memory
                .allocate(&Request::new(&layout([MIB, 0, 0]).0))
                .is_err()
        );
        assert!(
            fake.calls().contains(&"discard_file"),
            "{failing}: {:?}",
            fake.calls()
        );
        assert_eq!(memory.stats().committed_bytes, 0);
    }
}

#[test]
fn whoever_loses_a_race_for_a_place_looks_again() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let window = Window::around(Address::new(0x2222_0000_0000), GIB);
    fake.script(Script::Nothing);
    fake.race(5);
    let (layout, sections) = layout([MIB, 16, 16]);
    let windows = [window];
    let in_flight = memory
        .allocate(&Request::new(&layout).within(&windows))
        .unwrap();
    assert!(window.contains(Window::of_range(in_flight.address(sections[0]), MIB).unwrap()));
    let claims = fake
        .calls()
        .iter()
        .filter(|call| **call == "reserve_at")
        .count();
    assert_eq!(claims, 6, "five lost, one won");
}

#[test]
fn where_nobody_tells_what_is_mapped_places_are_tried() {
    let fake = Arc::new(Fake::new(4096, 4096));
    fake.refuse("address_map");
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let anchor = Address::new(0x2222_0000_0000);
    fake.occupy(Window::around(anchor, 100 * MIB));
    let (layout, sections) = layout([2 * MIB, 16, 16]);
    let windows = [Window::around(anchor, GIB)];
    let in_flight = memory
        .allocate(&Request::new(&layout).within(&windows))
        .unwrap();
    assert!(in_flight.address(sections[0]).distance(anchor) < GIB);
    let mut elsewhere = Vec::new();
    for _ in 0..200 {
        elsewhere.push(memory.allocate(&Request::new(&layout)).unwrap());
    }
}

#[test]
fn memory_that_cannot_be_discarded_is_cleared_and_used_again() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    fake.refuse("discard_private");
    let _keep = memory
        .allocate(&Request::new(&layout([16, 16, 16]).0))
        .unwrap();
    let before = memory.stats();
    for _ in 0..5 {
        let (layout, sections) = layout([0, 0, 100_000]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        assert!(
            in_flight
                .bytes_mut(sections[2])
                .iter()
                .all(|byte| *byte == 0)
        );
        in_flight.bytes_mut(sections[2]).fill(7);
    }
    assert_eq!(memory.stats().used_bytes, before.used_bytes);
}

#[test]
fn writable_views_close_when_the_memory_is_trimmed_and_few_stay_open_before() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let (layout, _) = layout([300_000, 16, 16]);
    let publish = || {
        memory
            .allocate(&Request::new(&layout))
            .unwrap()
            .finalize()
            .unwrap()
    };
    let mut live: Vec<_> = (0..60).map(|_| publish()).collect();
    let (_, _, views) = fake.holdings();
    assert!(memory.stats().blocks >= 20 && views <= 6, "{views} views");
    // Freeing opens few of them as well.
    let mut index = 0;
    live.retain(|_| {
        index += 1;
        index % 3 != 0
    });
    let views = fake.holdings().2;
    assert!(views <= 6, "{views} views");
    memory.trim();
    assert_eq!(fake.holdings().2, 0);
    assert_eq!(memory.stats().live, live.len() as u64);
    live.push(publish());
}

#[test]
fn memory_that_is_idle_goes_back_although_its_block_lives_and_comes_back_as_new() {
    for (page, granularity) in SYSTEMS {
        for kind in Writer::ALL {
            let fake = Arc::new(Fake::new(page, granularity));
            let memory = open(&fake, &writer(kind));
            let _keep = memory
                .allocate(&Request::new(&layout([16, 16, 16]).0))
                .unwrap();
            let fresh = memory.stats().committed_bytes;
            let (layout, sections) = layout([60_000, 40_000, 50_000]);
            let allocate = || {
                let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                assert!(
                    in_flight
                        .bytes_mut(sections[2])
                        .iter()
                        .all(|byte| *byte == 0),
                    "{kind}"
                );
                in_flight.bytes_mut(sections[2]).fill(9);
                in_flight.write(sections[0], 0, &[0x90; 100]).unwrap();
                let code = in_flight.address(sections[0]);
                let allocation = in_flight.finalize().unwrap();
                let seen = fake.read(code, 200);
                assert_eq!(
                    seen,
                    [[0x90; 100], [0xcc; 100]].concat(),
                    "{kind}: the rest traps"
                );
                allocation
            };
            for round in 0..3 {
                let live: Vec<_> = (0..80).map(|_| allocate()).collect();
                let full = memory.stats().committed_bytes;
                drop(live);
                let idle = memory.stats().committed_bytes;
                assert!(
                    idle < fresh + (4 << 20),
                    "{kind} round {round}: {fresh}, {full}, {idle}"
                );
                assert_eq!(memory.stats().blocks, 1);
            }
        }
    }
}

#[test]
fn a_system_that_takes_nothing_back_and_gives_nothing_again_breaks_nothing() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let _keep = memory
            .allocate(&Request::new(&layout([16, 16, 16]).0))
            .unwrap();
        let (layout, _) = layout([60_000, 40_000, 50_000]);
        let fill = || {
            (0..80)
                .map(|_| memory.allocate(&Request::new(&layout)))
                .collect::<Result<Vec<_>, _>>()
        };
        drop(fill().unwrap());
        // Now what was given back cannot be had again.
        fake.script(Script::From(0, Limit::Memory));
        let failed = fill();
        assert!(
            failed.is_err() || kind == Writer::Protect || kind == Writer::SelfMem,
            "{kind}"
        );
        drop(failed);
        fake.script(Script::Nothing);
        assert_eq!(fill().unwrap().len(), 80, "{kind}");
        assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 1));
    }
}

#[test]
fn the_first_reservation_is_put_at_a_random_place_if_there_is_room() {
    let place = |random, occupied: Option<Window>| {
        let fake = Arc::new(Fake::new(4096, 4096));
        fake.place_next_at(Address::new(0x6000_3000_0000));
        fake.randomize(random);
        if let Some(window) = occupied {
            fake.occupy(window);
        }
        let memory = open(&fake, &Options::default());
        let (layout, sections) = layout([16, 16, 16]);
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let at = in_flight.address(sections[0]);
        drop(in_flight);
        drop(memory);
        assert_eq!(fake.holdings(), (0, 0, 0));
        at
    };
    let usual = place(0, None);
    assert_eq!(place(300 * MIB + 12_345, None).distance(usual), 300 * MIB);
    assert_eq!(
        place(0xdead_beef_0000_0000 + 777 * MIB, None).distance(usual),
        0xdead_beef_0000_0000_u64.wrapping_add(777 * MIB) % GIB
    );
    let taken = Window::around(Address::new(usual.value() - 300 * MIB), 10 * MIB);
    assert_eq!(place(300 * MIB, Some(taken)), usual, "no room there");
}
