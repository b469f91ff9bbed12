//! What must not be possible, tried in a child process that dies of it.

use crate::support::{Death, call, function, layout, memories, memory};
use codeslab::{Address, Protection, Request, Writer};
use codeslab_testing::{is_child, run_alone};

const MARKER: &str = "about to do it";

pub(crate) fn announce() {
    use std::io::Write;
    println!("{MARKER}");
    std::io::stdout().flush().unwrap();
}

/// Runs the test again as a child for every writer, and expects it to announce what it does and die like that.
pub(crate) fn dies_of(death: Death, test: &str, action: impl Fn(Writer)) {
    if is_child(test) {
        let name = std::env::var("CODESLAB_TEST_WRITER").unwrap();
        action(Writer::from_name(&name).unwrap());
        return;
    }
    for (writer, _) in memories() {
        let output = run_alone(test, &[("CODESLAB_TEST_WRITER", writer.name())]);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(MARKER),
            "{writer}: {output:?}"
        );
        assert_eq!(Death::of(&output), Some(death), "{writer}: {output:?}");
    }
}

fn write_to(at: Address) {
    announce();
    unsafe { std::ptr::write_volatile(at.value() as *mut u8, 0x90) };
}

#[test]
fn a_write_to_published_code_faults() {
    dies_of(
        Death::Fault,
        "faults::a_write_to_published_code_faults",
        |writer| {
            let memory = memory(writer);
            let (_function, at) = function(&memory, 1);
            assert_eq!(call(at), 1);
            write_to(at);
        },
    );
}

#[test]
fn a_write_to_published_constants_faults() {
    dies_of(
        Death::Fault,
        "faults::a_write_to_published_constants_faults",
        |writer| {
            let memory = memory(writer);
            let (layout, _) = layout([0, 64, 0]);
            let allocation = memory
                .allocate(&Request::new(&layout))
                .unwrap()
                .finalize()
                .unwrap();
            write_to(allocation.segment_address(Protection::ReadOnly).unwrap());
        },
    );
}

#[test]
fn constants_and_data_are_not_executable() {
    for (name, protection) in [("ro", Protection::ReadOnly), ("rw", Protection::ReadWrite)] {
        let test = "faults::constants_and_data_are_not_executable";
        if is_child(test) && std::env::var("CODESLAB_TEST_PROTECTION").as_deref() != Ok(name) {
            continue;
        }
        let action = |writer| {
            let memory = memory(writer);
            let mut layout = codeslab::Layout::new();
            let section = layout
                .add(protection, crate::support::CODE_BYTES, 16)
                .unwrap();
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            in_flight
                .write(section, 0, &crate::support::return_constant(1))
                .unwrap();
            let at = in_flight.address(section);
            let _allocation = in_flight.finalize().unwrap();
            announce();
            call(at);
        };
        if is_child(test) {
            return action(
                Writer::from_name(&std::env::var("CODESLAB_TEST_WRITER").unwrap()).unwrap(),
            );
        }
        for (writer, _) in memories() {
            let variables = [
                ("CODESLAB_TEST_WRITER", writer.name()),
                ("CODESLAB_TEST_PROTECTION", name),
            ];
            let output = run_alone(test, &variables);
            assert!(
                String::from_utf8_lossy(&output.stdout).contains(MARKER),
                "{writer}: {output:?}"
            );
            assert_eq!(
                Death::of(&output),
                Some(Death::Fault),
                "{writer} {name}: {output:?}"
            );
        }
    }
}

/// Runs a test again as a child for every writer, where calling what `prepare` gives traps, or faults where rights change with each
/// step of an allocation's life.
fn calling_traps(test: &str, prepare: impl Fn(&codeslab::CodeMemory) -> Address) {
    if is_child(test) {
        let name = std::env::var("CODESLAB_TEST_WRITER").unwrap();
        let memory = memory(Writer::from_name(&name).unwrap());
        let (_keep, _) = function(&memory, 1);
        let at = prepare(&memory);
        announce();
        call(at);
        return;
    }
    for (writer, _) in memories() {
        let variables = [("CODESLAB_TEST_WRITER", writer.name())];
        let output = run_alone(test, &variables);
        let expected = if writer == Writer::Protect {
            Death::Fault
        } else {
            Death::Trap
        };
        assert_eq!(Death::of(&output), Some(expected), "{writer}: {output:?}");
    }
}

#[test]
fn executing_freed_code_traps() {
    calling_traps("faults::executing_freed_code_traps", |memory| {
        let (freed, at) = function(memory, 2);
        freed.free();
        at
    });
}

#[test]
fn executing_code_in_flight_traps() {
    calling_traps("faults::executing_code_in_flight_traps", |memory| {
        let (layout, [code, ..]) = layout([crate::support::CODE_BYTES, 0, 0]);
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let at = in_flight.address(code);
        let answer = crate::support::return_constant(42);
        in_flight.write(code, 0, &answer).unwrap();
        std::mem::forget(in_flight);
        at
    });
}
