//! Zeroed words for tables of which little is used: they cost memory where they are touched.
//!
//! Large tables are parts of memory that their owner has from the system, all of them together. The global allocator gives small ones, and
//! large ones where the system gives nothing. `slab` and `block` keep their sets here, `space` has the memory.
#![allow(unsafe_code, reason = "words are part of memory that they share")]

use super::atomics::{ARE_PLAIN_WORDS, AtomicU64, zeroed_words};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Words of a cache line, which no two tables share.
const LINE: usize = 8;

/// Memory of which others take parts.
///
/// # Safety
/// - From [`ZeroedMemory::start`] on there are [`ZeroedMemory::size_bytes`] bytes, aligned for words, readable and writable, at the same place as
///   long as the value lives.
/// - They are zero until somebody writes to them who has them from [`ZeroedMemory::start`].
pub(crate) unsafe trait ZeroedMemory: fmt::Debug + Send + Sync {
    fn start(&self) -> NonNull<u8>;

    fn size_bytes(&self) -> usize;
}

/// Where tables have their words from.
#[derive(Debug, Default)]
pub(crate) struct WordSource {
    // Invariant: known to this source alone, and to the words that it gave.
    memory: Option<Arc<dyn ZeroedMemory>>,
    // Words of it that are given.
    given: usize,
}

impl WordSource {
    /// The global allocator.
    pub(crate) fn allocator() -> Self {
        Self::default()
    }

    /// This memory as far as it goes, and then the global allocator.
    pub(crate) fn new(memory: impl ZeroedMemory + 'static) -> Self {
        Self {
            memory: Some(Arc::new(memory)),
            given: 0,
        }
    }

    /// Zeroed words; `None` if there is no memory for them.
    pub(crate) fn take(&mut self, length: usize) -> Option<Words> {
        match self.take_part(length) {
            Some(words) => Some(words),
            None => zeroed_words(length).map(Words::from),
        }
    }

    fn take_part(&mut self, length: usize) -> Option<Words> {
        let memory = self.memory.as_ref().filter(|_| ARE_PLAIN_WORDS)?;
        let end = self.given.checked_add(length)?;
        if end > memory.size_bytes() / size_of::<AtomicU64>() {
            return None;
        }
        // SAFETY: as many words are there, so this is one of them, or the end of all.
        let start = unsafe { memory.start().cast::<AtomicU64>().add(self.given) };
        self.given = end.next_multiple_of(LINE);
        Some(Words {
            start,
            length,
            memory: Some(Arc::clone(memory)),
        })
    }
}

/// Words, zero at first.
#[derive(Debug)]
pub(crate) struct Words {
    // Invariant: so many words begin there, which no other code has. They are part of `memory`, or a box of the allocator's.
    start: NonNull<AtomicU64>,
    length: usize,
    memory: Option<Arc<dyn ZeroedMemory>>,
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

    #[derive(Debug)]
    struct Memory(Words);

    // SAFETY: the words stay where they are, zero until those write to them who ask where they are.
    unsafe impl ZeroedMemory for Memory {
        fn start(&self) -> NonNull<u8> {
            self.0.start.cast()
        }

        fn size_bytes(&self) -> usize {
            size_of_val(&*self.0)
        }
    }

    #[test]
    fn tables_share_memory_as_long_as_there_is_some_and_keep_it_alive() {
        let memory = Memory(WordSource::allocator().take(64).unwrap());
        let shared = memory.0.as_ptr_range();
        let mut source = WordSource::new(memory);
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
        let memory = Memory(WordSource::allocator().take(64).unwrap());
        assert!(WordSource::new(memory).take(usize::MAX).is_none());
    }
}
