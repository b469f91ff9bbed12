//! The lock that is biased to its owner.

use super::{NoBarrier, model};
use crate::sync::biased_lock::BiasedLock;
use crate::sync::thread_id::Numbers;
use loom::sync::Arc;
use loom::thread;

/// Takes the lock and counts one. The model checker reports a thread that does not know of all counts before its own.
fn count(lock: &BiasedLock<u32>, is_owner: bool) {
    // SAFETY: at most one thread says that it is the owner: see the models.
    *unsafe { lock.lock(is_owner, &NoBarrier) } += 1;
}

fn counted(lock: &BiasedLock<u32>) -> u32 {
    // SAFETY: the others have ended.
    *unsafe { lock.lock(true, &NoBarrier) }
}

#[test]
fn owner_and_two_others_exclude_each_other_and_see_what_each_other_wrote() {
    model(3, || {
        let lock = Arc::new(BiasedLock::new(0));
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || count(&lock, false))
        });
        count(&lock, true);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(counted(&lock), 3);
    });
}

#[test]
fn the_owner_comes_back_while_another_is_there() {
    model(4, || {
        let lock = Arc::new(BiasedLock::new(0));
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || count(&lock, false))
        };
        count(&lock, true);
        count(&lock, true);
        other.join().unwrap();
        assert_eq!(counted(&lock), 3);
    });
}

/// What a thread does in its life: it takes a number, is the owner if that is the owner's, and gives the number back.
fn live(numbers: &Numbers, lock: &BiasedLock<u32>) {
    let number = numbers.take().expect("there are enough for all threads");
    count(lock, number == 0);
    numbers.give_back(number);
}

#[test]
fn threads_that_are_the_owner_one_after_the_other_know_of_each_other() {
    model(3, || {
        let state = Arc::new((Numbers::default(), BiasedLock::new(0)));
        let others = [(); 2].map(|()| {
            let state = Arc::clone(&state);
            thread::spawn(move || live(&state.0, &state.1))
        });
        live(&state.0, &state.1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(counted(&state.1), 3);
    });
}
