//! Remote frees: what other threads free of a shard, in a bounded queue that many threads fill and one empties, without a lock.
//!
//! A thread that frees an allocation of another thread's shard clears its memory itself and leaves the rest here; the owner of the shard takes
//! it out when it comes by, under the lock of the shard (`biased_lock`), which is what makes it one thread at a time. When the shard is
//! closed, a thread that adds something takes it out itself, so nothing stays behind.
//!
//! The queue is D. Vyukov's bounded one, with one consumer: each slot has a turn. At the even turn `2 * lap` the thread that has the
//! ticket of that slot and lap fills it; at the odd turn after it, the consumer empties it.
#![allow(unsafe_code, reason = "a slot is for the thread whose turn it is")]

use super::{AtomicBool, AtomicUsize, Ordering, UnsafeCell, fence};

/// As many values may wait. Threads that free more wait for the shard's lock instead.
#[cfg(not(loom))]
pub(crate) const CAPACITY: usize = 64;
#[cfg(loom)]
pub(crate) const CAPACITY: usize = 2;

#[derive(Debug)]
pub(crate) struct RemoteFrees<T> {
    slots: Box<[Slot<T>]>,
    // Tickets that were taken to fill a slot, and slots that were emptied.
    filled: AtomicUsize,
    emptied: AtomicUsize,
    // No thread is certain to take values out any more.
    is_closed: AtomicBool,
}

/// Which thread takes out a value that was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Taker {
    /// The next thread that enters the shard, as its owner does with each request.
    Next,
    /// The thread that handed it in, which has to do so now, since no other is certain to.
    Giver,
}

#[derive(Debug)]
struct Slot<T> {
    turn: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: a shared queue moves values between threads, which may be sent, and refers to none: a slot is touched by the one thread that
// has its ticket or by the one consumer, whichever has the turn, and each has seen the one before finish (Release and Acquire of the turn).
unsafe impl<T: Send> Sync for RemoteFrees<T> {}
// SAFETY: moving the queue moves its values, which may be sent.
unsafe impl<T: Send> Send for RemoteFrees<T> {}

impl<T> Default for RemoteFrees<T> {
    fn default() -> Self {
        let slot = |_| Slot {
            turn: AtomicUsize::new(0),
            value: UnsafeCell::new(None),
        };
        Self {
            slots: (0..CAPACITY).map(slot).collect(),
            filled: AtomicUsize::new(0),
            emptied: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl<T> RemoteFrees<T> {
    /// Adds a value, or gives it back if there is no room, and tells which thread takes it out. That thread may let go of the last other
    /// thing that keeps this queue alive, so the caller keeps it alive.
    pub(crate) fn hand_in(&self, value: T) -> Result<Taker, T> {
        self.push(value)?;
        // Either this thread sees that the queue is closed, or the thread that closed it finds the value when it empties it then.
        fence(Ordering::SeqCst);
        let taker = if self.is_closed() {
            Taker::Giver
        } else {
            Taker::Next
        };
        Ok(taker)
    }

    /// Says that no thread is certain to take values out any more. The caller empties the queue once more afterwards.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Adds a value, or gives it back if there is no room.
    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let mut ticket = self.filled.load(Ordering::Relaxed);
        loop {
            let slot = &self.slots[ticket % CAPACITY];
            let turn = ticket / CAPACITY * 2;
            if slot.turn.load(Ordering::Acquire) != turn {
                let now = self.filled.load(Ordering::Relaxed);
                if now == ticket {
                    return Err(value);
                }
                ticket = now;
                continue;
            }
            let (filled, order) = (&self.filled, Ordering::Relaxed);
            match filled.compare_exchange_weak(ticket, ticket + 1, order, order) {
                Ok(_) => {
                    // SAFETY: this thread alone has the ticket of this slot in this lap, the slot's turn says that it was emptied, and
                    // the consumer does not touch it before the next turn.
                    slot.value.with_mut(|slot| unsafe { *slot = Some(value) });
                    slot.turn.store(turn + 1, Ordering::Release);
                    return Ok(());
                }
                Err(now) => ticket = now,
            }
        }
    }

    /// Whether nothing waits, as far as this thread can know.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled.load(Ordering::Relaxed) == self.emptied.load(Ordering::Relaxed)
    }

    /// Takes the oldest value out. A value that is being added may be missed.
    ///
    /// # Safety
    /// - One thread at a time does that, as the one that holds the lock of the shard.
    /// - What the thread that did so before has done happens before.
    pub(crate) unsafe fn pop(&self) -> Option<T> {
        let ticket = self.emptied.load(Ordering::Relaxed);
        let slot = &self.slots[ticket % CAPACITY];
        let turn = ticket / CAPACITY * 2 + 1;
        if slot.turn.load(Ordering::Acquire) != turn {
            return None;
        }
        // SAFETY: the slot's turn says that it is filled, the thread of the next lap does not fill it before the next turn, and this is the
        // one thread that empties slots.
        let value = slot.value.with_mut(|slot| unsafe { (*slot).take() });
        slot.turn.store(turn + 1, Ordering::Release);
        self.emptied.store(ticket + 1, Ordering::Relaxed);
        value
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_in_order_and_one_that_finds_no_room_is_given_back() {
        let frees = RemoteFrees::default();
        for lap in 0..5 {
            for value in 0..CAPACITY {
                frees.push((lap, value)).unwrap();
            }
            assert_eq!(frees.push((lap, 99)), Err((lap, 99)));
            for value in 0..CAPACITY {
                assert!(!frees.is_empty());
                // SAFETY: this test has one thread.
                assert_eq!(unsafe { frees.pop() }, Some((lap, value)));
            }
            // SAFETY: this test has one thread.
            assert_eq!(unsafe { frees.pop() }, None);
            assert!(frees.is_empty());
        }
    }

    #[test]
    fn values_that_many_threads_add_at_once_come_out_once_each() {
        /// Miri takes thousands of times as long.
        const EACH: usize = if cfg!(miri) { 50 } else { 5_000 };
        let frees = RemoteFrees::default();
        let mut seen = vec![0; 4 * EACH];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let frees = &frees;
                scope.spawn(move || {
                    for index in 0..EACH {
                        let mut value = thread * EACH + index;
                        while let Err(back) = frees.push(value) {
                            value = back;
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let mut left = seen.len();
            while left > 0 {
                // SAFETY: of the threads of this test, this one alone takes values out.
                match unsafe { frees.pop() } {
                    Some(value) => {
                        seen[value] += 1;
                        left -= 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        assert!(seen.into_iter().all(|times| times == 1));
    }
}
