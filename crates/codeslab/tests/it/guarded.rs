//! Guarded code (BTI of 64-bit Arm): where processor and system can do that, an indirect branch arrives at a landing pad or ends the
//! process; elsewhere nothing is different, and the memory says so.

use crate::faults::announce;
use crate::support::{call, layout, memories, return_constant};
use codeslab::{Address, Allocation, Architecture, CodeMemory, Options, Request, Writer};
use codeslab_testing::{is_child, run_alone, skip};
use std::os::unix::process::ExitStatusExt;

fn guarded(writer: Writer) -> CodeMemory {
    let options = Options {
        writer: Some(writer),
        branch_protection: true,
        ..Options::default()
    };
    CodeMemory::new(options).expect("an available writer")
}

fn publish(memory: &CodeMemory, bytes: &[u8]) -> (Allocation, Address) {
    let (layout, [code, ..]) = layout([64, 8, 8]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.write(code, 0, bytes).unwrap();
    let at = in_flight.address(code);
    (in_flight.finalize().unwrap(), at)
}

/// A function that may be called through a pointer where branches are guarded.
fn landing(value: u32) -> Vec<u8> {
    /// `bti c`
    const PAD: [u8; 4] = 0xd503_245f_u32.to_le_bytes();
    let pad = match codeslab::architecture() {
        Ok(Architecture::Aarch64) => &PAD[..],
        _ => &[],
    };
    [pad, &return_constant(value)].concat()
}

#[test]
fn code_with_landing_pads_runs_whether_or_not_branches_are_guarded() {
    for (writer, plain) in memories() {
        assert!(!plain.configuration().branch_protection, "{writer}");
        let memory = guarded(writer);
        for round in 0..3 {
            // Some is freed and placed again; a block is left and another is made.
            let published: Vec<_> = (0..40).map(|n| publish(&memory, &landing(n))).collect();
            for ((_, at), value) in published.iter().zip(0..) {
                assert_eq!(call(*at), value, "{writer}, round {round}");
            }
            drop(published);
            memory.trim();
        }
    }
}

#[test]
fn code_without_a_landing_pad_is_not_called_through_a_pointer_where_branches_are_guarded() {
    const NAME: &str = "guarded::code_without_a_landing_pad_is_not_called_through_a_pointer_where_branches_are_guarded";
    const SIGILL: i32 = 4;
    if is_child(NAME) {
        let name = std::env::var("CODESLAB_TEST_WRITER").expect("the parent says which");
        let memory = guarded(Writer::from_name(&name).expect("one of ours"));
        let (_allocation, at) = publish(&memory, &return_constant(1));
        announce();
        call(at);
        return;
    }
    for (writer, plain) in memories() {
        let (_allocation, at) = publish(&plain, &return_constant(1));
        assert_eq!(call(at), 1, "{writer}");
        if !guarded(writer).configuration().branch_protection {
            return skip(NAME, "the processor or the system guards no branches");
        }
        let output = run_alone(NAME, &[("CODESLAB_TEST_WRITER", writer.name())]);
        assert_eq!(output.status.signal(), Some(SIGILL), "{writer}: {output:?}");
    }
}
