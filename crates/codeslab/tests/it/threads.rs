//! One memory, many threads.

use crate::support::{call, function, layout, memories, return_constant};
use codeslab::{Allocation, CodeMemory, Options, Request};
use std::sync::mpsc;

#[test]
fn threads_allocate_write_call_and_free_at_once_and_nothing_is_left() {
    for (writer, memory) in memories() {
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let memory = &memory;
                scope.spawn(move || {
                    let mut live = Vec::new();
                    for round in 0..500_u32 {
                        let value = thread << 16 | round;
                        let (layout, [code, constants, data]) =
                            layout([crate::support::CODE_BYTES + u64::from(round % 300), 40, 24]);
                        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
                        assert!(in_flight.bytes_mut(data).iter().all(|byte| *byte == 0));
                        in_flight.bytes_mut(constants).fill(round as u8);
                        in_flight.bytes_mut(data).fill(thread as u8 + 1);
                        in_flight.write(code, 0, &return_constant(value)).unwrap();
                        let at = in_flight.address(code);
                        if round % 5 == 0 {
                            in_flight.abandon();
                            continue;
                        }
                        live.push((in_flight.finalize().unwrap(), at, value));
                        assert!(
                            live.iter().all(|(_, at, value)| call(*at) == *value),
                            "{writer}"
                        );
                        if round % 3 == 0 {
                            live.remove(live.len() / 2);
                        }
                        live.truncate(40);
                    }
                });
            }
        });
        let stats = memory.stats();
        assert_eq!(
            (stats.live, stats.in_flight, stats.used_bytes),
            (0, 0, 0),
            "{writer}"
        );
        memory.trim();
        assert_eq!(memory.stats(), codeslab::Stats::default(), "{writer}");
    }
}

#[test]
fn what_one_thread_publishes_another_calls_and_a_third_frees() {
    for (writer, memory) in memories() {
        let (published, to_call) = mpsc::channel::<(Allocation, codeslab::Address, u32)>();
        let (called, to_free) = mpsc::channel::<Allocation>();
        std::thread::scope(|scope| {
            let memory = &memory;
            scope.spawn(move || {
                for value in 0..2_000 {
                    let (allocation, at) = function(memory, value);
                    published.send((allocation, at, value)).unwrap();
                }
            });
            scope.spawn(move || {
                for (allocation, at, value) in to_call {
                    assert_eq!(call(at), value, "{writer}");
                    called.send(allocation).unwrap();
                }
            });
            scope.spawn(move || to_free.into_iter().for_each(Allocation::free));
        });
        assert_eq!(memory.stats().live, 0, "{writer}");
    }
}

#[test]
fn threads_that_open_blocks_at_once_get_clusters_within_the_reach() {
    const BLOCK: u64 = 64 << 20;
    let memory = CodeMemory::new(Options {
        block_size: Some(BLOCK),
        ..Options::default()
    })
    .unwrap();
    // Mostly data, which takes address space and no memory.
    let (layout, _) = layout([16, 16, BLOCK / 2]);
    let allocate = |_| memory.allocate(&Request::new(&layout)).unwrap();
    let fill = || (0..6).map(allocate).collect::<Vec<_>>();
    let live = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(fill)).collect();
        let filled = threads.into_iter().map(|thread| thread.join().unwrap());
        filled.flatten().collect::<Vec<_>>()
    });
    let blocks = memory.picture().blocks;
    assert_eq!(blocks.len(), live.len(), "a block for each");
    let end = |block: &codeslab::BlockPicture| block.address.checked_add(block.size).unwrap();
    for pair in blocks.windows(2) {
        assert!(end(&pair[0]) <= pair[1].address, "{pair:?}");
    }
    for first in &blocks {
        let cluster = blocks.iter().filter(|block| block.cluster == first.cluster);
        for block in cluster {
            let extent = end(block).value().saturating_sub(first.address.value());
            assert!(extent <= memory.configuration().reach.bytes());
        }
    }
    drop(live);
    memory.trim();
    assert_eq!(memory.stats(), codeslab::Stats::default());
}
