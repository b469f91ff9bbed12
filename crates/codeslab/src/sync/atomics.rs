//! What threads share data through: the standard library's, or those of the model checker (`--cfg loom`) that tries every
//! order in which they may act.

/// Whether a thread can leave a barrier to others that make it execute one. The model checker and `ThreadSanitizer` (`--cfg tsan`)
/// know of no such thing.
pub(crate) const MAY_LEAVE_BARRIERS_TO_OTHERS: bool = cfg!(not(any(loom, tsan)));

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

/// Zeroed words. Many of them are address space until they are touched, unlike those of `Vec::resize`; unlike those of `vec!`
/// a lack of memory does not end the process.
#[cfg(not(loom))]
#[allow(
    unsafe_code,
    reason = "the standard library has no stable way to do both"
)]
#[expect(
    clippy::cast_ptr_alignment,
    reason = "memory with the layout of words is aligned for words"
)]
pub(crate) fn zeroed_words(length: usize) -> Option<Box<[AtomicU64]>> {
    let layout = std::alloc::Layout::array::<AtomicU64>(length).ok()?;
    debug_assert!(layout.size() > 0, "every set has a word");
    // SAFETY: the layout is not empty.
    let start = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<AtomicU64>();
    let words = std::ptr::slice_from_raw_parts_mut(start, length);
    // SAFETY: the memory comes from the global allocator with the layout of these words, and zero is a word.
    (!start.is_null()).then(|| unsafe { Box::from_raw(words) })
}

#[cfg(loom)]
pub(crate) fn zeroed_words(length: usize) -> Option<Box<[AtomicU64]>> {
    Some((0..length).map(|_| AtomicU64::new(0)).collect())
}

/// Memory that whoever holds the right may change through a shared reference. The interface is the model checker's.
#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Hands out where the value is.
    pub(crate) fn with_mut<R>(&self, act: impl FnOnce(*mut T) -> R) -> R {
        act(self.0.get())
    }
}
