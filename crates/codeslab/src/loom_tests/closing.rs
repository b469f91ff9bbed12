//! What belongs to one thread, and what others hand in for it until it closes: as `pool/shard` has it.

use super::{NoBarrier, model};
use crate::sync::biased_lock::{BiasedLock, Guard};
use crate::sync::remote_frees::{RemoteFrees, Taker};
use loom::sync::Arc;
use loom::thread;

struct Desk {
    taken: BiasedLock<Vec<u32>>,
    returns: RemoteFrees<u32>,
}

impl Desk {
    fn new() -> Self {
        Self {
            taken: BiasedLock::new(Vec::new()),
            returns: RemoteFrees::default(),
        }
    }
}

/// See `Shard::with`.
fn enter(desk: &Desk, is_owner: bool) -> Guard<'_, Vec<u32>> {
    // SAFETY: in each model only the first thread says that it is the owner.
    let mut taken = unsafe { desk.taken.lock(is_owner, &NoBarrier) };
    if !desk.returns.is_empty() {
        // SAFETY: the thread that has the lock is the only one that takes out.
        while let Some(value) = unsafe { desk.returns.pop() } {
            taken.push(value);
        }
    }
    taken
}

/// What a thread does that is not the owner: see `Shard::free_from_elsewhere`.
fn give(desk: &Desk, value: u32) {
    match desk.returns.hand_in(value) {
        Ok(Taker::Next) => {}
        Ok(Taker::Giver) => drop(enter(desk, false)),
        Err(value) => enter(desk, false).push(value),
    }
}

fn givers<const N: usize>(desk: &Arc<Desk>, values: [u32; N]) -> [thread::JoinHandle<()>; N] {
    values.map(|value| {
        let desk = Arc::clone(desk);
        thread::spawn(move || give(&desk, value))
    })
}

/// What arrived, without looking for more: nothing will come.
fn arrived(desk: &Desk) -> Vec<u32> {
    // SAFETY: the other threads have ended.
    let mut taken = unsafe { desk.taken.lock(true, &NoBarrier) };
    taken.sort_unstable();
    taken.clone()
}

#[test]
fn what_is_handed_in_while_it_closes_is_taken_by_whoever_closes_or_by_the_giver() {
    model(4, || {
        let desk = Arc::new(Desk::new());
        let givers = givers(&desk, [1]);
        desk.returns.close();
        drop(enter(&desk, true));
        for giver in givers {
            giver.join().unwrap();
        }
        assert_eq!(arrived(&desk), [1]);
    });
}

#[test]
fn nothing_is_left_behind_by_two_givers_and_an_owner_who_closes() {
    model(2, || {
        let desk = Arc::new(Desk::new());
        let givers = givers(&desk, [1, 2]);
        desk.returns.close();
        drop(enter(&desk, true));
        for giver in givers {
            giver.join().unwrap();
        }
        assert_eq!(arrived(&desk), [1, 2]);
    });
}

#[test]
fn nothing_is_left_behind_when_somebody_else_closes_while_the_owner_works() {
    model(2, || {
        let desk = Arc::new(Desk::new());
        let closer = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                desk.returns.close();
                drop(enter(&desk, false));
            })
        };
        let givers = givers(&desk, [1]);
        enter(&desk, true).push(2);
        closer.join().unwrap();
        for giver in givers {
            giver.join().unwrap();
        }
        assert_eq!(arrived(&desk), [1, 2]);
    });
}

#[test]
fn what_a_giver_did_before_is_known_to_whoever_takes() {
    model(4, || {
        let desk = Arc::new(Desk::new());
        // Stands for the bytes of a span, which the giver has cleaned.
        let bytes = Arc::new(loom::cell::UnsafeCell::new(0));
        let giver = {
            let (desk, bytes) = (Arc::clone(&desk), Arc::clone(&bytes));
            thread::spawn(move || {
                // SAFETY: no other thread touches it before it is handed in.
                bytes.with_mut(|bytes| unsafe { *bytes = 7 });
                give(&desk, 1);
            })
        };
        let taken = !enter(&desk, true).is_empty();
        if taken {
            // SAFETY: it was handed in.
            assert_eq!(bytes.with_mut(|bytes| unsafe { *bytes }), 7);
        }
        giver.join().unwrap();
    });
}
