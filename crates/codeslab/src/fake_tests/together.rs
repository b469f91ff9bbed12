//! Requests that are placed as one and end by themselves.

use super::*;
use crate::InFlightAllocation;
use crate::model::options::Quarantine;

/// Places two requests together, the first with code and data, the second with code and constants.
fn both(memory: &CodeMemory) -> Result<[(InFlightAllocation, [SectionId; 3]); 2], Error> {
    let ((lasting, one), (temporary, other)) = (layout([3_000, 0, 700]), layout([500, 90, 0]));
    let requests = [Request::new(&lasting), Request::new(&temporary)];
    let mut parts = memory.allocate_together(&requests)?.into_iter();
    let [first, second] = [(); 2].map(|()| parts.next().expect("as many as requests"));
    assert!(parts.next().is_none());
    Ok([(first, one), (second, other)])
}

#[test]
fn requests_that_are_placed_together_lie_in_one_block_and_end_by_themselves() {
    for (page, granularity) in SYSTEMS {
        for kind in ways_to_write() {
            let fake = Arc::new(Fake::new(page, granularity));
            let memory = open(&fake, &kind);
            let [(mut first, one), (mut second, other)] = both(&memory).unwrap();
            assert_eq!(first.block(), second.block());
            assert_eq!(memory.stats().in_flight, 2);
            first.bytes_mut(one[0]).fill(0x90);
            first.bytes_mut(one[2]).fill(7);
            second.bytes_mut(other[0]).fill(0x91);
            second.bytes_mut(other[1]).fill(8);
            let [code, data] = [0, 2].map(|index| first.address(one[index]));
            let [early, constants] = [0, 1].map(|index| second.address(other[index]));
            let (first, second) = (first.finalize().unwrap(), second.finalize().unwrap());
            let read = |at, size| fake.read(at, size);
            assert_eq!(
                (read(code, 3_000), read(data, 700)),
                (vec![0x90; 3_000], vec![7; 700])
            );
            assert_eq!(
                (read(early, 500), read(constants, 90)),
                (vec![0x91; 500], vec![8; 90])
            );
            for (at, address) in [
                (code, code),
                (code.checked_add(2_999).unwrap(), code),
                (early, early),
            ] {
                assert_eq!(
                    memory.find(at).map(|found| found.address),
                    Some(address),
                    "{kind:?}"
                );
            }
            let used = memory.stats().used_bytes;
            second.free();
            assert_eq!(memory.find(early), None, "{kind:?}");
            assert!(memory.stats().used_bytes + 500 + 90 <= used, "{kind:?}");
            assert_eq!(memory.stats().live, 1);
            assert_eq!(
                (read(early, 1), read(code, 3_000), read(data, 700)),
                (vec![0xcc], vec![0x90; 3_000], vec![7; 700])
            );
            // What is free is used again.
            let again = memory
                .allocate(&Request::new(&layout([500, 90, 0]).0))
                .unwrap();
            assert_eq!(
                again.segment_address(Protection::ReadExecute),
                Some(early),
                "{kind:?}"
            );
            first.free();
            again.abandon();
            memory.trim();
            assert_eq!(memory.stats(), Stats::default(), "{kind:?}");
        }
    }
}

#[test]
fn a_failure_of_any_call_leaves_nothing_of_requests_that_are_placed_together() {
    for mut kind in ways_to_write() {
        kind.block_size = Some(MIB);
        let mut failing = 0;
        loop {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(&fake, &kind);
            let live = {
                fake.script(Script::Call(failing, Limit::Memory));
                let finalized = both(&memory)
                    .and_then(|parts| memory.finalize_all(parts.map(|(part, _)| part)));
                finalized
                    .map(|mut all| all.pop())
                    .is_ok_and(|one| one.is_some())
            };
            let reached = fake.calls().len() > failing;
            // What the system does not let us retract stays carved.
            let stats = memory.stats();
            assert_eq!(
                (stats.live, stats.in_flight),
                (0, 0),
                "{kind:?} call {failing}"
            );
            assert!(
                reached || live,
                "{kind:?}: what nothing fails for is placed"
            );
            fake.script(Script::Nothing);
            assert!(both(&memory).is_ok(), "{kind:?} after call {failing}");
            drop(memory);
            assert_eq!(fake.holdings().1, 0, "{kind:?} call {failing}");
            if !reached {
                break;
            }
            failing += 1;
        }
        assert!(failing > 3, "{kind:?}: only {failing} calls were tried");
    }
}

#[test]
fn where_one_of_them_finds_room_alone_all_go_where_there_is_room_for_all() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &small_blocks(Writer::DualMapping));
    let (most, _) = layout([600_000, 16, 200_000]);
    let keep = memory.allocate(&Request::new(&most)).unwrap();
    let (small, large) = (layout([64, 0, 0]).0, layout([300_000, 0, 16]).0);
    let alone = memory.allocate(&Request::new(&small)).unwrap();
    assert_eq!(alone.block(), keep.block(), "the small one fits there");
    let parts = memory
        .allocate_together(&[Request::new(&small), Request::new(&large)])
        .unwrap();
    assert_ne!(parts[0].block(), keep.block());
    assert_eq!(parts[0].block(), parts[1].block());
}

#[test]
fn requests_that_are_placed_together_lie_in_the_windows_of_all_of_them_and_none_is_empty() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &writer(Writer::DualMapping));
    let (some, nothing) = (layout([64, 16, 16]).0, Layout::new());
    let low = [Window::around(Address::new(0x2222_0000_0000), GIB)];
    let high = [Window::around(Address::new(0x3333_0000_0000), GIB)];
    let parts = memory
        .allocate_together(&[Request::new(&some), Request::new(&some).within(&low)])
        .unwrap();
    assert!(parts.iter().all(|part| low[0].contains(part.block())));
    let refused = |requests: &[Request<'_>]| memory.allocate_together(requests).unwrap_err().code();
    let [one, other] = [&low, &high].map(|windows| Request::new(&some).within(windows));
    assert_eq!(refused(&[one, other]), "CONFLICTING_WINDOWS");
    assert_eq!(
        refused(&[Request::new(&some), Request::new(&nothing)]),
        "EMPTY_REQUEST"
    );
    assert_eq!(refused(&[]), "EMPTY_REQUEST");
    drop(parts);
    assert_eq!(holdings(&memory.stats()), (0, 0, 0));
}

#[test]
fn a_part_waits_for_its_grace_period_by_itself() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let options = Options {
        quarantine: Quarantine::Intact,
        ..writer(Writer::DualMapping)
    };
    let memory = open(&fake, &options);
    let [(mut first, one), (mut second, other)] = both(&memory).unwrap();
    first.bytes_mut(one[0]).fill(0x90);
    second.bytes_mut(other[0]).fill(0x91);
    let (code, early) = (first.address(one[0]), second.address(other[0]));
    let first = first.finalize().unwrap();
    second.finalize().unwrap().free();
    assert_eq!((fake.read(early, 1), memory.stats().live), (vec![0x91], 1));
    memory.end_grace_period(memory.begin_grace_period());
    assert_eq!(
        (fake.read(early, 1), fake.read(code, 1)),
        (vec![0xcc], vec![0x90])
    );
    assert_eq!(memory.stats().quarantined_bytes, 0);
    first.free();
}

#[test]
fn three_requests_of_all_alignments_are_divided_where_each_begins() {
    for kind in ways_to_write() {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &kind);
        let mut layouts = [(); 3].map(|()| Layout::new());
        for (layout, (size, align)) in layouts.iter_mut().zip([(5, 1), (100, 4096), (17, 64)]) {
            layout.add(Protection::ReadExecute, size, align).unwrap();
        }
        layouts[0].add(Protection::ReadOnly, 5, 1).unwrap();
        layouts[2].add(Protection::ReadOnly, 33, 64).unwrap();
        let requests = layouts.each_ref().map(Request::new);
        let mut parts = memory.allocate_together(&requests).unwrap();
        let at = |part: &InFlightAllocation, one| part.segment_address(one);
        let code = |part: &InFlightAllocation| at(part, Protection::ReadExecute).unwrap().value();
        assert!(
            code(&parts[0]) < code(&parts[1]) && code(&parts[1]) < code(&parts[2]),
            "{kind:?}"
        );
        assert_eq!((code(&parts[1]) % 4096, code(&parts[2]) % 64), (0, 0));
        assert_eq!(
            at(&parts[1], Protection::ReadOnly),
            None,
            "it asked for none"
        );
        // In any order.
        parts.remove(1).finalize().unwrap().free();
        parts.remove(0).abandon();
        let last = parts.remove(0).finalize().unwrap();
        assert!(
            last.segment(Protection::ReadOnly)
                .is_some_and(|(_, size)| size >= 33)
        );
        last.free();
        assert_eq!(holdings(&memory.stats()), (0, 0, 0), "{kind:?}");
    }
}

#[test]
fn a_part_begins_nowhere_where_nothing_may_begin() {
    // Libgcc passes over a function at a multiple of 4 GiB, and this window has one in its middle.
    let multiple = Address::new(0x2222_0000_0000);
    let window = [Window::around(multiple, 160 << 10)];
    let place_behind = |data: u64, sizes: &[u64]| {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(Writer::DualMapping));
        let code = sizes.iter().map(|size| layout([*size, 0, 0]).0);
        let all = [layout([0, 0, data]).0].into_iter().chain(code);
        let layouts: Vec<_> = all.filter(|layout| layout.size() > 0).collect();
        let requests: Vec<_> = layouts
            .iter()
            .map(|layout| Request::new(layout).within(&window))
            .collect();
        let parts = memory.allocate_together(&requests).unwrap();
        let code = |part: &InFlightAllocation| part.segment_address(Protection::ReadExecute);
        let places: Vec<_> = parts.iter().filter_map(code).collect();
        // What has no code has no place for any, and what lies before the first part is nobody's.
        assert_eq!(places.len(), sizes.len());
        let carved: u64 = sizes.iter().map(|size| size.next_multiple_of(16)).sum();
        assert!(memory.stats().used_bytes < carved + data + 32);
        drop(parts);
        assert_eq!(holdings(&memory.stats()), (0, 0, 0));
        places
    };
    let place = |sizes: &[u64]| place_behind(0, sizes);
    let size = 200 << 10;
    let start = place(&[size])[0];
    let before = multiple.distance(start);
    assert!(start < multiple && before < size, "{start:?}");
    let parts = place(&[before, size - before]);
    assert!(
        parts.len() == 2 && parts.iter().all(|part| *part != multiple),
        "{parts:?}"
    );
    // One granule more, and there is nothing to avoid.
    assert_eq!(place(&[before + 16, size - before - 16])[0], start);
    // The same behind a request without code, which gets nothing of what the parts are moved by.
    let start = place_behind(64, &[size])[0];
    let before = multiple.distance(start);
    assert!(start < multiple && before < size, "{start:?}");
    let parts = place_behind(64, &[before, size - before]);
    assert!(parts.iter().all(|part| *part != multiple), "{parts:?}");
}

#[test]
fn spans_of_blocks_in_which_one_word_does_not_name_them_are_divided_too() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &writer(Writer::FileWrite));
    let (large, small) = (layout([40 * MIB, 0, 100]).0, layout([64, 100, 100]).0);
    let requests = [Request::new(&small), Request::new(&large)];
    let [second, first] = [(); 2].map({
        let mut parts = memory.allocate_together(&requests).unwrap();
        move |()| parts.pop().unwrap()
    });
    let data = |part: &InFlightAllocation| part.segment_address(Protection::ReadWrite).unwrap();
    let distance = data(&second).distance(first.block().first());
    assert!(distance > 32 * MIB, "{distance}");
    let places = [data(&first), data(&second)];
    let (first, second) = (first.finalize().unwrap(), second.finalize().unwrap());
    first.free();
    let found = places.map(|place| memory.find(place).map(|found| found.address));
    assert_eq!(found, [None, Some(places[1])]);
    second.free();
    assert_eq!(holdings(&memory.stats()), (0, 0, 0));
}
