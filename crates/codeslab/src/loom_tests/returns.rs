//! The queue that many threads fill and one empties.

use super::model;
use crate::sync::remote_frees::{CAPACITY, RemoteFrees};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Takes everything out that is there.
fn drain(returns: &RemoteFrees<u32>, seen: &mut Vec<u32>) {
    // SAFETY: the caller holds the token, and so the right to take out.
    while let Some(value) = unsafe { returns.pop() } {
        seen.push(value);
    }
}

/// Puts values in, and gives back those that were refused.
fn push_all(returns: &RemoteFrees<u32>, values: &[u32]) -> Vec<u32> {
    let refused = values.iter().filter_map(|value| returns.push(*value).err());
    refused.collect()
}

#[test]
fn two_producers_and_two_consumers_in_turn_lose_nothing_and_see_nothing_twice() {
    model(3, || {
        let state = Arc::new((RemoteFrees::default(), Mutex::new(Vec::new())));
        let producers = [1, 2].map(|value| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                state.0.push(value).expect("there is room for both");
                // It takes out, too, as a thread does that has the lock.
                let mut seen = state.1.lock().unwrap();
                if !state.0.is_empty() {
                    drain(&state.0, &mut seen);
                }
            })
        });
        for producer in producers {
            producer.join().unwrap();
        }
        let mut seen = state.1.lock().unwrap();
        seen.sort_unstable();
        assert_eq!(*seen, [1, 2], "whoever comes last finds all");
        assert!(state.0.is_empty());
    });
}

#[test]
fn more_than_there_is_room_for_is_refused_and_not_lost() {
    assert_eq!(CAPACITY, 2);
    model(2, || {
        let returns = Arc::new(RemoteFrees::default());
        let producers = [[1, 2], [3, 4]].map(|values| {
            let returns = Arc::clone(&returns);
            thread::spawn(move || push_all(&returns, &values))
        });
        let mut seen = Vec::new();
        drain(&returns, &mut seen);
        let refused = producers.map(|producer| producer.join().unwrap());
        drain(&returns, &mut seen);
        let accepted = seen.len();
        assert!(accepted >= CAPACITY, "there was room for as many");
        seen.extend(refused.into_iter().flatten());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4]);
    });
}

#[test]
fn slots_are_filled_again_lap_after_lap() {
    model(3, || {
        let returns = Arc::new(RemoteFrees::default());
        let producer = {
            let returns = Arc::clone(&returns);
            thread::spawn(move || push_all(&returns, &[1, 2, 3, 4, 5]))
        };
        let mut seen = Vec::new();
        drain(&returns, &mut seen);
        drain(&returns, &mut seen);
        let refused = producer.join().unwrap();
        drain(&returns, &mut seen);
        assert!(
            seen.is_sorted(),
            "what one thread adds comes out in order: {seen:?}"
        );
        seen.extend(refused);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_queue_is_full_until_something_is_taken_out_and_not_longer() {
    model(3, || {
        let returns = Arc::new(RemoteFrees::default());
        assert!(push_all(&returns, &[1, 2]).is_empty());
        let taken = Arc::new(AtomicBool::new(false));
        let producer = {
            let (returns, taken) = (Arc::clone(&returns), Arc::clone(&taken));
            thread::spawn(move || {
                let must_fit = taken.load(Ordering::Acquire);
                (must_fit, returns.push(3))
            })
        };
        // SAFETY: only this thread takes out.
        assert_eq!(unsafe { returns.pop() }, Some(1));
        taken.store(true, Ordering::Release);
        let (must_fit, pushed) = producer.join().unwrap();
        assert!(!must_fit || pushed.is_ok());
        let mut seen = Vec::new();
        drain(&returns, &mut seen);
        assert_eq!(seen, if pushed.is_ok() { vec![2, 3] } else { vec![2] });
    });
}

#[test]
fn whoever_knows_that_something_was_added_does_not_find_it_empty() {
    model(3, || {
        let returns = Arc::new(RemoteFrees::default());
        let is_added = Arc::new(AtomicBool::new(false));
        let knowing = {
            let (returns, is_added) = (Arc::clone(&returns), Arc::clone(&is_added));
            thread::spawn(move || {
                returns.push(1).unwrap();
                is_added.store(true, Ordering::Release);
            })
        };
        let unknown = {
            let returns = Arc::clone(&returns);
            thread::spawn(move || returns.push(2).unwrap())
        };
        let mut seen = Vec::new();
        if is_added.load(Ordering::Acquire) {
            assert!(!returns.is_empty());
            drain(&returns, &mut seen);
        }
        knowing.join().unwrap();
        assert!(seen.contains(&1) || !returns.is_empty());
        unknown.join().unwrap();
        drain(&returns, &mut seen);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}
