//! What the port makes of the calls, with each way to write to memory of `MAP_JIT`, and a memory manager on it.

use super::access::Access;
use super::jit::Way;
use super::mach::{self, Switch};
use super::port::Macos;
use super::signing::Signing;
use crate::memory::CodeMemory;
use crate::model::address::{Address, Window};
use crate::model::error::{Error, Limit};
use crate::model::layout::Layout;
use crate::model::options::Options;
use crate::model::protection::Protection;
use crate::model::stats::Stats;
use crate::model::writer::Writer;
use crate::request::Request;
use crate::sys::Platform;
use crate::sys::arch::{Native, Processor};
use std::sync::Arc;

const WRITERS: [Writer; 4] = [
    Writer::DualMapping,
    Writer::FileWrite,
    Writer::Protect,
    Writer::MapJit,
];

/// The port as this machine has it, and as it is without a switch.
fn ports() -> Vec<Macos> {
    let signing = Signing::new(0, "");
    let ways = [Switch::of_process().map(Way::Switched), Some(Way::Viewed)];
    let ways = ways.into_iter().flatten();
    ways.map(|way| Macos::new(signing, way).unwrap()).collect()
}

/// The writers that this machine lets these tests use.
fn memories() -> Vec<(Writer, CodeMemory)> {
    let open = |port: Macos| {
        WRITERS.into_iter().map(move |writer| {
            let options = Options {
                writer: Some(writer),
                ..Options::default()
            };
            (writer, CodeMemory::on(Arc::new(port), &options).unwrap())
        })
    };
    ports().into_iter().flat_map(open).collect()
}

fn byte(at: Address) -> u8 {
    // SAFETY: tests ask for bytes that they mapped, readable.
    unsafe { (at.value() as *const u8).read_volatile() }
}

/// Calls a function that was published.
fn call(at: Address) -> i32 {
    // SAFETY: tests publish functions of that type.
    let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(at.value() as *const ()) };
    function()
}

fn part(at: Address, page: u64, index: u64) -> Address {
    Address::new(at.value() + index * page)
}

#[test]
fn code_of_every_writer_runs_beside_its_constants_and_data_and_nothing_is_left() {
    for (writer, memory) in memories() {
        let mut layout = Layout::new();
        let code = layout.add(Protection::ReadExecute, 64, 16).unwrap();
        let constants = layout.add(Protection::ReadOnly, 40, 16).unwrap();
        let data = layout.add(Protection::ReadWrite, 200_000, 16).unwrap();
        let mut kept = Vec::new();
        for round in 0..100_u8 {
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            in_flight.write(code, 0, Native::ANSWER).unwrap();
            in_flight.bytes_mut(constants).fill(round);
            in_flight.bytes_mut(data).fill(round);
            let at = [code, constants, data].map(|section| in_flight.address(section));
            kept.push((in_flight.finalize().unwrap(), at, round));
            // Freed in the middle, so that holes are purged and used again.
            if round % 3 == 0 {
                kept.remove(kept.len() / 2);
            }
        }
        for (_, [code, constants, data], round) in &kept {
            assert_eq!(call(*code), 42, "{writer}");
            assert_eq!(
                (byte(*constants), byte(*data)),
                (*round, *round),
                "{writer}"
            );
        }
        drop(kept);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
    }
}

#[test]
fn what_is_large_comes_and_goes_and_its_place_is_used_again() {
    for (writer, memory) in memories() {
        for round in 0..6 {
            let mut layout = Layout::new();
            // Code where data was, and the other way round.
            let sizes = if round % 2 == 0 { [3, 5] } else { [9, 1] };
            let code = layout
                .add(Protection::ReadExecute, sizes[0] << 20, 16)
                .unwrap();
            let data = layout
                .add(Protection::ReadWrite, sizes[1] << 20, 16)
                .unwrap();
            let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
            assert!(
                in_flight.bytes_mut(data).iter().all(|byte| *byte == 0),
                "{writer}"
            );
            in_flight.bytes_mut(data).fill(7);
            let last = (sizes[0] << 20) - 64;
            in_flight.write(code, last, Native::ANSWER).unwrap();
            let at = in_flight.address(code).checked_add(last).unwrap();
            let published = in_flight.finalize().unwrap();
            assert_eq!(call(at), 42, "{writer}");
            drop(published);
        }
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
    }
}

#[test]
fn requests_are_met_within_a_window_by_reservations_of_both_kinds() {
    for (writer, memory) in memories() {
        let here = Address::new(ports as *const () as u64);
        let window = Window::around(here, 1 << 30);
        let mut layout = Layout::new();
        let code = layout.add(Protection::ReadExecute, 64, 16).unwrap();
        let windows = [window];
        let request = Request::new(&layout).within(&windows);
        let mut in_flight = memory.allocate(&request).unwrap();
        in_flight.write(code, 0, Native::ANSWER).unwrap();
        let at = in_flight.address(code);
        let published = in_flight.finalize().unwrap();
        assert!(
            window.contains(Window::of_range(at, 64).unwrap()),
            "{writer}"
        );
        assert_eq!(call(at), 42, "{writer}");
        drop(published);
    }
}

#[test]
fn threads_write_and_run_code_at_the_same_time() {
    for (writer, memory) in memories() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut layout = Layout::new();
                        let code = layout.add(Protection::ReadExecute, 64, 16).unwrap();
                        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                        in_flight.write(code, 0, Native::ANSWER).unwrap();
                        let at = in_flight.address(code);
                        let published = in_flight.finalize().unwrap();
                        assert_eq!(call(at), 42, "{writer}");
                        drop(published);
                    }
                });
            }
        });
    }
}

#[test]
fn a_budget_is_kept_and_purged_code_can_be_had_again() {
    for port in ports() {
        for writer in WRITERS {
            let options = Options {
                writer: Some(writer),
                max_committed: Some(4 << 20),
                ..Options::default()
            };
            let memory = CodeMemory::on(Arc::new(port), &options).unwrap();
            let mut layout = Layout::new();
            let code = layout.add(Protection::ReadExecute, 256 << 10, 16).unwrap();
            let publish = || {
                let mut in_flight = memory.allocate(&Request::new(&layout))?;
                in_flight.write(code, 0, Native::ANSWER)?;
                let at = in_flight.address(code);
                Ok::<_, Error>((in_flight.finalize()?, at))
            };
            for _ in 0..3 {
                let mut kept = Vec::new();
                let refused = loop {
                    match publish() {
                        Ok(one) => kept.push(one),
                        Err(refused) => break refused,
                    }
                };
                assert_eq!(refused.code(), "COMMIT_BUDGET", "{writer}");
                assert!(kept.iter().all(|(_, at)| call(*at) == 42), "{writer}");
                // One stays, so the block does, too, and what is freed is purged.
                kept.truncate(1);
                assert!(memory.stats().committed_bytes < 3 << 20, "{writer}");
                assert_eq!(call(kept[0].1), 42, "{writer}");
            }
        }
    }
}

#[test]
fn an_occupied_place_is_refused_and_what_is_there_stays() {
    for port in ports() {
        for writer in [Writer::Protect, Writer::MapJit] {
            let kind = port.for_writer(writer);
            let kind = kind.as_deref().unwrap_or(&port);
            let size = 4 * kind.facts().granularity;
            let align = 1 << 21;
            let at = kind.reserve(size, align).unwrap();
            assert_eq!(at.value() % align, 0, "{writer}");
            // SAFETY: the range is reserved, not mapped, and this test's own.
            let start = unsafe { kind.map_private(at, size, Protection::ReadWrite) }.unwrap();
            // SAFETY: it is writable, and this test's own.
            unsafe { start.write(5) };
            let refused = kind.reserve_at(at, size).unwrap_err();
            assert_eq!(refused.limit, Limit::Occupied, "{writer}");
            assert_eq!(byte(at), 5, "{writer}");
            // SAFETY: nothing uses the reservation.
            unsafe { kind.release(at, size) }.unwrap();
            kind.reserve_at(at, size).unwrap();
            // SAFETY: nothing uses the reservation.
            unsafe { kind.release(at, size) }.unwrap();
        }
    }
}

#[test]
fn code_in_memory_of_map_jit_is_cleared_purged_and_given_back_for_data() {
    for port in ports() {
        let jit = port.for_writer(Writer::MapJit).unwrap();
        let page = jit.facts().granularity;
        let at = jit.reserve(4 * page, page).unwrap();
        for _ in 0..2 {
            // SAFETY: the range is reserved, not mapped, and this test's own.
            unsafe { jit.map_keyed(at, 2 * page) }.unwrap();
            assert_eq!(byte(part(at, page, 1)), 0);
            // SAFETY: the range was mapped so just now, and nothing uses it.
            unsafe { jit.write_keyed(part(at, page, 1), &[1, 2, 3]) }.unwrap();
            assert_eq!(byte(Address::new(part(at, page, 1).value() + 2)), 3);
            // SAFETY: nothing uses the range.
            unsafe { jit.purge_private(at, 2 * page) }.unwrap();
            // SAFETY: the range was purged just now.
            unsafe { jit.recommit_private(at, 2 * page) }.unwrap();
            assert_eq!(byte(part(at, page, 1)), 0, "cleared");
            // SAFETY: the range was mapped by `map_keyed`, and nothing uses it.
            unsafe { jit.write_keyed(at, &[9]) }.unwrap();
            // SAFETY: nothing uses the range.
            unsafe { jit.discard_private(at, page) }.unwrap();
            assert_eq!(byte(at), 0, "discarded");
            // SAFETY: nothing uses what is mapped there.
            unsafe { jit.decommit(at, 4 * page) }.unwrap();
            // SAFETY: the range is reserved, not mapped, and this test's own.
            let data = unsafe { jit.map_private(at, 4 * page, Protection::ReadWrite) }.unwrap();
            // SAFETY: it is writable, and this test's own.
            unsafe { data.write_bytes(1, page as usize) };
            // SAFETY: nothing uses the range.
            unsafe { jit.discard_private(at, page) }.unwrap();
            assert_eq!(byte(at), 0);
            // SAFETY: nothing uses what is mapped there.
            unsafe { jit.decommit(at, 4 * page) }.unwrap();
        }
        // SAFETY: nothing uses the reservation.
        unsafe { jit.release(at, 4 * page) }.unwrap();
        let other = port.for_writer(Writer::MapJit).unwrap();
        assert!(other.for_writer(Writer::MapJit).is_none());
        // SAFETY: it is refused, whatever the range is.
        let refused = unsafe { port.map_keyed(at, page) }.unwrap_err();
        assert_eq!(refused.limit, Limit::Unsupported);
    }
}

#[test]
fn memory_files_are_zero_shared_and_given_back() {
    let port = ports()[0];
    let page = port.facts().granularity;
    let at = port.reserve(4 * page, page).unwrap();
    let file = port.create_file(4 * page).unwrap();
    // SAFETY: the file is mapped nowhere.
    unsafe { file.write(page - 1, &[1, 2]) }.unwrap();
    // SAFETY: the range is reserved, not mapped, and this test's own.
    unsafe { file.map_at(at, 0, 4 * page, Protection::ReadOnly) }.unwrap();
    let second = part(at, page, 1);
    assert_eq!(
        (byte(Address::new(second.value() - 1)), byte(second)),
        (1, 2)
    );
    let view = file.map_view(0, 4 * page, true).unwrap();
    // SAFETY: the part is hidden, and this test's own.
    unsafe { port.show(view, 2 * page) }.unwrap();
    // SAFETY: the view has four pages.
    let shown = unsafe { view.add(page as usize) };
    // SAFETY: that byte is shown, and this test's own.
    unsafe { shown.write(8) };
    assert_eq!(byte(second), 8);
    // SAFETY: the range is this test's own, and is not to be written.
    let refused = unsafe { mach::protect(at, page, Access::READ_WRITE) };
    assert_eq!(refused.unwrap_err().limit, Limit::Policy, "never writable");
    // SAFETY: nothing uses the part.
    unsafe { file.discard(page, page) }.unwrap();
    assert_eq!(
        (byte(Address::new(second.value() - 1)), byte(second)),
        (1, 0)
    );
    // SAFETY: nothing uses the part.
    unsafe { file.write(page, &[7]) }.unwrap();
    drop(file);
    assert_eq!(byte(second), 7, "what is mapped of a closed file stays");
    // SAFETY: nothing uses the view.
    unsafe { port.unmap_view(view, 4 * page) };
    // SAFETY: nothing uses what is mapped there.
    unsafe { port.decommit(at, 4 * page) }.unwrap();
    // SAFETY: the range is reserved, not mapped, and this test's own.
    unsafe { port.map_private(at, page, Protection::ReadWrite) }.unwrap();
    assert_eq!(byte(at), 0);
    // SAFETY: nothing uses the reservation.
    unsafe { port.release(at, 4 * page) }.unwrap();
}

#[test]
fn a_hardened_runtime_and_a_missing_entitlement_are_told_apart_with_what_to_do() {
    const RUNTIME: u32 = 0x1_0000;
    const JIT: &str = "<key>com.apple.security.cs.allow-jit</key><true/>";
    let open = |signing, writer| {
        let port = Macos::new(signing, Way::of_process()).unwrap();
        let options = Options {
            writer,
            ..Options::default()
        };
        CodeMemory::on(Arc::new(port), &options).map(|memory| memory.configuration().writer)
    };
    let entitled = Signing::new(RUNTIME, JIT);
    assert_eq!(open(entitled, None), Ok(Writer::MapJit), "what it may have");
    for writer in [Writer::DualMapping, Writer::FileWrite, Writer::Protect] {
        let refused = open(entitled, Some(writer)).unwrap_err().to_string();
        assert!(
            refused.contains("allow-unsigned-executable-memory"),
            "{refused}"
        );
    }
    let none = Signing::new(RUNTIME, "");
    let refused = open(none, Some(Writer::MapJit)).unwrap_err().to_string();
    assert!(
        refused.contains("com.apple.security.cs.allow-jit"),
        "{refused}"
    );
    let refused = open(none, None).unwrap_err();
    assert_eq!(refused.code(), "WRITER_UNAVAILABLE", "{refused}");
    assert!(refused.to_string().contains("allow-jit"), "{refused}");
}

#[test]
fn writers_that_macos_lacks_are_refused_and_others_probed() {
    for port in ports() {
        for writer in Writer::ALL {
            let probed = port.probe(writer, 1 << 20);
            assert_eq!(
                probed.is_ok(),
                WRITERS.contains(&writer),
                "{writer}: {probed:?}"
            );
        }
    }
}

#[test]
fn symbols_of_the_process_are_found_by_name() {
    assert!(ports()[0].process_symbol(c"malloc").is_some());
}
