//! Blocks lie where their references arrive.

use crate::support::{layout, memories};
use codeslab::{CodeMemory, Options, Request, Window, process_symbol};

const GIB: u64 = 1 << 30;
const KIB: u64 = 1 << 10;

/// A variable of the C library.
const DATA: &str = if cfg!(windows) {
    "_fmode"
} else if cfg!(target_os = "macos") {
    "__stderrp"
} else {
    "stderr"
};

// Programs of 64 bits have nothing below 4 GiB on macOS.
#[cfg(not(any(target_os = "macos", rehearsal)))]
#[test]
fn a_window_below_2_gib_is_met_by_every_writer() {
    for (writer, memory) in memories() {
        let (layout, [code, constants, data]) = layout([100, 100, 100]);
        let request = Request::new(&layout);
        let mut in_flight = memory
            .allocate(&request.within(&[Window::BELOW_2_GIB]))
            .unwrap();
        in_flight
            .write(code, 0, &crate::support::return_constant(3))
            .unwrap();
        let addresses = [code, constants, data].map(|section| in_flight.address(section).value());
        let _allocation = in_flight.finalize().unwrap();
        assert!(
            addresses.iter().all(|at| *at < 2 * GIB),
            "{writer}: {addresses:x?}"
        );
        assert_eq!(
            crate::support::call(codeslab::Address::new(addresses[0])),
            3
        );
    }
}

#[test]
fn a_window_around_data_of_the_process_is_met() {
    let data = process_symbol(DATA).expect("the C library has it");
    let window = Window::around(data, 2 * GIB - (1 << 16));
    for (writer, memory) in memories() {
        for size in [100, 3 << 20, 40 << 20] {
            let (layout, [code, ..]) = layout([size, 16, 16]);
            let in_flight = memory
                .allocate(&Request::new(&layout).within(&[window]))
                .unwrap();
            assert!(
                in_flight.address(code).distance(data) + size < 2 * GIB,
                "{writer} {size}"
            );
        }
    }
}

#[test]
fn symbols_of_the_process_are_found_by_name_and_others_are_not() {
    assert!(process_symbol("malloc").is_some());
    assert_eq!(process_symbol("no_such_symbol_anywhere"), None);
    assert_eq!(process_symbol("nul\0inside"), None);
}

#[test]
fn slabs_of_code_grow_faster_the_more_they_have_and_leave_an_eighth_idle_at_most() {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let (layout, _) = layout([KIB, 0, 0]);
    let (mut kept, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..3_000 {
        let before = memory.stats().committed_bytes;
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        kept.push(in_flight.finalize().unwrap());
        let stats = memory.stats();
        let committed = stats.committed_bytes;
        if committed > before {
            steps.push(committed - before);
        }
        let idle = committed - stats.used_bytes;
        assert!(idle <= (committed / 8).max(64 * KIB), "{idle} {committed}");
    }
    steps.dedup();
    // The first step is smaller where the system maps less than that at once.
    let steps: Vec<_> = steps
        .iter()
        .map(|step| step / KIB)
        .filter(|step| *step >= 64)
        .collect();
    assert_eq!(steps, [64, 128, 192, 256]);
}
