//! Whose an address is.

use crate::support::{call, function, layout, memories};
use codeslab::{
    Address, Allocation, CodeMemory, Constants, Found, Options, Protection, Request, Writer,
};
use std::sync::atomic::{AtomicBool, Ordering};

fn publish(memory: &CodeMemory, sizes: [u64; 3]) -> Allocation {
    let (layout, _) = layout(sizes);
    let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.finalize().unwrap()
}

fn at(allocation: &Allocation, protection: Protection, offset: u64) -> Address {
    let start = allocation.segment_address(protection);
    start.unwrap().checked_add(offset).unwrap()
}

/// What has to be found at any address of a segment of `size` bytes.
fn assert_found(memory: &CodeMemory, allocation: &Allocation, protection: Protection, size: u64) {
    for offset in [0, 1, size / 2, size - 1] {
        let found = memory.find(at(allocation, protection, offset));
        let found = found.unwrap_or_else(|| panic!("{protection:?} at {offset}"));
        assert_eq!(found.address, at(allocation, protection, 0));
        assert_eq!(found.protection, protection);
        assert!(found.size >= size, "{found:?} has {size} bytes");
    }
}

#[test]
fn every_address_of_code_constants_and_data_is_found_and_no_other() {
    for (writer, memory) in memories() {
        let allocations: Vec<_> = (1..20)
            .map(|step| (publish(&memory, [step * 50, step * 70, step * 30]), step))
            .collect();
        for (allocation, step) in &allocations {
            assert_found(&memory, allocation, Protection::ReadExecute, step * 50);
            assert_found(&memory, allocation, Protection::ReadOnly, step * 70);
            assert_found(&memory, allocation, Protection::ReadWrite, step * 30);
        }
        for block in memory.picture().blocks {
            let end = block.address.checked_add(block.size).unwrap();
            assert_eq!(memory.find(end), None, "{writer}");
            for slab in block.slabs {
                let behind = slab
                    .spans
                    .iter()
                    .map(|span| span.address.checked_add(span.size).unwrap());
                for behind in behind {
                    let begins = slab.spans.iter().any(|span| span.address == behind);
                    let found = memory.find(behind).map(|found| found.address);
                    assert_eq!(found, begins.then_some(behind), "{writer}");
                }
            }
        }
        for nowhere in [0, 1, 4096, u64::MAX] {
            assert_eq!(memory.find(Address::new(nowhere)), None, "{writer}");
        }
        let of_this_program = Address::new(std::ptr::from_ref(&memory) as u64);
        assert_eq!(memory.find(of_this_program), None);
    }
}

#[test]
fn what_is_in_flight_is_found_until_it_is_abandoned() {
    for (writer, memory) in memories() {
        let (layout, [code, ..]) = layout([100, 0, 0]);
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let inside = in_flight.address(code).checked_add(99).unwrap();
        assert!(memory.find(inside).is_some(), "{writer}");
        in_flight.abandon();
        assert_eq!(memory.find(inside), None, "{writer}");
    }
}

#[test]
fn what_is_freed_is_not_found_whether_it_rests_is_merged_or_was_freed_by_another_thread() {
    for (writer, memory) in memories() {
        // What stays keeps the block.
        let stays = publish(&memory, [100, 100, 100]);
        for (size, elsewhere) in [(64, false), (64, true), (40_000, false), (40_000, true)] {
            for _ in 0..20 {
                let freed = publish(&memory, [size, size, size]);
                let addresses = Protection::ALL.map(|protection| at(&freed, protection, 33));
                assert!(addresses.iter().all(|at| memory.find(*at).is_some()));
                if elsewhere {
                    std::thread::scope(|scope| {
                        scope.spawn(|| drop(freed));
                    });
                } else {
                    drop(freed);
                }
                let found = addresses.map(|address| memory.find(address));
                assert_eq!(found, [None; 3], "{writer}: {size}, elsewhere: {elsewhere}");
            }
        }
        assert_found(&memory, &stays, Protection::ReadOnly, 100);
    }
}

#[test]
fn what_is_allocated_where_something_was_freed_elsewhere_is_found() {
    for (writer, memory) in memories() {
        let stays: Vec<_> = (0..3).map(|_| publish(&memory, [5 << 20, 0, 0])).collect();
        for round in 0..200 {
            let sizes = [64 + round % 3 * 16, 32, 0];
            let many: Vec<_> = (0..20).map(|_| publish(&memory, sizes)).collect();
            for allocation in &many {
                assert_found(&memory, allocation, Protection::ReadExecute, sizes[0]);
                assert_found(&memory, allocation, Protection::ReadOnly, sizes[1]);
            }
            std::thread::scope(|scope| {
                scope.spawn(move || drop(many));
            });
        }
        for allocation in &stays {
            assert_found(&memory, allocation, Protection::ReadExecute, 5 << 20);
        }
        assert_eq!(memory.stats().live, 3, "{writer}");
    }
}

#[test]
fn addresses_of_a_block_that_was_given_back_belong_to_nobody() {
    for (writer, memory) in memories() {
        // Too large for a block of the usual size, and so alone in its block.
        let large = publish(&memory, [20 << 20, 64, 64]);
        let small = publish(&memory, [64, 64, 64]);
        let addresses = Protection::ALL.map(|protection| at(&large, protection, 17));
        assert!(addresses.iter().all(|at| memory.find(*at).is_some()));
        drop(large);
        assert_eq!(addresses.map(|at| memory.find(at)), [None; 3], "{writer}");
        memory.trim();
        assert_eq!(addresses.map(|at| memory.find(at)), [None; 3], "{writer}");
        assert_found(&memory, &small, Protection::ReadWrite, 64);
        let small_at = at(&small, Protection::ReadExecute, 0);
        drop(small);
        memory.trim();
        assert_eq!(memory.find(small_at), None, "{writer}");
    }
}

#[test]
fn constants_that_lie_with_code_are_found_as_code() {
    for writer in [
        Writer::DualMapping,
        Writer::FileWrite,
        Writer::Protect,
        Writer::SelfMem,
    ] {
        let opened = CodeMemory::new(Options {
            writer: Some(writer),
            constants: Constants::WithCode,
            ..Options::default()
        });
        let Ok(memory) = opened else { continue };
        let allocation = publish(&memory, [100, 200, 50]);
        let start = at(&allocation, Protection::ReadOnly, 0);
        for offset in [0, 1, 199] {
            let found = memory.find(at(&allocation, Protection::ReadOnly, offset));
            let Some(Found {
                address,
                size,
                protection,
                ..
            }) = found
            else {
                panic!("{writer}: {offset}")
            };
            assert_eq!((address, protection), (start, Protection::ReadExecute));
            assert!(size >= 200, "{writer}");
        }
        assert_found(&memory, &allocation, Protection::ReadExecute, 100);
        drop(allocation);
        assert_eq!(memory.find(start), None, "{writer}");
    }
}

/// Says that it is over when it goes, also when the thread panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_stays_is_found_and_what_was_freed_is_not_while_other_threads_churn_beside_it() {
    for (writer, memory) in memories() {
        let is_over = AtomicBool::new(false);
        // One thread made all, so what it frees and makes again lies between what stays.
        let (mut beside, mut stay) = (Vec::new(), Vec::new());
        for index in 0..200 {
            beside.push(publish(&memory, [16 + index % 5 * 16, 48, 16]));
            stay.push(publish(&memory, [16 + index % 7 * 16, 16, 80]));
        }
        let retired: Vec<_> = (0..3).map(|_| publish(&memory, [20 << 20, 0, 0])).collect();
        let gone: Vec<_> = retired
            .iter()
            .map(|one| at(one, Protection::ReadExecute, 1 << 20))
            .collect();
        drop(retired);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (memory, stay, gone, is_over) = (&memory, &stay, &gone, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        for one in stay {
                            assert_found(memory, one, Protection::ReadExecute, 16);
                            assert_found(memory, one, Protection::ReadOnly, 16);
                            assert_found(memory, one, Protection::ReadWrite, 80);
                        }
                        assert!(gone.iter().all(|at| memory.find(*at).is_none()), "{writer}");
                    }
                });
            }
            let _over = Over(&is_over);
            let mut number = 0;
            for round in 0..40_u64 {
                let kept = beside.len() / 2;
                beside.truncate(kept);
                while beside.len() < 200 {
                    number += 1;
                    beside.push(publish(&memory, [16 + number % 9 * 16, 48, round]));
                }
                beside.rotate_left(37);
                let (_function, entry) = function(&memory, round as u32);
                assert_eq!(call(entry), round as u32);
            }
        });
    }
}
