//! Code that can be called, and the question when its memory may go.
//!
//! Freeing is a request: it takes effect for new calls at once, and for the memory when the last call that is still running
//! has returned. Calls can be running when an image is freed: JavaScript re-entered from the code frees it, or another
//! worker does. One atomic word holds both facts, so a call costs two atomic additions and no lock.

use crate::registry::Token;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Set in [`Published::state`] once it has been freed; the bits below count running calls.
const FREED: u64 = 1 << 63;

/// What was published.
#[derive(Debug)]
pub(crate) enum Content {
    /// The result of linking.
    Image(codeslab_link::Image),
    /// Bytes that the embedder placed. Kept for what its drop does.
    Allocation(#[allow(dead_code, reason = "dropping it frees it")] codeslab::Allocation),
}

/// Published code and data that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Published {
    state: AtomicU64,
    noun: &'static str,
    // Invariant: `Some` until it has been freed and no call is running.
    content: Mutex<Option<Content>>,
    pub(crate) token: OnceLock<Token>,
}

/// A call that is running: the code stays while this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Published);

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Published {
    /// Takes what was published.
    pub(crate) fn new(content: Content) -> Self {
        let noun = match content {
            Content::Image(_) => "image",
            Content::Allocation(_) => "allocation",
        };
        Self {
            state: AtomicU64::new(0),
            noun,
            content: Mutex::new(Some(content)),
            token: OnceLock::new(),
        }
    }

    /// What to call it.
    pub(crate) fn noun(&self) -> &'static str {
        self.noun
    }

    /// Begins a call; `None` once it has been freed.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Running<'_>> {
        // Acquire pairs with the release in `free`: who sees no FREED calls code that is still there.
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

    /// Refuses new calls and gives the memory back as soon as none is running. `false` if that was done before.
    pub(crate) fn free(&self) -> bool {
        let before = self.state.fetch_or(FREED, Ordering::AcqRel);
        if before == 0 {
            self.release();
        }
        before & FREED == 0
    }

    /// Whether it has been freed.
    pub(crate) fn is_freed(&self) -> bool {
        self.state.load(Ordering::Acquire) & FREED != 0
    }

    /// What was published; `None` once it has been freed.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Content) -> T) -> Option<T> {
        if self.is_freed() {
            return None;
        }
        self.content().as_ref().map(look)
    }

    /// Several callers may get here (a call that came too late and the one that it came too late for): the first one frees.
    #[cold]
    fn release(&self) {
        let content = self.content().take();
        drop(content);
    }

    fn content(&self) -> MutexGuard<'_, Option<Content>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::{CodeMemory, Layout, Options, Protection, Request};

    /// A memory, and one published allocation in it.
    fn publish() -> (CodeMemory, Published) {
        let memory = CodeMemory::new(Options::default()).unwrap();
        let mut layout = Layout::new();
        layout.add(Protection::ReadWrite, 16, 16).unwrap();
        let in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        let content = Content::Allocation(in_flight.finalize().unwrap());
        (memory, Published::new(content))
    }

    #[test]
    fn memory_is_released_at_once_when_no_call_is_running() {
        let (memory, published) = publish();
        assert_eq!(memory.stats().live, 1);
        assert!(published.free());
        assert_eq!(memory.stats().live, 0);
        assert!(!published.free(), "it was freed before");
        assert!(published.enter().is_none());
    }

    #[test]
    fn the_last_call_that_returns_releases_the_memory() {
        let (memory, published) = publish();
        let (first, second) = (published.enter().unwrap(), published.enter().unwrap());
        assert!(published.free());
        assert!(published.enter().is_none(), "no call begins any more");
        assert!(published.read(|_| ()).is_none());
        drop(first);
        assert_eq!(memory.stats().live, 1);
        drop(second);
        assert_eq!(memory.stats().live, 0);
    }

    #[test]
    fn calls_and_frees_of_many_threads_release_once() {
        for _ in 0..200 {
            let (memory, published) = publish();
            let frees = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..50).for_each(|_| drop(published.enter()));
                            published.free()
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
