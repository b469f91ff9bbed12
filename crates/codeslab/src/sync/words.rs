//! Zeroed words for tables of which little is used: they cost memory where they are touched. The large tables of a block are parts of memory
//! from the system (`space::tables`), small ones are the global allocator's, and large ones too where the system gives nothing.
#![allow(unsafe_code, reason = "words are part of memory that they share")]

use super::atomics::{ARE_PLAIN_WORDS, AtomicU64, zeroed_words};
use std::any::Any;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Words of a cache line, which no two tables share.
const LINE: usize = 8;

/// Where tables have their words from: these words as far as they go, and then the global allocator.
#[derive(Debug, Default)]
pub(crate) struct WordSource(Option<Words>);

impl WordSource {
    pub(crate) const fn new(words: Words) -> Self {
        Self(Some(words))
    }

    /// The global allocator.
    pub(crate) fn allocator() -> Self {
        Self::default()
    }

    /// Zeroed words; `None` if there is no memory for them.
    pub(crate) fn take(&mut self, length: usize) -> Option<Words> {
        let rest = self.0.as_mut().filter(|_| ARE_PLAIN_WORDS);
        let part = rest.and_then(|rest| rest.split_off(length));
        part.or_else(|| zeroed_words(length).map(Words::from))
    }
}

/// Words, zero at first.
#[derive(Debug)]
pub(crate) struct Words {
    // Invariant: so many words begin there, which no other code has, as long as `memory` lives. Without one they are a box.
    start: NonNull<AtomicU64>,
    length: usize,
    memory: Option<Arc<dyn Any + Send + Sync>>,
}

impl Words {
    /// The words in some memory.
    ///
    /// # Safety
    /// - From `start` on there are so many bytes, zero, aligned for words, readable and writable, as long as `memory` lives.
    /// - No other code uses them.
    pub(crate) unsafe fn new(
        start: NonNull<u8>,
        bytes: usize,
        memory: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            start: start.cast(),
            length: bytes / size_of::<AtomicU64>(),
            memory: Some(memory),
        }
    }

    /// Takes off the first `length` words, if these are words in some memory and there are so many.
    fn split_off(&mut self, length: usize) -> Option<Self> {
        let memory = self.memory.as_ref().filter(|_| length <= self.length)?;
        let part = Self {
            start: self.start,
            length,
            memory: Some(Arc::clone(memory)),
        };
        let taken = length.next_multiple_of(LINE).min(self.length);
        // SAFETY: as many words are there, so this is one of them, or the end of all.
        self.start = unsafe { self.start.add(taken) };
        self.length -= taken;
        Some(part)
    }
}

// SAFETY: the words are reached by shared references only, which threads may share; and the memory may be dropped by any thread.
unsafe impl Send for Words {}
// SAFETY: the same.
unsafe impl Sync for Words {}

impl From<Box<[AtomicU64]>> for Words {
    fn from(words: Box<[AtomicU64]>) -> Self {
        let mut words = ManuallyDrop::new(words);
        Self {
            start: NonNull::from(&mut **words).cast(),
            length: words.len(),
            memory: None,
        }
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the invariant: there are so many, zero bytes are a word, and none of them is reached but by shared references like this one.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if self.memory.is_none() {
            let words = std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.length);
            // SAFETY: the invariant: they are a box, of which nothing else is left.
            drop(unsafe { Box::from_raw(words) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    /// Words in memory that is gone when none of them is left.
    fn shared(length: usize) -> Words {
        let memory = WordSource::allocator().take(length).unwrap();
        let (start, bytes) = (memory.start.cast(), size_of_val(&*memory));
        // SAFETY: the words stay where they are, zero, as long as what was taken lives, which nothing else uses.
        unsafe { Words::new(start, bytes, Arc::new(memory)) }
    }

    #[test]
    fn tables_share_memory_as_long_as_there_is_some_and_keep_it_alive() {
        let words = shared(64);
        let shared = words.as_ptr_range();
        let mut source = WordSource::new(words);
        let tables: Vec<_> = [10, 0, 30, 64, 1]
            .map(|length| source.take(length).unwrap())
            .into();
        drop(source);
        let is_shared = |table: &Words| shared.contains(&table.as_ptr());
        // The fourth does not fit behind the others.
        let expected = [true, true, true, false, true];
        assert!(tables.iter().map(is_shared).eq(expected));
        for (number, table) in tables.iter().enumerate() {
            assert!(table.iter().all(|word| word.load(Ordering::Relaxed) == 0));
            for word in &**table {
                word.store(number as u64 + 1, Ordering::Relaxed);
            }
        }
        for (number, table) in tables.iter().enumerate() {
            let is_own = |word: &AtomicU64| word.load(Ordering::Relaxed) == number as u64 + 1;
            assert!(table.iter().all(is_own));
        }
    }

    #[test]
    fn words_for_which_there_is_no_memory_are_none() {
        assert!(WordSource::new(shared(64)).take(usize::MAX).is_none());
    }
}
