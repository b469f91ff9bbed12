//! What the embedder decides about the life of allocations: how much there may be, when what is freed is used again, what is
//! given back before it is published.

use super::*;
use crate::model::options::Quarantine;

fn publish(memory: &CodeMemory, sizes: [u64; 3]) -> crate::Allocation {
    let (layout, _) = layout(sizes);
    let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.finalize().unwrap()
}

#[test]
fn a_budget_of_bytes_refuses_what_would_exceed_it_and_lets_holes_be_used() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let options = Options {
            max_committed: Some(500_000),
            ..small_blocks(kind)
        };
        let memory = open(&fake, &options);
        let (code, _) = layout([3_000, 0, 0]);
        let mut live = Vec::new();
        let refused = loop {
            match memory.allocate(&Request::new(&code)) {
                Ok(in_flight) => live.push(in_flight.finalize().unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), "COMMIT_BUDGET", "{kind}: {refused}");
        let full = memory.stats();
        assert!(full.committed_bytes <= 500_000, "{kind}: {full:?}");
        assert!(
            full.committed_bytes > 490_000,
            "{kind}: the last pages are used, too: {full:?}"
        );
        assert_eq!(memory.allocate(&Request::new(&code)).unwrap_err(), refused);
        assert_eq!(
            memory.stats(),
            full,
            "{kind}: nothing is taken by what is refused"
        );
        // What was freed is used again.
        live.truncate(live.len() / 2);
        live.push(publish(&memory, [3_000, 0, 0]));
        // Other allocations are none the wiser, and all of it comes back.
        drop(live);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{kind}");
        drop(publish(&memory, [300_000, 0, 0]));
    }
}

#[test]
fn a_budget_of_mappings_refuses_what_would_exceed_it() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let options = Options {
            max_mappings: Some(100),
            block_size: Some(64 << 10),
            ..writer(kind)
        };
        let memory = open(&fake, &options);
        let (request, _) = layout([5_000, 300, 300]);
        let mut live = Vec::new();
        let refused = loop {
            match memory.allocate(&Request::new(&request)) {
                Ok(in_flight) => live.push(in_flight.finalize().unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), "MAPPING_BUDGET", "{kind}: {refused}");
        assert!(
            memory.stats().mappings <= 100,
            "{kind}: {:?}",
            memory.stats()
        );
        assert!(live.len() > 8, "{kind}: {}", live.len());
        live.truncate(live.len() / 2);
        live.push(publish(&memory, [5_000, 300, 300]));
        drop(live);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{kind}");
        // What was counted for failures and views is given back as well: as much fits as before.
        let again: Vec<_> = (0..8)
            .map(|_| publish(&memory, [5_000, 300, 300]))
            .collect();
        assert_eq!(again.len(), 8);
    }
}

#[test]
fn what_is_freed_is_not_used_again_before_its_grace_period_ends() {
    for kind in Writer::ALL {
        for quarantine in [Quarantine::Trapping, Quarantine::Intact] {
            free_and_wait(kind, quarantine);
        }
    }
}

/// Frees while a grace period is under way, and looks at what was freed before it ends and after.
fn free_and_wait(kind: Writer, quarantine: Quarantine) {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(
        &fake,
        &Options {
            quarantine,
            ..writer(kind)
        },
    );
    let (request, sections) = layout([64, 0, 32]);
    let write = || {
        let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
        in_flight.bytes_mut(sections[0]).fill(0x90);
        in_flight.bytes_mut(sections[2]).fill(7);
        let places = [sections[0], sections[2]].map(|section| in_flight.address(section));
        (in_flight.finalize().unwrap(), places)
    };
    let keep = write();
    let (first, [code, data]) = write();
    drop(first);
    let expected = match quarantine {
        Quarantine::Intact => (vec![0x90; 64], vec![7; 32]),
        _ => (vec![0xcc; 64], vec![0; 32]),
    };
    assert_eq!(
        (fake.read(code, 64), fake.read(data, 32)),
        expected,
        "{kind} {quarantine:?}"
    );
    assert_eq!(
        memory.find(code).is_some(),
        quarantine == Quarantine::Intact,
        "{kind}"
    );
    let size = memory.stats().quarantined_bytes;
    assert!(size >= 96, "{kind}: {size}");
    let before = memory.begin_grace_period();
    let (second, _) = write();
    let places: Vec<_> = (0..20).map(|_| write()).collect();
    assert!(
        places.iter().all(|(_, [at, _])| *at != code),
        "{kind} {quarantine:?}"
    );
    drop(second);
    // What was freed later goes on waiting.
    memory.end_grace_period(before);
    assert_eq!(
        memory.stats().quarantined_bytes,
        size,
        "{kind} {quarantine:?}"
    );
    assert_eq!(fake.read(code, 64), vec![0xcc; 64], "{kind} {quarantine:?}");
    assert_eq!(memory.find(code), None);
    let (third, [again, _]) = write();
    assert_eq!(
        again, code,
        "{kind} {quarantine:?}: its place is used again"
    );
    memory.end_grace_period(memory.begin_grace_period());
    assert_eq!(memory.stats().quarantined_bytes, 0);
    drop((places, keep, third));
    let live = memory.stats();
    assert_eq!(
        (live.live, live.used_bytes),
        (0, 0),
        "{kind} {quarantine:?}"
    );
    drop(memory);
    assert_eq!(fake.holdings(), (0, 0, 0), "{kind} {quarantine:?}");
}

#[test]
fn what_is_shrunk_gives_its_end_back_and_keeps_its_place() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let mut layout = Layout::new();
        let first = layout.add(Protection::ReadExecute, 20_000, 16).unwrap();
        let data = layout.add(Protection::ReadWrite, 9_000, 16).unwrap();
        let last = layout.add(Protection::ReadExecute, 40_000, 64).unwrap();
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        for section in [first, data, last] {
            in_flight.bytes_mut(section).fill(0x90);
        }
        let places = [first, data, last].map(|section| in_flight.address(section));
        let before = memory.stats().used_bytes;
        in_flight.shrink(first, 100).unwrap();
        assert_eq!(
            memory.stats().used_bytes,
            before,
            "{kind}: something lies behind it"
        );
        in_flight.shrink(last, 50).unwrap();
        in_flight.shrink(data, 0).unwrap();
        let freed = before - memory.stats().used_bytes;
        assert!(freed >= 44_000, "{kind}: {freed}");
        assert_eq!(in_flight.bytes_mut(last), [0x90; 50], "{kind}");
        assert_eq!(in_flight.bytes_mut(data), [0; 0], "{kind}");
        let refused = in_flight.shrink(last, 51).unwrap_err();
        assert_eq!(refused.code(), "OUT_OF_BOUNDS");
        assert_eq!(
            places,
            [first, data, last].map(|section| in_flight.address(section))
        );
        // What was given back traps, or is zero, and is used by the next.
        assert_eq!(
            fake.read(places[2].checked_add(8192).unwrap(), 64),
            vec![0xcc; 64],
            "{kind}"
        );
        let mut next = memory.allocate(&Request::new(&layout)).unwrap();
        assert!(next.bytes_mut(data).iter().all(|byte| *byte == 0), "{kind}");
        let published = in_flight.finalize().unwrap();
        assert_eq!(fake.read(places[2], 50), vec![0x90; 50], "{kind}");
        // Nor is what was written before a part of the code that stays, whichever granules the request keeps.
        for (place, size, before) in [(places[0], 100, 20_000), (places[2], 50, 64)] {
            let behind = fake.read(place.checked_add(size).unwrap(), before - size);
            assert!(behind.iter().all(|byte| *byte == 0xcc), "{kind}");
        }
        drop((published, next));
        assert_eq!(holdings(&memory.stats()), (0, 0, 0), "{kind}");
    }
}

#[test]
fn a_batch_is_published_with_one_pass_over_what_was_written_or_not_at_all() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let (request, sections) = layout([64, 16, 0]);
        let batch = || -> Vec<_> {
            (0..50_u8)
                .map(|value| {
                    let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
                    in_flight.bytes_mut(sections[0]).fill(value);
                    in_flight
                })
                .collect()
        };
        let whole = batch();
        let passes = || {
            fake.calls()
                .iter()
                .filter(|call| **call == "synchronize_instructions")
                .count()
        };
        let before = passes();
        let published = memory.finalize_all(whole).unwrap();
        assert_eq!(passes() - before, 1, "{kind}");
        for (value, allocation) in published.iter().enumerate() {
            let code = allocation.segment_address(Protection::ReadExecute).unwrap();
            assert_eq!(fake.read(code, 64), vec![value as u8; 64], "{kind}");
        }
        let stats = memory.stats();
        assert_eq!((stats.live, stats.in_flight), (50, 0), "{kind}");
        // A refusal in the middle takes all of it back.
        let refused = match kind {
            Writer::DualMapping => continue,
            Writer::FileWrite => "write_file",
            Writer::Protect => "protect",
            Writer::SelfMem => "write_self",
            Writer::Pkeys | Writer::MapJit => "write_keyed",
        };
        let second = batch();
        fake.refuse(refused);
        let error = memory.finalize_all(second).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{kind}: {error}");
        let stats = memory.stats();
        assert_eq!((stats.live, stats.in_flight), (50, 0), "{kind}");
    }
}

#[test]
fn what_lies_side_by_side_in_a_batch_is_written_in_one_piece_and_nothing_between_it() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let (request, sections) = layout([61, 13, 0]);
        let batch: Vec<_> = (1..=50_u8)
            .map(|value| {
                let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
                in_flight.bytes_mut(sections[0]).fill(value);
                in_flight.bytes_mut(sections[1]).fill(value + 100);
                in_flight
            })
            .collect();
        let (call, most) = match kind {
            // Code is written through the view.
            Writer::DualMapping => ("write_file", 1),
            Writer::FileWrite => ("write_file", 2),
            // Each request has pages of its own: 16 of them are a piece.
            Writer::Protect => ("protect", 8),
            Writer::SelfMem => ("write_self", 2),
            Writer::Pkeys | Writer::MapJit => ("write_keyed", 1),
        };
        let calls = || fake.calls().iter().filter(|one| **one == call).count();
        let before = calls();
        let published = memory.finalize_all(batch).unwrap();
        let made = calls() - before;
        assert!((1..=most).contains(&made), "{kind}: {made} × {call}");
        for (value, allocation) in (1..).zip(&published) {
            let code = allocation.segment_address(Protection::ReadExecute).unwrap();
            let constants = allocation.segment_address(Protection::ReadOnly).unwrap();
            assert_eq!(fake.read(code, 61), [value; 61], "{kind}");
            assert_eq!(
                fake.read(code.checked_add(61).unwrap(), 3),
                [0xcc; 3],
                "{kind}"
            );
            assert_eq!(fake.read(constants, 13), [value + 100; 13], "{kind}");
        }
        drop(published);
        assert_eq!(holdings(&memory.stats()), (0, 0, 0), "{kind}");
    }
}

#[test]
fn what_is_freed_and_made_again_is_as_new_and_asks_nothing_of_the_system() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &unhardened());
    let (request, sections) = layout([256, 48, 32]);
    let publish = |value: u8| {
        let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
        assert!(
            in_flight
                .bytes_mut(sections[2])
                .iter()
                .all(|byte| *byte == 0)
        );
        for section in sections {
            in_flight.bytes_mut(section).fill(value);
        }
        in_flight.finalize().unwrap()
    };
    let _neighbour = publish(1);
    let first = publish(2);
    let places = Protection::ALL.map(|protection| first.segment_address(protection).unwrap());
    let live = memory.stats();
    first.free();
    let calls = || {
        let calls = fake.calls().into_iter();
        calls
            .filter(|call| *call != "synchronize_instructions")
            .count()
    };
    let before = calls();
    for value in 3..50 {
        assert!(places.iter().all(|place| memory.find(*place).is_none()));
        let traps = fake.read(places[0], 256);
        assert!(traps.iter().all(|byte| *byte == 0xcc), "{value}");
        let again = publish(value);
        assert!(places.iter().all(|place| memory.find(*place).is_some()));
        assert_eq!(fake.read(places[0], 256), vec![value; 256]);
        let used = Protection::ALL.map(|protection| again.segment_address(protection).unwrap());
        assert_eq!(used, places);
        assert_eq!(memory.stats(), live);
        again.free();
    }
    assert_eq!(calls(), before);
}

#[test]
fn a_program_that_frees_and_allocates_the_same_in_turns_asks_the_system_for_nothing() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &unhardened());
    // Too much for the thread cache: the slab has it, in chunks that are idle, each time it is free.
    let sizes = [256 << 10, 16, 16];
    let _neighbour = publish(&memory, sizes);
    drop(publish(&memory, sizes));
    let calls = || {
        let calls = fake.calls().into_iter();
        calls
            .filter(|call| *call != "synchronize_instructions")
            .count()
    };
    let before = calls();
    for _ in 0..100 {
        drop(publish(&memory, sizes));
    }
    assert_eq!(calls(), before);
}

#[test]
fn nothing_in_flight_is_where_it_could_run_and_no_view_shows_constants() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let (request, sections) = layout([300, 200, 100]);
    let publish = |value: u8| {
        let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
        let places = sections.map(|section| in_flight.address(section));
        for section in sections {
            in_flight.bytes_mut(section).fill(value);
        }
        assert_eq!(fake.read(places[0], 300), [0xcc; 300], "in flight");
        let published = in_flight.finalize().unwrap();
        for (place, size) in places.into_iter().zip([300, 200, 100]) {
            assert_eq!(fake.read(place, size), vec![value; size as usize]);
        }
        let shown = places.map(|place| fake.is_shown(place));
        assert_eq!(shown, [true, false, false], "the view shows code");
        published
    };
    let first = publish(1);
    let mut kept = Vec::new();
    // A view that is opened again shows as much, and slabs that go on are shown, too.
    for value in 2..60 {
        memory.trim();
        assert!(!fake.is_shown(first.segment_address(Protection::ReadExecute).unwrap()));
        let (more, _) = layout([50_000, 20_000, 10]);
        let grown = memory.allocate(&Request::new(&more)).unwrap();
        let published = publish(value);
        drop(grown.finalize().unwrap());
        if value % 3 > 0 {
            kept.push(published);
        }
    }
}

#[test]
fn written_in_its_place_everything_is_in_the_view_and_publishing_asks_for_nothing() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &unhardened());
    assert!(!memory.configuration().hardened);
    let (request, sections) = layout([300, 200, 0]);
    let mut in_flight = memory.allocate(&Request::new(&request)).unwrap();
    in_flight.bytes_mut(sections[0]).fill(7);
    let places = [sections[0], sections[1]].map(|section| in_flight.address(section));
    assert_eq!(fake.read(places[0], 300), [7; 300]);
    assert_eq!(places.map(|place| fake.is_shown(place)), [true; 2]);
    let calls = fake.calls().len();
    let _published = in_flight.finalize().unwrap();
    assert!(
        fake.calls()[calls..]
            .iter()
            .all(|call| *call == "synchronize_instructions")
    );
}

#[test]
fn what_is_free_goes_back_before_a_budget_is_refused_for_it() {
    for kind in ways_to_write() {
        let fake = Arc::new(Fake::new(4096, 4096));
        let options = Options {
            max_committed: Some(2 * MIB),
            ..kind.clone()
        };
        let memory = open(&fake, &options);
        // Code, then constants, then data: of each so much that what is freed keeps its memory, and together too much.
        let much = 3 * MIB / 4;
        let _keep = publish(&memory, [16, 16, 16]);
        for sizes in [[much, 16, 16], [16, much, 16], [16, 16, much]] {
            drop(publish(&memory, sizes));
        }
        let stats = memory.stats();
        assert!(stats.committed_bytes <= 2 * MIB, "{kind:?}: {stats:?}");
    }
}

#[test]
fn past_all_views_publishing_takes_a_call_for_code_and_one_for_constants() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::FileWrite));
    let _neighbour = publish(&memory, [300, 200, 100]);
    let (request, _) = layout([300, 200, 100]);
    let in_flight = memory.allocate(&Request::new(&request)).unwrap();
    let before = fake.calls().len();
    let _published = in_flight.finalize().unwrap();
    let calls = fake.calls().split_off(before);
    assert_eq!(
        calls,
        ["write_file", "write_file", "synchronize_instructions"]
    );
}
