//! Atomics, locks and cells: the standard library's, or those of the model checker (`--cfg loom`), which tries the orders in which
//! threads may act. What is modelled takes them from here, by way of `sync`; counters are the standard library's. The cell's interface is
//! the model checker's, which has to see each access begin and end.

#[cfg(loom)]
use loom as threads;
#[cfg(not(loom))]
use std as threads;

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
pub(crate) use threads::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use threads::sync::{Mutex, MutexGuard};
pub(crate) use threads::thread::yield_now;

/// Whether a thread can leave its barrier to another thread that makes it execute one. The model checker and `ThreadSanitizer`
/// (`--cfg tsan`) know of no such thing.
pub(crate) const MAY_LEAVE_BARRIERS_TO_OTHERS: bool = cfg!(not(any(loom, tsan)));

/// Whether zeroed memory is words. Those of the model checker are more.
pub(crate) const ARE_PLAIN_WORDS: bool = cfg!(not(loom));

/// Zeroed words: address space until they are touched, unlike those of `Vec::resize`, and `None` if there is no memory, unlike `vec!`.
#[cfg(not(loom))]
#[allow(unsafe_code, reason = "no stable safe way does both")]
#[expect(clippy::cast_ptr_alignment, reason = "its layout is that of words")]
pub(crate) fn zeroed_words(length: usize) -> Option<Box<[AtomicU64]>> {
    if length == 0 {
        return Some(Box::default());
    }
    let layout = std::alloc::Layout::array::<AtomicU64>(length).ok()?;
    // SAFETY: the layout has at least one word, so its size is not 0.
    let start = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<AtomicU64>();
    let words = std::ptr::slice_from_raw_parts_mut(start, length);
    // SAFETY: the pointer is not null, so the global allocator has allocated the memory, with the layout of these words; zero bytes are
    // a word; and no other pointer to it is kept.
    (!start.is_null()).then(|| unsafe { Box::from_raw(words) })
}

#[cfg(loom)]
pub(crate) fn zeroed_words(length: usize) -> Option<Box<[AtomicU64]>> {
    Some((0..length).map(|_| AtomicU64::new(0)).collect())
}

/// A value that one thread at a time may change through a shared reference, which the code around it sees to.
#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls with a pointer to the value. To use it is up to the caller's `unsafe` code.
    pub(crate) fn with_mut<R>(&self, act: impl FnOnce(*mut T) -> R) -> R {
        act(self.0.get())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_begin_as_zero_however_many_there_are() {
        for length in [0, 1, 1_000] {
            let words = zeroed_words(length).unwrap();
            assert_eq!(words.len(), length);
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
        assert!(zeroed_words(usize::MAX).is_none(), "no such memory");
    }
}
