//! What other threads give back to a shard: a ring of places that many threads fill and one empties, without a lock.
//!
//! Each slot has a turn. At an even turn `2 * lap` it may be filled in lap `lap` by whoever takes that ticket; at the odd turn after
//! it, it may be emptied. (D. Vyukov's bounded queue, with one consumer.)
#![allow(unsafe_code, reason = "a slot is whose turn it is")]

use crate::sync::{AtomicBool, AtomicUsize, Ordering, UnsafeCell, fence};

/// As many may wait. The threads that give back more wait for the lock instead.
#[cfg(not(loom))]
pub(crate) const CAPACITY: usize = 64;
#[cfg(loom)]
pub(crate) const CAPACITY: usize = 2;

/// A queue of at most [`CAPACITY`] values.
#[derive(Debug)]
pub(crate) struct RemoteFrees<T> {
    slots: Box<[Slot<T>]>,
    // Tickets that were taken to fill a slot, and slots that were emptied.
    filled: AtomicUsize,
    emptied: AtomicUsize,
    // Nobody is certain to look into it any more.
    is_closed: AtomicBool,
}

/// Who takes out what was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Taker {
    /// Whoever is the next to look.
    Next,
    /// The one who handed it in: it has to look now.
    Giver,
}

#[derive(Debug)]
struct Slot<T> {
    turn: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: values are handed from one thread to another, each slot's by its turn.
unsafe impl<T: Send> Sync for RemoteFrees<T> {}
// SAFETY: likewise.
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
    /// Adds a value, or gives it back if there is no room. Whoever takes it out may let go of the last thing that keeps this queue
    /// alive, so the caller keeps it alive by something else.
    pub(crate) fn hand_in(&self, value: T) -> Result<Taker, T> {
        self.push(value)?;
        // Either this thread sees that the queue is closed, or whoever looks into it after closing it finds the value.
        fence(Ordering::SeqCst);
        let taker = if self.is_closed() {
            Taker::Giver
        } else {
            Taker::Next
        };
        Ok(taker)
    }

    /// Says that nobody is certain to look into it any more, but for the caller, who does so afterwards.
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
            let taken = self.filled.compare_exchange_weak(
                ticket,
                ticket + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match taken {
                Ok(_) => {
                    // SAFETY: whoever has the ticket fills the slot, and nobody empties it before its turn.
                    slot.value.with_mut(|there| unsafe { *there = Some(value) });
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
    /// One thread at a time does that, and knows of what the one before has done.
    pub(crate) unsafe fn pop(&self) -> Option<T> {
        let ticket = self.emptied.load(Ordering::Relaxed);
        let slot = &self.slots[ticket % CAPACITY];
        let turn = ticket / CAPACITY * 2 + 1;
        if slot.turn.load(Ordering::Acquire) != turn {
            return None;
        }
        // SAFETY: the slot is filled, and nobody fills it again before its turn; nobody else empties it.
        let value = slot.value.with_mut(|there| unsafe { (*there).take() });
        slot.turn.store(turn + 1, Ordering::Release);
        self.emptied.store(ticket + 1, Ordering::Relaxed);
        value
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn gives_out_what_it_took_in_order_and_refuses_what_is_too_much() {
        let returns = RemoteFrees::default();
        for lap in 0..5 {
            for value in 0..CAPACITY {
                returns.push((lap, value)).unwrap();
            }
            assert_eq!(returns.push((lap, 99)), Err((lap, 99)));
            for value in 0..CAPACITY {
                assert!(!returns.is_empty());
                // SAFETY: this is the only thread.
                assert_eq!(unsafe { returns.pop() }, Some((lap, value)));
            }
            // SAFETY: likewise.
            assert_eq!(unsafe { returns.pop() }, None);
            assert!(returns.is_empty());
        }
    }

    #[test]
    fn what_many_threads_add_at_once_comes_out_once_each() {
        let returns = RemoteFrees::default();
        let mut seen = vec![0; 4 * 5_000];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let returns = &returns;
                scope.spawn(move || {
                    for index in 0..5_000 {
                        let mut value = thread * 5_000 + index;
                        while let Err(back) = returns.push(value) {
                            value = back;
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let mut left = seen.len();
            while left > 0 {
                // SAFETY: only this thread takes out.
                match unsafe { returns.pop() } {
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
