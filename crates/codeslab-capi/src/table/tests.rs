//! What handles and their slots promise, from one thread and from several.

use super::*;
use std::sync::{Arc, Barrier, mpsc};

/// Miri is slow, and sees mistakes the first time that they are made.
const TIMES: u32 = if cfg!(miri) { 1 } else { 100 };

#[test]
fn every_slot_has_a_place_of_its_own_and_few_are_made_ahead() {
    let (mut expected, mut made) = ((0, 0), 0);
    for order in 0..2_000 * TIMES {
        let number = number(order).unwrap();
        let (chunk, at) = split(number);
        assert_eq!((chunk, at), expected, "slot {order}");
        let size = chunk_size(chunk);
        if at == 0 {
            made += size;
        }
        assert!(made - order <= 64 + order / 8, "slot {order}");
        expected = if at + 1 < size {
            (chunk, at + 1)
        } else {
            (chunk + 1, 0)
        };
    }
}

#[test]
fn the_largest_chunks_follow_those_that_grow_up_to_the_last() {
    let largest = 1 << MOST_LOG2;
    let growing = 8 * largest - (1 << (FIRST_LOG2 + OF_EACH_LOG2));
    let first_of_largest = (MOST_LOG2 - FIRST_LOG2) << OF_EACH_LOG2;
    for (order, expected) in [
        (growing - 1, Some((first_of_largest - 1, largest / 2 - 1))),
        (growing, Some((first_of_largest, 0))),
        (growing + 9 * largest + 5, Some((first_of_largest + 9, 5))),
    ] {
        let expected = expected.map(|(chunk, at)| chunk << MOST_LOG2 | at);
        assert_eq!(number(order), expected, "slot {order}");
    }
    let all = growing + (CHUNKS as u32 - first_of_largest) * largest;
    assert!(all > 1_000_000_000);
    let last = (CHUNKS as u32) << MOST_LOG2;
    assert_eq!(number(all - 1), Some(last - 1));
    assert_eq!(number(all), None);
    assert_eq!(number(u32::MAX), None);
}

static TABLE: Table<Arc<AtomicU32>, 0> = Table::new();

fn used() -> u32 {
    TABLE.used.load(Ordering::Relaxed)
}

fn insert(object: &Arc<AtomicU32>) -> u64 {
    TABLE.insert(Arc::clone(object)).unwrap()
}

fn take(handle: u64) -> Result<Arc<AtomicU32>> {
    TABLE.change(handle)?.take(Option::take)
}

#[test]
fn slots_are_used_again_whichever_threads_fill_and_free_them() {
    let object = Arc::new(AtomicU32::new(0));
    let (to, from) = mpsc::sync_channel(100);
    std::thread::scope(|scope| {
        let freed = Arc::clone(&object);
        scope.spawn(move || {
            for handle in from {
                take(handle).unwrap();
                freed.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..200 * TIMES {
            let handle = insert(&object);
            if round % 2 == 0 {
                take(handle).unwrap();
            } else {
                to.send(handle).unwrap();
            }
        }
        drop(to);
    });
    assert_eq!(object.load(Ordering::Relaxed), 100 * TIMES);
    assert_eq!(Arc::strong_count(&object), 1, "no object stays");
    assert!(used() < 2_000, "{}", used());
}

#[test]
fn a_thread_that_ends_leaves_its_slots_to_others() {
    let object = Arc::new(AtomicU32::new(0));
    for _ in 0..2 * TIMES {
        let object = Arc::clone(&object);
        let churn = move || {
            let handles: Vec<_> = (0..40).map(|_| insert(&object)).collect();
            for handle in handles {
                take(handle).unwrap();
            }
        };
        std::thread::spawn(churn).join().unwrap();
    }
    assert!(used() < 2_000, "{}", used());
}

#[test]
fn the_slot_that_a_thread_gave_back_last_is_not_lost_with_the_thread() {
    let object = Arc::new(AtomicU32::new(0));
    for _ in 0..30 * TIMES {
        let object = Arc::clone(&object);
        // The first that a thread gives back goes to its list, which it makes room for then.
        let churn = move || (0..2).for_each(|_| take(insert(&object)).map(drop).unwrap());
        std::thread::spawn(churn).join().unwrap();
    }
    assert!(used() < 2_000, "{}", used());
}

#[test]
fn of_threads_that_take_one_object_exactly_one_does() {
    let object = Arc::new(AtomicU32::new(0));
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..300).map(|_| insert(&object)).collect();
        let handles = Arc::new(handles);
        for _ in 0..3 {
            let (handles, barrier) = (Arc::clone(&handles), &barrier);
            scope.spawn(move || {
                barrier.wait();
                for handle in handles.iter() {
                    // Others find the slot filled again, in another generation.
                    if let Ok(taken) = take(*handle) {
                        taken.fetch_add(1, Ordering::Relaxed);
                        take(insert(&taken)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(object.load(Ordering::Relaxed), 300);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn an_object_that_is_read_cannot_be_taken_nor_one_that_is_changed_be_read() {
    let handle = insert(&Arc::default());
    let reading = TABLE.read(handle).unwrap();
    assert!(TABLE.read(handle).is_ok() && take(handle).is_err());
    drop(reading);
    let changing = TABLE.change(handle).unwrap();
    assert!(TABLE.read(handle).is_err() && take(handle).is_err());
    drop(changing);
    assert!(TABLE.change(handle).unwrap().take(|_| None::<()>).is_err());
    assert!(take(handle).is_ok() && take(handle).is_err());
}

#[test]
fn what_is_not_published_is_found_by_nobody_and_dropped() {
    let object = Arc::new(AtomicU32::new(0));
    let filled = TABLE.vacant().unwrap().fill(Arc::clone(&object));
    let handle = filled.slot.generation() << 32 | u64::from(filled.number) << 1;
    assert!(TABLE.read(handle).is_err() && take(handle).is_err());
    drop(filled);
    drop(TABLE.vacant().unwrap());
    assert!(take(handle).is_err());
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn a_slot_whose_generations_are_used_up_is_not_used_again() {
    let handle = insert(&Arc::default());
    let number = handle as u32 >> 1;
    let last = u64::from(u32::MAX) << 32;
    let slot = TABLE.slot(number).unwrap();
    slot.state.store(last, Ordering::Relaxed);
    take(last | handle & 0xffff_ffff).unwrap();
    let next: Vec<_> = (0..100).map(|_| insert(&Arc::default())).collect();
    assert!(next.iter().all(|one| *one as u32 >> 1 != number));
    for handle in next {
        take(handle).unwrap();
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn without_memory_for_more_handles_there_is_an_error_and_no_slot_is_lost() {
    static ALL: Table<[u8; 1 << 16], 0> = Table::new();
    const NAME: &str =
        "table::tests::without_memory_for_more_handles_there_is_an_error_and_no_slot_is_lost";
    if !codeslab_testing::is_child(NAME) {
        let output = codeslab_testing::run_child(NAME, "ulimit -v 600000; exec \"$@\"", &[]);
        return codeslab_testing::assert_passed(&output);
    }
    let mut vacant = Vec::new();
    let refused = loop {
        match ALL.vacant() {
            Ok(one) => vacant.push(one),
            Err(refused) => break refused,
        }
    };
    assert_eq!(crate::failure::run(|| Err(refused)), CODESLAB_OUT_OF_MEMORY);
    assert!(ALL.vacant().is_err(), "there is no memory still");
    let used = ALL.used.load(Ordering::Relaxed);
    assert_eq!(used as usize, vacant.len());
    drop(vacant.pop());
    assert!(ALL.vacant().is_ok(), "what is given back is used again");
}
