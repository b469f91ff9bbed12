//! Code that can be called, and the question when its memory may go.
//!
//! Freeing is a request: it takes effect for new calls at once, and for the memory when the last call that is still running
//! has returned. Calls can be running when code is freed: the code calls back into the program, which frees it, or another
//! thread does. One atomic word holds both facts, so a call costs two atomic additions and no lock. Bindings keep a
//! [`Callable`] of whatever owns the memory, and have it entered for the time of each call.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Set in [`Callable::state`] once it has been freed; the bits below count running calls.
const FREED: u64 = 1 << 63;

/// Something that owns code, such as an allocation, and is dropped when it has been freed and no call is running any more.
#[derive(Debug)]
pub struct Callable<T> {
    state: AtomicU64,
    // Invariant: `Some` until it has been freed and no call is running.
    owner: Mutex<Option<T>>,
}

/// A call that is running: the code stays while this lives.
#[derive(Debug)]
pub struct Running<'a, T>(&'a Callable<T>);

impl<T> Drop for Running<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T> Callable<T> {
    /// Takes what owns the code.
    pub const fn new(owner: T) -> Self {
        Self {
            state: AtomicU64::new(0),
            owner: Mutex::new(Some(owner)),
        }
    }

    /// Begins a call; `None` once it has been freed.
    #[inline]
    pub fn enter(&self) -> Option<Running<'_, T>> {
        // Acquire pairs with the release in `free`: a thread that sees no FREED calls code that is still there.
        let before = self.state.fetch_add(1, Ordering::Acquire);
        let running = Running(self);
        (before & FREED == 0).then_some(running)
    }

    #[inline]
    fn leave(&self) {
        // Release: what the call did happens before the memory goes.
        if self.state.fetch_sub(1, Ordering::Release) == FREED | 1 {
            fence(Ordering::Acquire);
            self.release();
        }
    }

    /// Refuses new calls and drops the owner as soon as no call is running. `false` if that was done before.
    pub fn free(&self) -> bool {
        let before = self.state.fetch_or(FREED, Ordering::AcqRel);
        if before == 0 {
            self.release();
        }
        before & FREED == 0
    }

    /// Whether it has been freed.
    pub fn is_freed(&self) -> bool {
        self.state.load(Ordering::Acquire) & FREED != 0
    }

    /// Whether a call is running that has entered. After a barrier of all threads, one that is not seen here begins later.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state.load(Ordering::SeqCst) & !FREED != 0
    }

    /// Looks at the owner; `None` once it has been freed.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        if self.is_freed() {
            return None;
        }
        self.owner().as_ref().map(look)
    }

    /// Several threads may get here (one whose call came too late, and the one that freed): the first one drops the owner.
    #[cold]
    fn release(&self) {
        let owner = self.owner().take();
        drop(owner);
    }

    fn owner(&self) -> MutexGuard<'_, Option<T>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request};

    /// A memory, and one callable allocation in it.
    fn publish() -> (CodeMemory, Callable<Allocation>) {
        let memory = CodeMemory::new(Options::default()).unwrap();
        let mut layout = Layout::new();
        layout.add(Protection::ReadWrite, 16, 16).unwrap();
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let allocation = in_flight.finalize().unwrap();
        (memory, Callable::new(allocation))
    }

    #[test]
    fn memory_is_released_at_once_when_no_call_is_running() {
        let (memory, callable) = publish();
        assert_eq!(memory.stats().live, 1);
        assert!(callable.free());
        assert_eq!(memory.stats().live, 0);
        assert!(!callable.free(), "it was freed before");
        assert!(callable.enter().is_none());
    }

    #[test]
    fn the_last_call_that_returns_releases_the_memory() {
        let (memory, callable) = publish();
        let (first, second) = (callable.enter().unwrap(), callable.enter().unwrap());
        assert!(callable.free());
        assert!(callable.enter().is_none(), "no call begins any more");
        assert!(callable.read(|_| ()).is_none());
        drop(first);
        assert_eq!(memory.stats().live, 1);
        drop(second);
        assert_eq!(memory.stats().live, 0);
    }

    #[test]
    fn calls_and_frees_of_many_threads_release_once() {
        for _ in 0..200 {
            let (memory, callable) = publish();
            let frees = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..50).for_each(|_| drop(callable.enter()));
                            callable.free()
                        })
                    })
                    .collect();
                let freed = threads.into_iter().map(|thread| thread.join().unwrap());
                freed.filter(|freed| *freed).count()
            });
            assert_eq!((frees, memory.stats().live), (1, 0));
        }
    }
}
