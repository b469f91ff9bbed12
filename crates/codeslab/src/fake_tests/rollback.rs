//! What fails leaves nothing behind.

use super::*;

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
    for mut kind in ways_to_write() {
        kind.block_size = Some(MIB);
        for limit in [Limit::Memory, Limit::MapCount, Limit::Policy] {
            let mut failing = 0;
            loop {
                let fake = Arc::new(Fake::new(4096, 4096));
                let memory = open(&fake, &kind);
                fake.script(Script::Call(failing, limit));
                let result = round(&memory);
                let reached = fake.calls().len() > failing;
                let stats = memory.stats();
                assert_eq!(
                    (stats.live, stats.in_flight),
                    (0, 0),
                    "{kind:?} {limit:?} call {failing}"
                );
                if let Err(error) = &result {
                    assert!(
                        matches!(error, Error::Refused(_)),
                        "{kind:?} {limit:?} call {failing}: {error}"
                    );
                }
                fake.script(Script::Nothing);
                round(&memory).unwrap_or_else(|error| {
                    panic!("{kind:?} {limit:?} after call {failing}: {error}")
                });
                drop(memory);
                let (reservations, files, views) = fake.holdings();
                // A refused release or unmap leaves address space reserved, but no memory in use.
                assert_eq!((files, views), (0, 0), "{kind:?} {limit:?} call {failing}");
                assert!(
                    reservations <= 1,
                    "{kind:?} {limit:?} call {failing}: {reservations} reservations"
                );
                if !reached {
                    break;
                }
                failing += 1;
            }
            assert!(failing > 6, "{kind:?}: only {failing} calls were tried");
        }
    }
}

#[test]
fn failures_without_end_are_errors_and_not_panics() {
    for mut kind in ways_to_write() {
        kind.block_size = Some(MIB);
        for failing in 0..12 {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(&fake, &kind);
            fake.script(Script::From(failing, Limit::Memory));
            let _ = round(&memory);
            assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 0));
            fake.script(Script::Nothing);
            round(&memory).unwrap();
        }
    }
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
fn constants_between_code_rule_out_a_writer_whose_code_not_every_thread_can_read() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let others = Writer::ALL
        .into_iter()
        .filter(|kind| *kind != Writer::Pkeys);
    others.for_each(|kind| fake.forbid(kind));
    let with_code = Options {
        constants: Constants::WithCode,
        ..Options::default()
    };
    let wish = Options {
        writer: Some(Writer::Pkeys),
        ..with_code.clone()
    };
    let refused = [with_code, wish].map(|options| {
        let refused = CodeMemory::on(fake.clone(), &options).unwrap_err();
        let Error::WriterUnavailable { writer, reason } = refused else {
            panic!("{refused}")
        };
        (writer, reason.matches("policy").count())
    });
    assert_eq!(
        refused,
        [(Writer::DualMapping, 5), (Writer::Pkeys, 0)],
        "of the others each has its own reason; the wish has another"
    );
    let separate = open(&fake, &Options::default()).configuration();
    assert_eq!(separate.writer, Writer::Pkeys, "the last that works");
}

#[test]
fn a_forked_child_is_refused_and_takes_nothing_from_its_parent() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
        let window = Window::around(Address::new(0x2222_0000_0000), GIB);
        assert!(matches!(memory.reserve(window), Err(Error::Forked)));
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
        open(&fake, &writer(kind))
            .allocate(&Request::new(&layout))
            .unwrap()
            .finalize()
            .unwrap();
    }
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
            failed.is_err() || ![Writer::DualMapping, Writer::FileWrite].contains(&kind),
            "{kind}"
        );
        drop(failed);
        fake.script(Script::Nothing);
        assert_eq!(fill().unwrap().len(), 80, "{kind}");
        assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 1));
    }
}

#[test]
fn blocks_that_the_system_did_not_take_back_are_used_again_and_go_back_later() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &small_blocks(kind));
        let (layout, sections) = layout([700_000, 16, 16]);
        let fill = || {
            (0..6)
                .map(|_| memory.allocate(&Request::new(&layout)).unwrap())
                .collect::<Vec<_>>()
        };
        let first = fill();
        let places: Vec<_> = first.iter().map(|one| one.address(sections[0])).collect();
        fake.refuse("decommit");
        drop(first);
        fake.permit("decommit");
        let again = fill();
        let used = |place: &Address| again.iter().any(|one| one.address(sections[0]) == *place);
        assert!(places.iter().all(used), "{kind}");
        drop(again);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{kind}");
        assert_eq!(fake.holdings(), (0, 0, 0), "{kind}");
    }
}

#[test]
fn a_request_beyond_the_budget_is_refused_before_anything_is_made_for_it() {
    for mut kind in ways_to_write() {
        kind.max_committed = Some(8 * MIB);
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &kind);
        let calls = fake.calls();
        let (large, _) = layout([16, 16, GIB / 2]);
        let refused = memory.allocate(&Request::new(&large)).unwrap_err();
        assert_eq!(refused.code(), "COMMIT_BUDGET", "{kind:?}");
        assert_eq!(fake.calls(), calls, "{kind:?}");
        round(&memory).unwrap();
    }
}

#[test]
fn the_tables_of_a_large_block_are_one_piece_apart_or_the_allocators_where_the_system_gives_none() {
    for is_refused in [false, true] {
        let fake = Arc::new(Fake::new(4096, 4096));
        if is_refused {
            fake.refuse("map_apart");
        }
        let options = Options {
            block_size: Some(MIB),
            ..Options::default()
        };
        let memory = open(&fake, &options);
        let (layout, _) = layout([3_000, 2_000, 1_000]);
        let allocation = memory.allocate(&Request::new(&layout)).unwrap();
        let address = allocation.finalize().map(|allocation| {
            let address = allocation.segment_address(Protection::ReadExecute);
            assert_eq!(
                address
                    .and_then(|at| memory.find(at))
                    .map(|found| found.size),
                Some(3_008)
            );
            let pieces = if is_refused { (0, 0) } else { (MIB / 8, 1) };
            assert_eq!(fake.apart(), pieces);
            address
        });
        assert!(address.unwrap().is_some());
        memory.trim();
        assert_eq!(fake.apart(), (0, 0), "they go with their block");
    }
}

#[test]
fn the_tables_of_a_small_block_are_the_allocators() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let options = Options {
        block_size: Some(MIB / 2),
        ..Options::default()
    };
    let memory = open(&fake, &options);
    let (layout, _) = layout([3_000, 2_000, 1_000]);
    let _allocation = memory.allocate(&Request::new(&layout)).unwrap();
    assert_eq!(fake.apart(), (0, 0));
}
