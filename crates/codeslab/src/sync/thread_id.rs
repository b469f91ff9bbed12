//! Which thread this is: a small number that no other living thread has.
//!
//! A thread owns the shard with its number (`pool::shard`). It gets the number when it first asks; when it ends, another thread gets it and goes
//! on with the shard: numbers are given back by Release and taken by Acquire, so that thread knows of everything that the one before has
//! done. If there are more threads than numbers, the others share numbers with them, and own nothing.

use super::{AtomicU64, Ordering};
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;

/// As many threads at once have a number of their own.
pub(crate) const MOST: usize = 64;

static NUMBERS: LazyLock<Numbers> = LazyLock::new(Numbers::default);

thread_local! {
    // Below `MOST` if no other living thread has it, or else `MOST` more than a number that several may have; `UNKNOWN` at first.
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease(NUMBERS.take());
}

const UNKNOWN: usize = usize::MAX;

/// This thread's number, below [`MOST`].
#[inline]
pub(crate) fn number() -> usize {
    let number = NUMBER.get();
    if number < MOST {
        number
    } else {
        shared_number(number)
    }
}

/// Whether this thread has this number, below [`MOST`], for itself.
#[inline]
pub(crate) fn is_own(number: usize) -> bool {
    NUMBER.get() == number
}

/// Whether some living thread has this number for itself.
pub(crate) fn is_taken(number: usize) -> bool {
    NUMBERS.is_taken(number)
}

#[cold]
fn shared_number(number: usize) -> usize {
    if number != UNKNOWN {
        return number - MOST;
    }
    NUMBER.set(take_number());
    self::number()
}

fn take_number() -> usize {
    static OTHERS: AtomicUsize = AtomicUsize::new(0);
    // A thread that is ending has no place for a lease any more.
    let own = LEASE.try_with(|lease| lease.0).ok().flatten();
    own.unwrap_or_else(|| MOST + OTHERS.fetch_add(1, Ordering::Relaxed) % MOST)
}

/// Numbers below [`MOST`], each of which one thread has at a time.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    // Bit i is set while a thread has the number i.
    taken: AtomicU64,
}

impl Numbers {
    /// The smallest number that no thread has.
    pub(crate) fn take(&self) -> Option<usize> {
        let taken = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
                (taken != u64::MAX).then(|| taken | (taken + 1))
            });
        // The lowest bit that was not set.
        taken.ok().map(|before| before.trailing_ones() as usize)
    }

    pub(crate) fn give_back(&self, number: usize) {
        self.taken.fetch_and(!(1 << number), Ordering::Release);
    }

    fn is_taken(&self, number: usize) -> bool {
        self.taken.load(Ordering::Relaxed) >> number & 1 == 1
    }
}

/// Gives a thread's number back when the thread ends.
struct Lease(Option<usize>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            NUMBER.set(MOST + number);
            NUMBERS.give_back(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_threads_have_different_numbers_and_a_thread_that_ends_leaves_its_number_to_another() {
        let number = || {
            let number = number();
            (number, is_own(number))
        };
        let (mine, is_own_number) = number();
        assert!(is_own_number && is_taken(mine));
        let first = std::thread::spawn(number).join().unwrap();
        assert!(first.1 && first.0 != mine);
        let barrier = std::sync::Barrier::new(200);
        let many: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..200)
                .map(|_| {
                    scope.spawn(|| {
                        let number = number();
                        barrier.wait();
                        number
                    })
                })
                .collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut own: Vec<_> = many
            .iter()
            .filter(|(_, is_own)| *is_own)
            .map(|(number, _)| *number)
            .collect();
        own.sort_unstable();
        own.dedup();
        assert_eq!(own.len(), many.iter().filter(|(_, is_own)| *is_own).count());
        assert!(!own.contains(&mine) && many.iter().all(|(number, _)| *number < MOST));
    }
}
