//! What is published can be executed, read and written as it should.

use crate::support::{
    CODE, CODE_BYTES, byte_at, call, function, layout, memories, return_constant, sums, traps,
};
use codeslab::{
    Address, CodeMemory, Constants, Error, Layout, Options, Protection, Request, Slot, Window,
    Writer,
};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn code_reads_its_constants_and_changes_its_data_through_short_displacements() {
    for (writer, memory) in memories() {
        let (layout, [code, constants, data]) = layout([64, 4, 4]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let (at, constant, counter) = (
            in_flight.address(code),
            in_flight.address(constants),
            in_flight.address(data),
        );
        let bytes = sums(at, constant, counter);
        in_flight.write(code, 0, &bytes).unwrap();
        in_flight.write(constants, 0, &7_u32.to_le_bytes()).unwrap();
        let allocation = in_flight.finalize().unwrap();
        assert_eq!((call(at), call(at), call(at)), (7, 14, 21), "{writer}");
        allocation.free();
    }
}

#[test]
fn a_freed_place_is_reused_and_runs_the_new_code() {
    for (writer, memory) in memories() {
        let (_keep, _) = function(&memory, 0);
        let (first, at) = function(&memory, 1);
        assert_eq!(call(at), 1);
        first.free();
        if writer != Writer::Protect {
            assert!(traps(at), "{writer}: freed code traps");
        }
        let places: Vec<_> = (2..10)
            .map(|value| (function(&memory, value), value))
            .collect();
        assert!(
            places.iter().any(|((_, place), _)| *place == at),
            "{writer}: the hole is filled"
        );
        for ((_, at), value) in &places {
            assert_eq!(call(*at), *value, "{writer}");
        }
    }
}

#[test]
fn thousands_of_functions_of_all_sizes_live_side_by_side() {
    for (writer, memory) in memories() {
        let mut live = Vec::new();
        for value in 0..3_000_u32 {
            let (layout, [code, constants, data]) = layout([
                CODE_BYTES + u64::from(value * 37 % 900),
                u64::from(value % 70),
                u64::from(value % 50),
            ]);
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            in_flight.bytes_mut(constants).fill(value as u8);
            in_flight.bytes_mut(data).fill(!value as u8);
            in_flight.write(code, 0, &return_constant(value)).unwrap();
            let addresses = [code, constants, data].map(|section| in_flight.address(section));
            live.push((in_flight.finalize().unwrap(), addresses, value));
            if value % 3 == 0 {
                live.swap_remove(value as usize / 7 % live.len());
            }
        }
        for (_, [code, constants, data], value) in &live {
            assert_eq!(call(*code), *value, "{writer}");
            assert!(
                value % 70 == 0 || byte_at(*constants) == *value as u8,
                "{writer}"
            );
            assert!(
                value % 50 == 0 || byte_at(*data) == !*value as u8,
                "{writer}"
            );
        }
        let stats = memory.stats();
        assert_eq!((stats.live, stats.in_flight), (live.len() as u64, 0));
        drop(live);
        assert_eq!(
            (memory.stats().live, memory.stats().used_bytes),
            (0, 0),
            "{writer}"
        );
    }
}

#[test]
fn an_allocation_outlives_the_memory_it_came_from() {
    for (writer, memory) in memories() {
        let (allocation, at) = function(&memory, 42);
        drop(memory);
        assert_eq!(call(at), 42, "{writer}");
        drop(allocation);
    }
}

#[test]
fn alignment_holds_for_every_section() {
    for (writer, memory) in memories() {
        for align_log2 in 0..=20 {
            let align = 1 << align_log2;
            let mut layout = Layout::new();
            let sections = Protection::ALL.map(|protection| {
                layout.add(protection, 3, 1).unwrap();
                layout.add(protection, 5, align).unwrap()
            });
            let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            for section in sections {
                assert_eq!(
                    in_flight.address(section).value() % align,
                    0,
                    "{writer} {align}"
                );
            }
        }
    }
}

#[test]
fn constants_with_code_share_its_pages() {
    // Not every thread could read constants between code that is under a key.
    let suits = |writer: &Writer| *writer != Writer::Pkeys;
    for writer in memories()
        .into_iter()
        .map(|(writer, _)| writer)
        .filter(suits)
    {
        let memory = CodeMemory::new(Options {
            writer: Some(writer),
            constants: Constants::WithCode,
            ..Options::default()
        })
        .unwrap();
        let (layout, [code, constants, _]) = layout([CODE_BYTES, CODE_BYTES, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let (code_at, constants_at) = (in_flight.address(code), in_flight.address(constants));
        let side_by_side = if writer == Writer::Protect {
            2 * codeslab::capabilities().unwrap().page_size.bytes()
        } else {
            64
        };
        assert!(
            code_at.distance(constants_at) < side_by_side,
            "{writer}: {code_at} {constants_at}"
        );
        for (section, value) in [(code, 3), (constants, 4)] {
            in_flight
                .write(section, 0, &return_constant(value))
                .unwrap();
        }
        let _published = in_flight.finalize().unwrap();
        // They can be executed.
        assert_eq!((call(code_at), call(constants_at)), (3, 4), "{writer}");
    }
}

#[test]
fn a_section_without_bytes_has_an_address_beside_the_others() {
    for (writer, memory) in memories() {
        let (layout, [code, constants, data]) = layout([CODE_BYTES, 0, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        assert_eq!(
            in_flight.address(constants),
            in_flight.address(code),
            "{writer}"
        );
        assert!(in_flight.bytes_mut(data).is_empty(), "{writer}");
        assert_eq!(in_flight.segment_address(Protection::ReadOnly), None);
    }
}

#[test]
fn requests_that_make_no_sense_are_refused_with_the_facts_and_take_nothing() {
    let memory = CodeMemory::new(Options {
        block_size: Some(1 << 18),
        ..Options::default()
    })
    .unwrap();
    let mut layout = Layout::new();
    assert_eq!(
        memory.allocate(&Request::new(&layout)).unwrap_err(),
        Error::EmptyRequest
    );
    for align in [0, 3, 1 << 23, u64::MAX] {
        let refused = layout.add(Protection::ReadOnly, 1, align).unwrap_err();
        assert_eq!(
            refused,
            Error::InvalidAlignment {
                align,
                maximum: 1 << 22
            }
        );
    }
    // More than the size of a block: it gets one of its own.
    for align in [1 << 19, 1 << 21, 1 << 22] {
        let mut layout = Layout::new();
        let table = layout.add(Protection::ReadOnly, 1, align).unwrap();
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        assert_eq!(in_flight.address(table).value() % align, 0);
    }
    memory.trim();
    for size in [3 << 30, 1 << 40, u64::MAX >> 2] {
        let mut layout = Layout::new();
        layout.add(Protection::ReadExecute, size, 1).unwrap();
        let refused = memory.allocate(&Request::new(&layout)).unwrap_err();
        assert_eq!(
            refused,
            Error::TooLarge {
                size,
                limit: 1 << 30
            }
        );
    }
    assert!(matches!(
        Layout::new().add(Protection::ReadWrite, u64::MAX, 16),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(memory.stats(), codeslab::Stats::default());
}

#[test]
fn a_write_outside_of_its_section_is_refused_and_writes_nothing() {
    const SIZE: u64 = CODE_BYTES;
    for (writer, memory) in memories() {
        let (layout, [code, ..]) = layout([CODE_BYTES, 0, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        in_flight.write(code, 0, &[1; CODE]).unwrap();
        for (offset, length) in [
            (0, SIZE + 1),
            (SIZE, 1),
            (SIZE - 1, 2),
            (u64::MAX, 1),
            (u64::MAX, SIZE),
        ] {
            let refused = in_flight
                .write(code, offset, &vec![9; length as usize])
                .unwrap_err();
            assert_eq!(
                refused,
                Error::OutOfBounds {
                    offset,
                    length,
                    size: SIZE
                },
                "{writer}"
            );
        }
        in_flight.write(code, SIZE, &[]).unwrap();
        assert_eq!(in_flight.bytes_mut(code), [1; CODE], "{writer}");
    }
}

#[test]
fn memory_goes_back_and_forth_between_allocations_of_all_sizes_and_stays_right() {
    for (writer, memory) in memories() {
        let (_keep, _) = function(&memory, 0);
        let mut live = Vec::new();
        for round in 0..400_u32 {
            let size = CODE_BYTES + u64::from(round.wrapping_mul(2_654_435_761) % 90_000);
            let (layout, [code, _, data]) = layout([size, 0, size]);
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            assert!(
                in_flight.bytes_mut(data).iter().all(|byte| *byte == 0),
                "{writer}"
            );
            in_flight.bytes_mut(data).fill(round as u8 | 1);
            in_flight.write(code, 0, &return_constant(round)).unwrap();
            let (at, end) = (
                in_flight.address(code),
                in_flight.address(code).value() + size - 1,
            );
            live.push((in_flight.finalize().unwrap(), at, round));
            assert!(
                size < CODE_BYTES + 4 || traps(Address::new(end)),
                "{writer}: what was not written traps"
            );
            assert!(
                live.iter().all(|(_, at, value)| call(*at) == *value),
                "{writer}"
            );
            if round % 60 == 59 {
                live.clear();
            }
        }
    }
}

#[test]
fn a_slot_calls_what_it_was_pointed_to_last_while_threads_run_through_it() {
    for (writer, memory) in memories() {
        let functions: Vec<_> = (1..=4).map(|value| function(&memory, value)).collect();
        let slot = Slot::new(&memory, functions[0].1, &[]).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let run = || {
                while !is_over.load(Ordering::Relaxed) {
                    assert!((1..=4).contains(&call(slot.address())), "{writer}");
                }
            };
            scope.spawn(run);
            scope.spawn(run);
            for round in 0..10_000 {
                let (_, next) = functions[round % 4];
                slot.replace(next);
                assert_eq!(call(slot.address()), round as u32 % 4 + 1, "{writer}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn a_slot_lies_where_its_callers_reach_it() {
    for (writer, memory) in memories() {
        let (_function, target) = function(&memory, 7);
        let window = Window::around(target, 1 << 30);
        let slot = Slot::new(&memory, target, &[window]).unwrap();
        assert!(slot.address().distance(target) <= 1 << 30, "{writer}");
        assert_eq!(call(slot.address()), 7, "{writer}");
        let nowhere = [Window::new(Address::new(1), Address::new(4096)).unwrap()];
        let error = Slot::new(&memory, target, &nowhere).unwrap_err();
        assert_eq!(error.code(), "OUT_OF_REACH", "{writer}");
        assert_eq!(memory.stats().in_flight, 0, "{writer}");
    }
}
