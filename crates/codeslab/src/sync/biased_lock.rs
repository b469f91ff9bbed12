//! A lock that costs one thread, its owner, next to nothing: two plain stores and a load.
//!
//! The owner and another thread must not both miss that the other wants in: the owner stores that it is inside and looks whether it is
//! locked out; another thread stores that the owner is locked out and looks whether it is inside. Each side takes a full barrier between storing and looking. The owner
//! leaves its barrier to the other thread, which has the system execute one in all threads of the process
//! (`Platform::process_barrier`); the compiler alone is kept from reordering the owner's accesses. Where no system does that, the owner
//! executes a barrier of its own. The other threads wait for each other at a mutex.
#![allow(unsafe_code, reason = "a lock hands out what it guards")]

use super::{
    AtomicBool, MAY_LEAVE_BARRIERS_TO_OTHERS, Mutex, MutexGuard, Ordering, UnsafeCell, fence,
    yield_now,
};
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

/// A way to make every thread of this process execute a full barrier, if this system has one.
pub(crate) trait ProcessBarrier {
    fn is_available(&self) -> bool;

    fn execute(&self);
}

/// A value that one thread at a time changes: cheaply its owner, at a price any other thread.
#[derive(Debug)]
pub(crate) struct BiasedLock<T> {
    // The owner is inside, or about to look whether it is locked out.
    inside: AtomicBool,
    // Another thread is inside, or waits for the owner to leave.
    locked_out: AtomicBool,
    // Held by every thread that is inside, but for an owner that was not locked out.
    others: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: moving the lock moves the value, which may be sent.
unsafe impl<T: Send> Send for BiasedLock<T> {}
// SAFETY: a shared lock gives the value to one thread at a time, as a `Mutex` does, so it is enough that the value may be sent: a
// reference to it comes from a guard only, there is one guard at a time by the obligations of `lock`, and each thread that enters has
// seen the one before leave (Release in `Guard::drop`, Acquire in `enter` and `lock_out`, or the mutex).
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
    /// - `is_owner` is true for at most one living thread.
    /// - The calling thread holds no guard of this lock.
    /// - What a former owner has done with this lock happens before the present owner's first call, as with thread numbers
    ///   (`thread_id`), which are given back by Release and taken by Acquire.
    #[inline]
    pub(crate) unsafe fn lock(
        &self,
        is_owner: bool,
        barrier: &impl ProcessBarrier,
    ) -> Guard<'_, T> {
        // SAFETY: the caller says that this thread alone is the owner, that it holds no guard, and what happens before.
        let short = is_owner.then(|| unsafe { self.lock_as_owner(barrier) });
        short.flatten().unwrap_or_else(|| Guard {
            lock: self,
            others: Some(self.lock_out(is_owner, barrier)),
        })
    }

    /// The value, for the owner, unless it is locked out: [`BiasedLock::lock`] as far as it is short.
    ///
    /// # Safety
    /// Those of [`BiasedLock::lock`]; and the calling thread is the owner.
    #[inline]
    pub(crate) unsafe fn lock_as_owner(
        &self,
        barrier: &impl ProcessBarrier,
    ) -> Option<Guard<'_, T>> {
        self.inside.store(true, Ordering::Relaxed);
        if MAY_LEAVE_BARRIERS_TO_OTHERS && barrier.is_available() {
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        // If it is not handed out, dropping it tells others that the owner is not inside.
        let guard = Guard {
            lock: self,
            others: None,
        };
        (!self.locked_out.load(Ordering::Acquire)).then_some(guard)
    }

    /// Waits until no other thread is inside: for the mutex, and then, in a thread that is not the owner, for the owner to leave.
    #[cold]
    fn lock_out(&self, is_owner: bool, barrier: &impl ProcessBarrier) -> MutexGuard<'_, ()> {
        // Should a thread have panicked in here, an invariant is broken; going on is no worse than stopping every thread.
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_owner {
            self.locked_out.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if barrier.is_available() {
                barrier.execute();
            }
            while self.inside.load(Ordering::Acquire) {
                yield_now();
            }
        }
        others
    }
}

/// The value, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    lock: &'a BiasedLock<T>,
    // `None` if the owner entered without the mutex.
    others: Option<MutexGuard<'a, ()>>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: there is one guard of the lock at a time, and it is borrowed shared, so no `&mut` to the value exists.
        self.lock.value.with_mut(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is one guard of the lock at a time, and it is borrowed for itself, so no other reference to the value exists.
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
