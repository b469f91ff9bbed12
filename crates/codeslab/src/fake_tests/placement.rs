//! Where things lie.

use super::*;

// The next two fill gigabytes with traps, so they do with one writer.

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
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
}

#[test]
fn what_the_address_map_does_not_show_is_passed() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &writer(Writer::DualMapping));
    let anchor = Address::new(0x2222_0000_0000);
    let window = [Window::around(anchor, GIB)];
    // In the middle, where the search begins, and on both sides of it.
    for place in [
        anchor,
        Address::new(anchor.value() + 300 * MIB),
        Address::new(anchor.value() - 100 * MIB),
    ] {
        fake.occupy_unseen(Window::of_range(place, 4096).unwrap());
    }
    for size in [16, 40 * MIB, 200 * MIB] {
        let (layout, [code, ..]) = layout([size, 16, 16]);
        let placed = memory.allocate(&Request::new(&layout).within(&window));
        let at = placed.unwrap().address(code);
        assert!(at.distance(anchor) < GIB, "{size}: {at}");
    }
}

#[test]
fn a_window_smaller_than_a_block_gets_a_block_to_measure() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        let window = Window::around(Address::new(0x3333_0000_0000), 2 * MIB);
        let (layout, sections) = layout([1_000, 16, 16]);
        let in_flight = memory
            .allocate(&Request::new(&layout).within(&[window]))
            .unwrap();
        assert!(window.contains(Window::of_range(in_flight.address(sections[0]), 1_000).unwrap()));
    }
}

#[test]
fn no_place_in_reach_is_an_error_that_names_the_window_and_the_nearest_gap() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
}

#[test]
fn no_span_begins_where_the_low_half_of_the_address_is_zero() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        // The first reservation begins its own size below where the system puts it, or further.
        fake.place_next_at(Address::new(0x5001_0000_0000 + 512 * MIB));
        let (layout, sections) = layout([4096, 0, 0]);
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        // The next place at which anything may begin.
        let next = if kind == Writer::Protect { 4096 } else { 16 };
        assert_eq!(
            in_flight.address(sections[0]),
            Address::new(0x5001_0000_0000 + next),
            "{kind}"
        );
    }
}

#[test]
fn a_smaller_reservation_is_taken_where_a_large_one_is_refused() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
        fake.script(Script::Call(0, Limit::AddressSpace));
        let in_flight = memory
            .allocate(&Request::new(&layout([16, 16, 16]).0))
            .unwrap();
        assert_eq!(memory.stats().reserved_bytes, 128 * MIB);
        drop(in_flight);
        let memory = open(&fake, &writer(kind));
        fake.script(Script::From(0, Limit::AddressSpace));
        let refused = memory
            .allocate(&Request::new(&layout([16, 16, 16]).0))
            .unwrap_err();
        assert!(matches!(refused, Error::Refused(refusal) if refusal.limit == Limit::AddressSpace));
    }
}

#[test]
fn a_window_is_used_to_the_last_page_whatever_it_begins_with() {
    for kind in Writer::ALL {
        for (first, size) in [
            (0x4444_0001_0000, 896 << 10),
            (0x4444_0000_0000, 4 * MIB),
            (0x4444_0000_1000, 12 * MIB),
        ] {
            let fake = Arc::new(Fake::new(4096, 4096));
            let memory = open(&fake, &writer(kind));
            let window = Window::of_range(Address::new(first), size).unwrap();
            let (layout, sections) = layout([1_000, 0, 0]);
            let request = Request::new(&layout);
            let within = [window];
            let placed: Vec<_> =
                std::iter::from_fn(|| memory.allocate(&request.within(&within)).ok()).collect();
            for in_flight in &placed {
                assert!(
                    window
                        .contains(Window::of_range(in_flight.address(sections[0]), 1_000).unwrap())
                );
            }
            let used = memory.stats().used_bytes;
            assert!(used >= placed.len() as u64 * 1_000);
            assert!(
                used > size - 64 * 1024,
                "{kind}: {used} of {size} bytes are used"
            );
        }
    }
}

#[test]
fn nothing_is_placed_at_the_bottom_of_the_address_space() {
    for kind in Writer::ALL {
        // The fake refuses to be asked for a place outside of the user's addresses.
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &small_blocks(kind));
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
}

#[test]
fn whoever_loses_a_race_for_a_place_looks_again() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        let memory = open(&fake, &writer(kind));
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
}

#[test]
fn where_nobody_tells_what_is_mapped_places_are_tried() {
    for kind in Writer::ALL {
        let fake = Arc::new(Fake::new(4096, 4096));
        fake.refuse("address_map");
        let memory = open(&fake, &small_blocks(kind));
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
}

#[test]
fn the_first_reservation_is_put_at_a_random_place_if_there_is_room() {
    for kind in Writer::ALL {
        let place = |random, occupied: Option<Window>| {
            let fake = Arc::new(Fake::new(4096, 4096));
            fake.place_next_at(Address::new(0x6000_3000_0000));
            fake.randomize(random);
            if let Some(window) = occupied {
                fake.occupy(window);
            }
            let memory = open(&fake, &writer(kind));
            let (layout, sections) = layout([16, 16, 16]);
            let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            let at = in_flight.address(sections[0]);
            drop(in_flight);
            drop(memory);
            assert_eq!(fake.holdings(), (0, 0, 0));
            at
        };
        // Its own size, 256 MiB, below where the system puts it, which is 256 MiB below what is taken there.
        let nearest = place(0, None);
        assert_eq!(
            nearest,
            Address::new(0x6000_3000_0000 - 512 * MIB),
            "{kind}"
        );
        assert_eq!(nearest.distance(place(300 * MIB + 12_345, None)), 300 * MIB);
        let random = 0xdead_beef_0000_0000 + 777 * MIB;
        assert_eq!(
            nearest.distance(place(random, None)),
            random % (GIB - 256 * MIB) / MIB * MIB
        );
        let taken = Window::around(Address::new(nearest.value() - 300 * MIB), 10 * MIB);
        let usual = Address::new(nearest.value() + 256 * MIB);
        assert_eq!(place(300 * MIB, Some(taken)), usual, "no room there");
    }
}

#[test]
fn the_first_reservation_is_one_call_where_the_system_tells_where_it_puts_things() {
    for occupied in [false, true] {
        let fake = Arc::new(Fake::new(4096, 4096));
        let told = Address::new(0x6000_3000_1000);
        fake.tell_place(told);
        let memory = open(&fake, &Options::default());
        let below = Window::of_range(Address::new(told.value() - 2 * GIB), 2 * GIB);
        if occupied {
            fake.occupy(below.unwrap());
        }
        fake.script(Script::Nothing);
        let (layout, sections) = layout([16, 16, 16]);
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let calls = fake.calls();
        let at = Window::of_range(in_flight.address(sections[0]), 16).unwrap();
        let places = (calls.contains(&"reserve"), below.unwrap().contains(at));
        assert_eq!(places, (occupied, !occupied));
    }
}

#[test]
fn blocks_in_a_window_are_small_at_first_and_as_large_as_usual_soon() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let window = [Window::around(Address::new(0x2222_0000_0000), GIB)];
    let (small, _) = layout([100, 100, 100]);
    let _first = memory.allocate(&Request::new(&small).within(&window));
    let stats = memory.stats();
    assert_eq!(stats.committed_bytes, 3 * 4096, "a page of each kind");
    let (large, _) = layout([60_000, 40_000, 50_000]);
    let _many: Vec<_> = (0..200)
        .map(|_| {
            memory
                .allocate(&Request::new(&large).within(&window))
                .unwrap()
        })
        .collect();
    let mut sizes: Vec<_> = memory
        .picture()
        .blocks
        .iter()
        .map(|block| block.size)
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes[..4], [MIB / 16, MIB, 4 * MIB, 16 * MIB]);
    assert!(sizes[4..].iter().all(|size| *size == 16 * MIB), "{sizes:?}");
    let elsewhere = memory.allocate(&Request::new(&small)).unwrap();
    assert_eq!(memory.stats().blocks as usize, sizes.len(), "there is room");
    drop(elsewhere);
}

#[test]
fn whoever_places_and_frees_in_a_window_keeps_its_block() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let window = [Window::around(Address::new(0x2222_0000_0000), GIB)];
    let (layout, _) = layout([100, 0, 0]);
    let place = || {
        memory
            .allocate(&Request::new(&layout).within(&window))
            .unwrap()
    };
    place().finalize().unwrap().free();
    fake.script(Script::Nothing);
    place().finalize().unwrap().free();
    assert_eq!(fake.calls(), ["synchronize_instructions"]);
    memory.trim();
    assert_eq!(fake.holdings(), (0, 0, 0));
}

#[test]
fn what_is_reserved_in_a_window_is_there_when_others_have_taken_the_rest() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let memory = open(&fake, &Options::default());
    let window = Window::around(Address::new(0x2222_0000_0000), GIB);
    memory.reserve(window).unwrap();
    assert_eq!((memory.stats().blocks, fake.holdings().0), (0, 1));
    let reserved = memory.stats().reserved_bytes;
    assert!(reserved >= 16 * MIB);
    fake.script(Script::Nothing);
    memory.reserve(window).unwrap();
    assert_eq!(fake.calls(), Vec::<&str>::new(), "once is enough");
    fake.occupy(window);
    let (layout, sections) = layout([100, 16, 16]);
    let windows = [window];
    let in_flight = memory
        .allocate(&Request::new(&layout).within(&windows))
        .unwrap();
    assert!(window.contains(Window::of_range(in_flight.address(sections[0]), 100).unwrap()));
    assert_eq!(memory.stats().reserved_bytes, reserved);
    let other = Window::around(Address::new(0x3333_0000_0000), GIB);
    fake.occupy(other);
    let refused = memory.reserve(other).unwrap_err();
    assert!(matches!(refused, Error::OutOfReach { .. }), "{refused}");
    memory.reserve(Window::BELOW_2_GIB).unwrap();
    memory.trim();
    assert_eq!(
        memory.stats().reserved_bytes,
        reserved,
        "what is unused went back"
    );
}
