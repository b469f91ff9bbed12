//! Many threads that come and go, and memories that go before what they gave out.

use crate::support::{call, layout, memories, return_constant};
use codeslab::{Address, Allocation, CodeMemory, Protection, Request, Stats};
use codeslab_testing::{assert_passed, is_child, run_alone};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

/// More at once than there are threads with a number, and so a shard, of their own.
const CROWD: u32 = 72;
const WAVES: u32 = 6;

/// A function that one thread made, for any thread.
struct Made {
    allocation: Allocation,
    at: Address,
    value: u32,
}

fn make(memory: &CodeMemory, value: u32) -> Made {
    // Sizes that the magazine keeps, and sizes that it does not; now and then with constants and data.
    let size = if value.is_multiple_of(7) {
        20_000
    } else {
        crate::support::CODE_BYTES + u64::from(value % 400)
    };
    let others = u64::from(value % 3) * 24;
    let (layout, [code, constants, _]) = layout([size, others, others]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.write(code, 0, &return_constant(value)).unwrap();
    in_flight.bytes_mut(constants).fill(value as u8);
    let at = in_flight.address(code);
    let allocation = in_flight.finalize().unwrap();
    Made {
        allocation,
        at,
        value,
    }
}

/// It is what its maker made, and found by any of its addresses.
fn check(memory: &CodeMemory, made: &Made) {
    assert_eq!(call(made.at), made.value);
    for protection in Protection::ALL {
        if let Some(start) = made.allocation.segment_address(protection) {
            let inside = start.checked_add(5).unwrap();
            assert_eq!(memory.find(inside).map(|found| found.address), Some(start));
        }
    }
}

/// The picture has what stays while it is made, whatever comes and goes beside it.
fn is_in_the_picture(memory: &CodeMemory, made: &Made) {
    let block = made.allocation.block().first();
    let blocks = memory.picture().blocks;
    assert!(blocks.iter().any(|one| one.address == block));
}

/// What a short-lived thread does: it makes, leaves for others what it made, and checks and frees what others left.
fn live_shortly(memory: &CodeMemory, shelf: &Mutex<Vec<Made>>, seed: u32) {
    for round in 0..6 {
        let mut made = make(memory, seed * 6 + round);
        check(memory, &made);
        let mut left = shelf.lock().unwrap();
        if left.len() > 20 {
            let index = (made.value as usize * 31) % left.len();
            std::mem::swap(&mut left[index], &mut made);
        } else {
            left.push(made);
            continue;
        }
        drop(left);
        check(memory, &made);
        drop(made);
        match seed % 9 {
            0 => memory.trim(),
            1 => assert!(memory.stats().live <= u64::from(CROWD) * 7),
            2 => is_in_the_picture(memory, &make(memory, seed)),
            _ => {}
        }
    }
}

fn crowd(memory: &CodeMemory, shelf: &Mutex<Vec<Made>>, wave: u32) {
    let barrier = Barrier::new(CROWD as usize);
    std::thread::scope(|scope| {
        for thread in 0..CROWD {
            let barrier = &barrier;
            scope.spawn(move || {
                // All live at once; they end at different times.
                barrier.wait();
                live_shortly(memory, shelf, wave * CROWD + thread);
            });
        }
    });
}

#[test]
fn crowds_of_threads_that_come_and_go_leave_nothing_behind() {
    for (writer, memory) in memories() {
        let shelf = Mutex::new(Vec::new());
        for wave in 0..WAVES {
            crowd(&memory, &shelf, wave);
        }
        let left = shelf.into_inner().unwrap();
        for made in &left {
            check(&memory, made);
        }
        let stats = memory.stats();
        assert_eq!(
            (stats.live, stats.in_flight),
            (left.len() as u64, 0),
            "{writer}"
        );
        drop(left);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
    }
}

const THREADS: u32 = 4;
/// What each thread makes for each other: as many steps there are at which the memory may go.
const FOR_EACH: u32 = 12;

/// Waits until all are there, without sleeping: they go on at the same moment.
fn meet(arrived: &AtomicU32) {
    arrived.fetch_add(1, Ordering::AcqRel);
    while arrived.load(Ordering::Acquire) <= THREADS {
        std::thread::yield_now();
    }
}

/// What one thread of a round does: it makes functions for each other thread, lets its handle to the memory go, and frees what the
/// others made for it.
fn make_and_free(memory: CodeMemory, round: &Round, thread: u32) {
    for index in 0..THREADS * FOR_EACH {
        let one = make(&memory, round.number + thread * 7 + index);
        let shelf = &round.shelves[(index % THREADS) as usize];
        shelf.lock().unwrap().push(one);
    }
    drop(memory);
    round.made.wait();
    let mine = std::mem::take(&mut *round.shelves[thread as usize].lock().unwrap());
    assert!(mine.iter().all(|made| call(made.at) == made.value));
    meet(&round.start);
    drop(mine);
}

struct Round {
    number: u32,
    shelves: [Mutex<Vec<Made>>; THREADS as usize],
    made: Barrier,
    start: AtomicU32,
}

/// Threads free what others made while the last handle to the memory goes, a little later each round.
fn outlive(
    threads: &[Sender<(CodeMemory, Arc<Round>)>],
    memory: CodeMemory,
    number: u32,
) -> Vec<Address> {
    let round = Arc::new(Round {
        number,
        shelves: Default::default(),
        made: Barrier::new(threads.len() + 1),
        start: AtomicU32::new(0),
    });
    for thread in threads {
        thread.send((memory.clone(), Arc::clone(&round))).unwrap();
    }
    round.made.wait();
    let blocks = memory.picture().blocks;
    meet(&round.start);
    (0..number * 200).for_each(|_| std::hint::spin_loop());
    drop(memory);
    blocks.into_iter().map(|block| block.address).collect()
}

#[test]
fn a_memory_that_goes_while_other_threads_free_what_it_gave_out_leaves_no_mapping() {
    const NAME: &str =
        "stress::a_memory_that_goes_while_other_threads_free_what_it_gave_out_leaves_no_mapping";
    // In a process of its own, where nobody else has mappings of the kind.
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let mut blocks = Vec::new();
    // The same threads for all rounds: the stack and the heap of one that began later could lie where a block was.
    let ready = Barrier::new(THREADS as usize + 1);
    std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|thread| {
            let (sender, receiver) = channel::<(CodeMemory, Arc<Round>)>();
            let ready = &ready;
            scope.spawn(move || {
                drop(std::hint::black_box(Box::new(thread)));
                ready.wait();
                for (memory, round) in receiver {
                    make_and_free(memory, &round, thread);
                }
            });
            sender
        });
        ready.wait();
        for round in 0..40 {
            for (_, memory) in memories() {
                blocks.extend(outlive(&threads, memory, round));
            }
        }
    });
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("codeslab ("), "{maps}");
    let ranges: Vec<_> = maps.lines().map(range).collect();
    for block in blocks {
        let is_mapped = ranges.iter().any(|range| range.contains(&block.value()));
        assert!(!is_mapped, "{block} in {maps}");
    }
}

/// The addresses of a line of `/proc/self/maps`.
fn range(line: &str) -> std::ops::Range<u64> {
    let number = |digits| u64::from_str_radix(digits, 16).expect("a number");
    let (start, rest) = line.split_once('-').expect("a range");
    number(start)..number(rest.split_once(' ').expect("its end").0)
}
