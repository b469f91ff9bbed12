//! Windows: address space, handles and committed memory go back, windows are met to the last granule, and nothing is writable and executable.

use crate::support::{call, call_all, function, functions, layout, memories, memory};
use codeslab::{Address, CodeMemory, Error, Options, Protection, Request, Window, Writer};
use codeslab_testing::{
    Usage, assert_ends_where_it_began, assert_passed, is_child, run_alone, runs,
};
use std::ffi::c_void;
use std::ptr::null_mut;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, MEMORY_BASIC_INFORMATION, PAGE_EXECUTE_READWRITE,
    PAGE_EXECUTE_WRITECOPY, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
    VirtualProtect,
};

const GRANULE: u64 = 64 << 10;
const GIB: u64 = 1 << 30;

/// Reserved and committed bytes, and how many handles are open.
fn usage() -> (usize, usize, usize) {
    let now = Usage::now();
    (now.reserved, now.committed, now.handles)
}

fn is_near(first: usize, second: usize) -> bool {
    // What the heap and threads that ended keep.
    first.abs_diff(second) < 16 << 20
}

#[test]
fn two_views_are_what_is_used_and_the_other_writers_say_why_they_are_not() {
    let capabilities = codeslab::capabilities().unwrap();
    assert_eq!(capabilities.granularity, GRANULE);
    let memory = CodeMemory::new(Options::default()).unwrap();
    assert_eq!(memory.configuration().writer, Writer::DualMapping);
    for status in capabilities.writers {
        let works = matches!(
            status.writer,
            Writer::DualMapping | Writer::FileWrite | Writer::Protect
        );
        assert_eq!(status.unavailable.is_none(), works, "{status:?}");
    }
}

#[test]
fn no_page_is_writable_and_executable_while_code_is_placed_called_and_freed() {
    for (writer, memory) in memories() {
        let mut live = functions(&memory, 200, 300);
        live.truncate(100);
        call_all(&live, writer);
        let both = PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
        let is_both =
            |run: &&MEMORY_BASIC_INFORMATION| run.State == MEM_COMMIT && run.Protect & both != 0;
        let runs = runs();
        let ours = |run: &&MEMORY_BASIC_INFORMATION| {
            let at = Address::new(run.BaseAddress as u64);
            memory.find(at).is_some() || live.iter().any(|(_, code, _)| code.distance(at) < 1 << 20)
        };
        assert_eq!(
            runs.iter().filter(is_both).filter(ours).count(),
            0,
            "{writer}"
        );
    }
}

#[test]
fn what_is_published_cannot_be_made_writable_by_its_address() {
    for writer in [Writer::DualMapping, Writer::FileWrite] {
        let memory = memory(writer);
        let live = functions(&memory, 1, 16);
        let (allocation, code, _) = &live[0];
        let constants = allocation.segment_address(Protection::ReadOnly).unwrap();
        for at in [*code, constants] {
            for rights in [PAGE_READWRITE, PAGE_EXECUTE_READWRITE] {
                let mut before = 0;
                let page = (at.value() & !4095) as *const c_void;
                let changed = unsafe { VirtualProtect(page, 4096, rights, &raw mut before) };
                assert_eq!(changed, 0, "{writer} {at} {rights:#x}");
            }
        }
        call_all(&live, writer);
    }
}

#[test]
fn a_reservation_commits_little_and_everything_goes_back() {
    const NAME: &str = "windows::a_reservation_commits_little_and_everything_goes_back";
    if !is_child(NAME) {
        for writer in [Writer::DualMapping, Writer::FileWrite, Writer::Protect] {
            assert_passed(&run_alone(NAME, &[("CODESLAB_WRITER", writer.name())]));
        }
        return;
    }
    let writer = CodeMemory::new(Options::default())
        .unwrap()
        .configuration()
        .writer;
    {
        // The heap keeps what was staged, so it grows before anything is measured.
        let warm = memory(writer);
        drop(functions(&warm, 4_000, 10_000));
        drop(warm);
        let (reserved, committed, handles) = usage();
        let memory = memory(writer);
        let (first, at) = function(&memory, 7);
        let (more, little, _) = usage();
        assert!(
            more > reserved + (200 << 20),
            "{writer}: {reserved:#x} {more:#x}"
        );
        assert!(
            is_near(little, committed),
            "{writer}: {committed:#x} {little:#x}"
        );
        let live = functions(&memory, 4_000, 10_000);
        let (_, much, _) = usage();
        assert!(
            much > committed + 4_000 * 10_000,
            "{writer}: {committed:#x} {much:#x}"
        );
        drop(live);
        memory.trim();
        assert_eq!(call(at), 7, "{writer}");
        let (_, freed, _) = usage();
        assert!(
            is_near(freed, committed),
            "{writer}: {committed:#x} {freed:#x}"
        );
        drop((first, memory));
        let (after, _, left) = usage();
        assert!(
            is_near(after, reserved),
            "{writer}: {reserved:#x} {after:#x}"
        );
        assert!(left <= handles + 8, "{writer}: {handles} {left}");
    }
}

/// Reserves everything that is free from `first` on, in pieces, but for one granule.
fn fill_but_for(first: u64, last: u64, gap: u64) {
    for piece in [GIB / 4, 16 << 20, 1 << 20, GRANULE] {
        let mut at = first & !(piece - 1);
        while at < last {
            let covers_gap = (at..at + piece).contains(&gap);
            if !covers_gap {
                unsafe {
                    VirtualAlloc(
                        at as *const c_void,
                        piece as usize,
                        MEM_RESERVE,
                        PAGE_NOACCESS,
                    )
                };
            }
            at += piece;
        }
    }
}

#[test]
fn in_a_window_of_2_gib_with_one_granule_left_that_is_found_and_else_the_nearest_is_named() {
    const NAME: &str = "windows::in_a_window_of_2_gib_with_one_granule_left_that_is_found_and_else_the_nearest_is_named";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let (first, gap) = (0x3000_0000_0000, 0x3000_1234_0000);
    fill_but_for(first - 8 * GIB, first + 8 * GIB, gap);
    let window = Window::of_range(Address::new(first - GIB), 2 * GIB).unwrap();
    let memory = CodeMemory::new(Options {
        block_size: Some(4 * GRANULE),
        ..Options::default()
    })
    .unwrap();
    let (layout, [code, ..]) = layout([100, 0, 0]);
    let request = Request::new(&layout);
    let windows = [window];
    let request = request.within(&windows);
    let placed = memory.allocate(&request).unwrap();
    assert_eq!(placed.address(code).value() & !(GRANULE - 1), gap);
    let (layout, _) = crate::support::layout([GRANULE, 0, 0]);
    let refused = memory
        .allocate(&Request::new(&layout).within(&windows))
        .unwrap_err();
    let Error::OutOfReach {
        nearest: Some(nearest),
        ..
    } = refused
    else {
        panic!("{refused}")
    };
    let distance = window
        .first()
        .distance(nearest)
        .min(window.last().distance(nearest));
    assert!(distance < 16 * GIB, "{nearest}");
}

#[test]
fn ten_thousand_rounds_of_reserving_and_replacing_on_four_threads_leave_nothing() {
    const NAME: &str =
        "windows::ten_thousand_rounds_of_reserving_and_replacing_on_four_threads_leave_nothing";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let rounds = |count: u32| {
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                scope.spawn(move || {
                    for round in 0..count {
                        // A reservation of its own, cut, replaced, joined and released.
                        let memory = CodeMemory::new(Options {
                            block_size: Some(4 * GRANULE),
                            writer: Some(Writer::DualMapping),
                            ..Options::default()
                        })
                        .unwrap();
                        let (layout, [code, constants, data]) = layout([6, 8, 8]);
                        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                        let value = thread << 16 | round;
                        in_flight
                            .write(code, 0, &crate::support::return_constant(value))
                            .unwrap();
                        in_flight.bytes_mut(constants).fill(1);
                        in_flight.bytes_mut(data).fill(2);
                        let at = in_flight.address(code);
                        let published = in_flight.finalize().unwrap();
                        assert_eq!(call(at), value);
                        drop(published);
                    }
                });
            }
        });
    };
    assert_ends_where_it_began(|| rounds(2_500));
}

#[test]
fn eight_threads_that_place_call_and_free_end_where_they_began() {
    const NAME: &str = "windows::eight_threads_that_place_call_and_free_end_where_they_began";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let memory = memory(Writer::DualMapping);
    let work = |count: u32| {
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..count {
                        let (code, at) = function(memory, thread << 16 | round);
                        assert_eq!(call(at), thread << 16 | round);
                        code.free();
                    }
                });
            }
        });
        memory.trim();
    };
    assert_ends_where_it_began(|| work(2_000));
    assert_eq!(memory.stats(), codeslab::Stats::default());
}

#[test]
fn a_gap_is_found_among_60_000_mappings_in_a_moment() {
    const NAME: &str = "windows::a_gap_is_found_among_60_000_mappings_in_a_moment";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let (first, count) = (0x5000_0000_0000_u64, 60_000);
    for index in 0..count {
        // Every other granule: no two can be joined.
        let at = (first + 2 * index * GRANULE) as *const c_void;
        let got = unsafe { VirtualAlloc(at, GRANULE as usize, MEM_RESERVE, PAGE_NOACCESS) };
        assert_ne!(got, null_mut());
    }
    let middle = Address::new(first + count * GRANULE);
    let memory = CodeMemory::new(Options::default()).unwrap();
    let (layout, [code, ..]) = layout([3 * GRANULE, 0, 0]);
    let windows = [Window::around(middle, 8 * GIB)];
    let begun = std::time::Instant::now();
    let placed = memory
        .allocate(&Request::new(&layout).within(&windows))
        .unwrap();
    let took = begun.elapsed();
    assert!(placed.address(code).distance(middle) < 8 * GIB);
    println!("found in {took:?}");
    assert!(took.as_secs() < 5, "{took:?}");
    let freed = unsafe { VirtualFree(first as *mut c_void, 0, MEM_RELEASE) };
    assert_ne!(freed, 0);
}
