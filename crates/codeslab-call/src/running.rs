//! Code that can be called, and the question when its memory may go.
//!
//! Freeing is a request: it takes effect for new calls at once, and for the memory when the last call that is still running
//! has returned. Calls can be running when code is freed: the code calls back into the program, which frees it, or another
//! thread does. One atomic word holds both facts, so a call costs two atomic additions and no lock. Bindings keep a
//! [`Callable`] of whatever owns the memory, and have it entered for the time of each call.

use crate::fast::FastTable;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Set in [`Shared::state`] once it has been freed; the bits below count running calls.
const FREED: u64 = 1 << 63;

/// Something that owns code, such as an allocation, and is dropped when it has been freed and no call is running any more.
#[derive(Debug)]
pub struct Callable<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: AtomicU64,
    // Invariant: `Some` until it has been freed and no call is running.
    owner: Mutex<Option<T>>,
    /// Where threads call it without counting. Those that are open when it is freed are closed then.
    entrances: Mutex<Vec<(Arc<FastTable>, u32)>>,
}

/// A call that is running: the code stays while this lives.
#[derive(Debug)]
pub struct Running<'a, T> {
    shared: &'a Shared<T>,
    /// The table that says so; the call is counted if there is none.
    table: Option<&'a FastTable>,
    /// It ends on the thread that began it.
    thread: PhantomData<*const ()>,
}

/// A call that is running and that another thread may end.
#[derive(Debug)]
pub struct Entered<T>(Arc<Shared<T>>);

impl<T> Drop for Entered<T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A number by which one thread calls something without counting. Dropping it closes the number.
#[derive(Debug)]
pub struct Entrance<T> {
    shared: Arc<Shared<T>>,
    table: Arc<FastTable>,
    number: u32,
    /// It stays on the thread of the table.
    thread: PhantomData<*const ()>,
}

impl<T> Drop for Running<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match self.table {
            Some(table) => table.end(),
            None => self.shared.leave(),
        }
    }
}

impl<T> Callable<T> {
    /// Takes what owns the code.
    pub fn new(owner: T) -> Self {
        Self(Arc::new(Shared {
            state: AtomicU64::new(0),
            owner: Mutex::new(Some(owner)),
            entrances: Mutex::default(),
        }))
    }

    /// Begins a call; `None` once it has been freed.
    #[inline]
    #[must_use]
    pub fn enter(&self) -> Option<Running<'_, T>> {
        self.0.begin()
    }

    /// Begins a call that may end on another thread; `None` once it has been freed.
    #[must_use]
    pub fn enter_for_long(&self) -> Option<Entered<T>> {
        let before = self.0.enter();
        let entered = Entered(Arc::clone(&self.0));
        (before & FREED == 0).then_some(entered)
    }

    /// Whether it has been freed.
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.0.state.load(Ordering::Acquire) & FREED != 0
    }

    /// Whether a call is running, counted or not. After a barrier of all threads, one that is not seen here begins later.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let entrances = || lock(&self.0.entrances);
        self.0.state.load(Ordering::SeqCst) & !FREED != 0
            || entrances()
                .iter()
                .any(|(table, number)| table.is_calling(*number))
    }

    /// Looks at the owner; `None` once it has been freed.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        if self.is_freed() {
            return None;
        }
        lock(&self.0.owner).as_ref().map(look)
    }
}

impl<T: Send + 'static> Callable<T> {
    /// Refuses new calls and drops the owner as soon as no call is running. `false` if that was done before.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers free what they know to be there"
    )]
    pub fn free(&self) -> bool {
        // Counted as a call until all that are running are counted: calls that come too late must not release it before.
        self.0.enter();
        let before = self.0.state.fetch_or(FREED, Ordering::AcqRel);
        if before & FREED == 0 {
            Shared::close_entrances(&self.0);
        }
        self.0.leave();
        before & FREED == 0
    }

    /// A number of `table` by which its thread calls `target`, which lies in this code. `None` if there is none left, the code has
    /// been freed, or this is another thread.
    pub fn open(&self, table: &Arc<FastTable>, target: u64) -> Option<Entrance<T>> {
        if !table.is_here() {
            return None;
        }
        let mut entrances = lock(&self.0.entrances);
        // `free` takes the entrances after it has said so: it closes what is entered here, or is seen here.
        if self.is_freed() {
            return None;
        }
        let number = table.open(target)?;
        entrances.push((Arc::clone(table), number));
        Some(Entrance {
            shared: Arc::clone(&self.0),
            table: Arc::clone(table),
            number,
            thread: PhantomData,
        })
    }
}

impl<T> Entrance<T> {
    /// The number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// As [`Callable::enter`], without a word that other threads write to, unless the thread is in such a call already: then it is counted.
    #[inline]
    #[must_use]
    pub fn enter(&self) -> Option<Running<'_, T>> {
        if !self.table.begin(self.number) {
            return self.shared.begin();
        }
        let running = Running {
            shared: &self.shared,
            table: Some(&self.table),
            thread: PhantomData,
        };
        // Acquire pairs with the release in `free`, as it does where calls are counted.
        let is_freed = self.shared.state.load(Ordering::Acquire) & FREED != 0;
        (!is_freed).then_some(running)
    }
}

impl<T> Drop for Entrance<T> {
    fn drop(&mut self) {
        let mut entrances = lock(&self.shared.entrances);
        let is_this = |(table, number): &(Arc<FastTable>, u32)| {
            Arc::ptr_eq(table, &self.table) && *number == self.number
        };
        if let Some(index) = entrances.iter().position(is_this) {
            entrances.swap_remove(index);
        }
        drop(entrances);
        self.table.close(self.number);
        self.table.give_back(self.number);
    }
}

impl<T> Shared<T> {
    /// Begins a call that is counted; `None` once it has been freed.
    #[inline]
    fn begin(&self) -> Option<Running<'_, T>> {
        let before = self.enter();
        let running = Running {
            shared: self,
            table: None,
            thread: PhantomData,
        };
        (before & FREED == 0).then_some(running)
    }

    /// Counts a call, and says what the state was.
    #[inline]
    fn enter(&self) -> u64 {
        // Acquire pairs with the release in `free`: a thread that sees no FREED calls code that is still there.
        self.state.fetch_add(1, Ordering::Acquire)
    }

    #[inline]
    fn leave(&self) {
        // Release: what the call did happens before the memory goes.
        if self.state.fetch_sub(1, Ordering::Release) == FREED | 1 {
            fence(Ordering::Acquire);
            self.release();
        }
    }

    /// Several threads may get here (one whose call came too late, and the one that freed): the first one drops the owner.
    #[cold]
    fn release(&self) {
        let owner = lock(&self.owner).take();
        drop(owner);
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Closes all entrances of code that has been freed, and counts the calls that are running by them.
    fn close_entrances(shared: &Arc<Self>) {
        // Closed under the lock: a number that is dropped meanwhile could already be that of other code.
        let mut open = lock(&shared.entrances);
        open.iter().for_each(|(table, number)| table.close(*number));
        let entrances = std::mem::take(&mut *open);
        drop(open);
        // A thread says which number it calls before its thunk looks for the address. If the thunk saw the old one, that shows now: to the
        // thread itself in any case, to others after a barrier.
        let elsewhere = entrances.iter().find(|(table, _)| !table.is_here());
        if let Some((table, _)) = elsewhere {
            table.barrier();
        }
        for (table, number) in &entrances {
            table.await_return(*number, || {
                shared.enter();
                let shared = Arc::clone(shared);
                Box::new(move || shared.leave())
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
