//! What becomes of memory: written, published, freed, used again, given back.

use super::*;

#[test]
fn every_writer_publishes_what_was_written_with_the_right_protection_on_every_system() {
    for (page, granularity) in SYSTEMS {
        for kind in Writer::ALL {
            let possible = [Constants::Separate, Constants::WithCode];
            for constants in possible.into_iter().filter(|one| one.can_be_read(kind)) {
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
        // Another allocation keeps the block alive.
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

#[test]
fn empty_blocks_go_back_but_one_and_trim_gives_back_all() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(
            &fake,
            &Options {
                block_size: Some(MIB),
                ..writer(kind)
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
}

#[test]
fn a_block_of_which_all_memory_went_back_is_still_unmapped() {
    for kind in Writer::ALL {
        for rounds in 1..6 {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(&fake, &small_blocks(kind));
            let allocate = |sizes| memory.allocate(&Request::new(&layout(sizes).0)).unwrap();
            // Its block keeps the reservation.
            let _keep = allocate([700_000, 0, 0]);
            let first = memory.picture().blocks[0].clone();
            let windows = [Window::of_range(first.address, first.size).unwrap()];
            for _ in 0..rounds {
                // Its slab is whole chunks, all of which go once there is something to do elsewhere.
                drop(allocate([0, 0, (9 << 16) - 4096]));
                let (elsewhere, _) = layout([16, 0, 0]);
                drop(memory.allocate(&Request::new(&elsewhere).within(&windows)));
            }
            memory.trim();
            assert_eq!(memory.stats().blocks, 1, "{kind}");
            // The fake refuses to map what is mapped.
            drop(allocate([600_000, 0, 100_000]));
        }
    }
}

#[test]
fn whatever_the_mixture_of_a_request_a_fresh_block_holds_it() {
    for kind in Writer::ALL {
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
                        ..writer(kind)
                    },
                );
                let (layout, _) = layout(shape.map(|sixteenths| sixteenths * block / 16));
                memory
                    .allocate(&Request::new(&layout))
                    .unwrap_or_else(|error| panic!("{shape:?} of {block:#x}: {error}"));
            }
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
fn constants_and_data_do_not_take_turns_in_a_gap() {
    for sizes in [
        [60_000, 40_000, 50_000],
        [1_000, 50_000, 60_000],
        [9_000, 3_000, 70_000],
    ] {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &Options::default());
        let (request, _) = layout(sizes);
        let mut live = Vec::new();
        while memory.stats().blocks < 3 {
            live.push(memory.allocate(&Request::new(&request)).unwrap());
        }
        let stats = memory.stats();
        assert!(stats.mappings <= 20 * stats.blocks, "{sizes:?}: {stats:?}");
        let full = (stats.blocks - 1) * 16 * MIB;
        assert!(stats.used_bytes > full / 100 * 85, "{sizes:?}: {stats:?}");
    }
}

#[test]
fn holes_in_other_blocks_are_filled_before_a_block_grows() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &small_blocks(kind));
        let (code, _) = layout([2_000, 0, 0]);
        let publish = || {
            memory
                .allocate(&Request::new(&code))
                .unwrap()
                .finalize()
                .unwrap()
        };
        let mut live: Vec<_> = std::iter::repeat_with(|| Some(publish()))
            .take(800)
            .collect();
        for index in (0..400).step_by(2) {
            live[index] = None;
        }
        let before = memory.stats();
        assert!(before.blocks >= 2, "{kind}: {before:?}");
        live.extend((0..190).map(|_| Some(publish())));
        let after = memory.stats();
        assert_eq!(
            (after.blocks, after.committed_bytes),
            (before.blocks, before.committed_bytes),
            "{kind}: nothing had to grow"
        );
    }
}

#[test]
fn holes_that_are_too_small_cost_no_calls() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let publish = |size| {
        let (code, _) = layout([size, 0, 0]);
        let in_flight = memory.allocate(&Request::new(&code)).unwrap();
        in_flight.finalize().unwrap()
    };
    let mut small: Vec<_> = (0..20_000).map(|_| Some(publish(500))).collect();
    for hole in small.iter_mut().step_by(2) {
        *hole = None;
    }
    assert!(memory.stats().blocks >= 9);
    let _first = publish(5_000);
    fake.script(Script::Nothing);
    let _large: Vec<_> = (0..50).map(|_| publish(5_000)).collect();
    let views = fake
        .calls()
        .iter()
        .filter(|call| **call == "map_view")
        .count();
    assert!(views <= 1, "{views} views for 50 requests in one block");
}

#[test]
fn one_request_that_does_not_fit_does_not_spoil_a_block_for_others() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &small_blocks(kind));
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
}

#[test]
fn a_request_that_needs_another_block_commits_nothing_in_the_old_one() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
}

#[test]
fn memory_that_cannot_be_discarded_is_cleared_and_used_again() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
fn whoever_frees_here_and_there_soon_does_it_without_calls() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let (layout, _) = layout([20_000, 0, 0]);
    let place = |_| {
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        in_flight.finalize().unwrap()
    };
    // Three blocks, none of which becomes empty.
    let live: Vec<_> = (0..150).map(place).collect();
    assert!(memory.stats().blocks >= 3);
    memory.trim();
    assert_eq!(fake.holdings().2, 0);
    let writes = || {
        fake.calls()
            .iter()
            .filter(|call| **call == "write_file")
            .count()
    };
    let before = writes();
    let mut live: Vec<_> = live.into_iter().map(Some).collect();
    for index in (0..40).flat_map(|index| [index, index + 50, index + 100]) {
        live[index] = None;
    }
    assert!(writes() - before < 40, "{} calls", writes() - before);
    assert!(fake.holdings().2 >= 2, "views are open");
}
