//! A lock that costs its owner, one thread, next to nothing: two plain stores and a load.
//!
//! Owner and others must not both miss that the other is there: the owner says that it is inside and looks whether somebody
//! has locked it out; the others lock it out and look whether it is inside. That takes a full barrier on both sides between
//! saying and looking. The owner's can be left to the others: a system that makes all threads of the process
//! execute a barrier (`Platform::process_barrier`) makes the owner's, at any point where that matters, and the compiler is kept
//! from reordering. Where no system does that, the owner executes its own.
#![allow(unsafe_code, reason = "a lock hands out what it guards")]

use crate::sync::{
    AtomicBool, MAY_LEAVE_BARRIERS_TO_OTHERS, Mutex, MutexGuard, Ordering, UnsafeCell, fence,
    yield_now,
};
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

/// What makes every thread of this process execute a full barrier.
pub(crate) trait ProcessBarrier {
    /// Whether there is such a thing here.
    fn is_available(&self) -> bool;

    /// Does it.
    fn execute(&self);
}

/// A value that its owner and, at a price, others change.
#[derive(Debug)]
pub(crate) struct BiasedLock<T> {
    // The owner is inside, or about to look whether it may be.
    inside: AtomicBool,
    // Somebody else is inside, or waits for the owner to leave.
    locked_out: AtomicBool,
    // Held by everybody who is inside but an owner who was not locked out.
    others: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is handed from one thread to the next, and reached by one at a time.
unsafe impl<T: Send> Send for BiasedLock<T> {}
// SAFETY: likewise; nobody gets a shared reference without the lock.
unsafe impl<T: Send> Sync for BiasedLock<T> {}

impl<T> BiasedLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inside: AtomicBool::new(false),
            locked_out: AtomicBool::new(false),
            others: Mutex::new(()),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the value and takes it.
    ///
    /// # Safety
    /// At most one living thread says that it is the owner, and it holds no guard yet. Who becomes the owner knows of everything that
    /// the one before has done.
    #[inline]
    pub(crate) unsafe fn lock(
        &self,
        is_owner: bool,
        barrier: &impl ProcessBarrier,
    ) -> Guard<'_, T> {
        let entered = is_owner && self.enter(barrier.is_available());
        let others = (!entered).then(|| self.lock_out(is_owner, barrier));
        Guard { lock: self, others }
    }

    /// The value, for the owner, unless it is locked out: [`BiasedLock::lock`] as far as it is short.
    ///
    /// # Safety
    /// Those of [`BiasedLock::lock`], and the caller is the owner.
    #[inline]
    pub(crate) unsafe fn lock_as_owner(
        &self,
        barrier: &impl ProcessBarrier,
    ) -> Option<Guard<'_, T>> {
        let entered = self.enter(barrier.is_available());
        entered.then_some(Guard {
            lock: self,
            others: None,
        })
    }

    /// Lets the owner in, unless it is locked out.
    #[inline]
    fn enter(&self, has_barrier: bool) -> bool {
        self.inside.store(true, Ordering::Relaxed);
        owners_barrier(has_barrier);
        let enters = !self.locked_out.load(Ordering::Acquire);
        if !enters {
            self.inside.store(false, Ordering::Release);
        }
        enters
    }

    #[cold]
    fn lock_out(&self, is_owner: bool, barrier: &impl ProcessBarrier) -> MutexGuard<'_, ()> {
        // Nothing panics while it is held, but for a broken invariant of ours; going on is no worse than stopping everybody.
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_owner {
            self.locked_out.store(true, Ordering::Relaxed);
            others_barrier(barrier);
            while self.inside.load(Ordering::Acquire) {
                yield_now();
            }
        }
        others
    }
}

/// Keeps what the owner says before what it reads.
#[inline]
fn owners_barrier(has_barrier: bool) {
    if MAY_LEAVE_BARRIERS_TO_OTHERS && has_barrier {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

fn others_barrier(barrier: &impl ProcessBarrier) {
    fence(Ordering::SeqCst);
    if barrier.is_available() {
        barrier.execute();
    }
}

/// The value, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    lock: &'a BiasedLock<T>,
    // There unless the owner entered the short way.
    others: Option<MutexGuard<'a, ()>>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has the guard is alone inside.
        self.lock.value.with_mut(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: whoever has the guard is alone inside.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.others.is_none() {
            self.lock.inside.store(false, Ordering::Release);
        } else {
            self.lock.locked_out.store(false, Ordering::Release);
        }
    }
}
