//! Gaps are found in an address space that leaves little room.

use crate::support::{function, layout, memories};
use codeslab::{CodeMemory, Error, Options, Request, Window, Writer};
use codeslab_testing::{assert_passed, is_child, run_alone};

const GIB: u64 = 1 << 30;

/// Maps everything within `radius` of `center` that is free, in pieces, and leaves it mapped.
fn fill_around(center: u64, radius: u64) {
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    for piece in [GIB / 4, 16 << 20, 1 << 20, 64 << 10] {
        let mut at = (center - radius) & !(piece - 1);
        while at < center + radius {
            // The last gaps are left, so that there is something to find.
            unsafe {
                libc::mmap(
                    at as *mut libc::c_void,
                    piece as usize,
                    libc::PROT_NONE,
                    flags,
                    -1,
                    0,
                )
            };
            at += piece;
        }
    }
}

#[test]
fn in_a_filled_neighbourhood_a_gap_within_reach_is_found() {
    const NAME: &str = "gaps::in_a_filled_neighbourhood_a_gap_within_reach_is_found";
    if !is_child(NAME) {
        // A process for each: what is filled stays so.
        for (writer, _) in memories() {
            // What stands for the switch there takes as long as there is code, and this makes thousands of blocks of it.
            if cfg!(rehearsal) && writer == Writer::MapJit {
                continue;
            }
            let variables = [("CODESLAB_WRITER", writer.name())];
            assert_passed(&run_alone(NAME, &variables));
        }
        return;
    }
    let memory = CodeMemory::new(Options {
        block_size: Some(1 << 20),
        ..Options::default()
    })
    .unwrap();
    let (_function, first) = function(&memory, 1);
    fill_around(first.value(), 3 * GIB);
    // One gap, 1.5 GiB away, just large enough.
    let gap = (first.value() - GIB - GIB / 2) & !((1 << 20) - 1);
    let freed = unsafe { libc::munmap(gap as *mut libc::c_void, 4 << 20) };
    assert_eq!(freed, 0);
    let anywhere = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(
            std::ptr::null_mut(),
            64 << 20,
            libc::PROT_NONE,
            flags,
            -1,
            0,
        )
    };
    assert!(
        first.distance((anywhere as u64).into()) > 2 * GIB,
        "a plain mmap lands out of reach"
    );
    let window = Window::around(first, 2 * GIB - (1 << 21));
    let mut found = Vec::new();
    // What the memory reserved before the neighbourhood was filled is used first.
    let refused = loop {
        let (layout, [code, ..]) = layout([900_000, 0, 0]);
        match memory.allocate(&Request::new(&layout).within(&[window])) {
            // Published at once: a writer may hold a copy of the bytes until then, and the heap would put it into the gap.
            Ok(in_flight) => found.push((in_flight.address(code), in_flight.finalize().unwrap())),
            Err(error) => break error,
        }
    };
    assert!(
        found
            .iter()
            .any(|(at, _)| (gap..gap + (4 << 20)).contains(&at.value())),
        "the gap at {gap:#x} is found: {refused}"
    );
    assert!(found.iter().all(|(at, _)| at.distance(first) < 2 * GIB));
    let Error::OutOfReach {
        nearest: Some(nearest),
        ..
    } = refused
    else {
        panic!("{refused}")
    };
    assert!(nearest.distance(first) > 2 * GIB, "{nearest}");
}

#[test]
fn a_forked_child_looks_for_gaps_in_its_own_address_space() {
    const NAME: &str = "gaps::a_forked_child_looks_for_gaps_in_its_own_address_space";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let (layout, [code, ..]) = layout([1_000, 0, 0]);
    let place_around = |center: u64| {
        let memory = CodeMemory::new(Options::default()).unwrap();
        let window = [Window::around(center.into(), GIB)];
        let placed = memory.allocate(&Request::new(&layout).within(&window));
        placed.map(|in_flight| in_flight.address(code).value())
    };
    place_around(0x2000_0000_0000).expect("the parent asks first");
    let child = unsafe { libc::fork() };
    if child == 0 {
        let center = 0x2100_0000_0000;
        fill_around(center, GIB);
        let gap = center + 700 * (1 << 20);
        unsafe { libc::munmap(gap as *mut libc::c_void, 1 << 20) };
        let placed = place_around(center);
        let is_in_gap = placed.is_ok_and(|at| (gap..gap + (1 << 20)).contains(&at));
        unsafe { libc::_exit(i32::from(!is_in_gap)) };
    }
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0, "the child finds the gap that only it has");
}
