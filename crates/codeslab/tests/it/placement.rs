//! Blocks lie where their references arrive.

use crate::support::{layout, memories};
use codeslab::{Request, Window, process_symbol};

const GIB: u64 = 1 << 30;

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
