//! An allocator that counts, so that tests can say how much memory something takes at most.
//!
//! Counters are those of the calling thread: tests run side by side, and a link works on one thread. The test binary of the linker and
//! its fuzz targets make it their global allocator; it relies on the system's.
#![allow(unsafe_code)] // An allocator is an unsafe trait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// From so many bytes on, zeroed memory comes fresh from the kernel and costs none until it is touched: it is not counted. The memory
/// manager keeps its bit maps there.
const FRESH_BYTES: usize = 1 << 16;

/// The blocks of that kind that are remembered, so that giving them back does not count either.
type Fresh = [usize; 64];

thread_local! {
    static COUNTERS: Cell<Heap> = const { Cell::new(Heap::NONE) };
    static FRESH: Cell<Fresh> = const { Cell::new([0; 64]) };
}

/// What a thread has taken from the heap since it began to count, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heap {
    /// Taken and not given back; negative if more was given back.
    pub live: i64,
    /// The most that was ever live at once.
    pub peak: i64,
    /// All that was taken, given back or not.
    pub total: i64,
}

impl Heap {
    const NONE: Self = Self {
        live: 0,
        peak: 0,
        total: 0,
    };

    fn take(self, size: i64) -> Self {
        let live = self.live + size;
        Self {
            live,
            peak: self.peak.max(live),
            total: self.total + size,
        }
    }
}

/// What `run` yields, and what it took from the heap of this thread, as far as [`CountingAllocator`] is the program's allocator.
pub fn count_heap<T>(run: impl FnOnce() -> T) -> (T, Heap) {
    let before = COUNTERS.replace(Heap::NONE);
    let value = run();
    let counted = COUNTERS.replace(before);
    (value, counted)
}

/// The system's allocator, counted by thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

fn update(change: impl FnOnce(Heap) -> Heap) {
    // A thread that ends frees after its counters are gone; no one asks for them then.
    let _ = COUNTERS.try_with(|counters| counters.set(change(counters.get())));
}

/// Puts `new` in the place of `old` in the list of fresh blocks. Whether `old` was there.
fn replace_fresh(old: usize, new: usize) -> bool {
    let replaced = FRESH.try_with(|fresh| {
        let mut blocks = fresh.get();
        let place = blocks.iter_mut().find(|block| **block == old);
        let is_there = place.map(|place| *place = new).is_some();
        fresh.set(blocks);
        is_there
    });
    replaced.unwrap_or(false)
}

fn size_of(layout: Layout) -> i64 {
    i64::try_from(layout.size()).expect("a layout is at most half the address space")
}

// SAFETY: each call goes to the system's allocator with the arguments as they are; counting allocates nothing and does not unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        update(|heap| heap.take(size_of(layout)));
        // SAFETY: the size is not 0, which the caller owes to this function too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not 0, which the caller owes to this function too.
        let block = unsafe { System.alloc_zeroed(layout) };
        if layout.size() < FRESH_BYTES || !replace_fresh(0, block as usize) {
            update(|heap| heap.take(size_of(layout)));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() < FRESH_BYTES || !replace_fresh(block as usize, 0) {
            update(|heap| Heap {
                live: heap.live - size_of(layout),
                ..heap
            });
        }
        // SAFETY: the block came from `alloc` or `realloc` above, so from the system's allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() >= FRESH_BYTES && replace_fresh(block as usize, 0) {
            update(|heap| heap.take(size_of(layout)));
        }
        // As if both blocks were there for a moment, which they are if it has to move.
        update(|heap| {
            let new = i64::try_from(new_size).unwrap_or(i64::MAX);
            let both = heap.take(new);
            Heap {
                live: both.live - size_of(layout),
                ..both
            }
        });
        // SAFETY: the block came from the system's allocator with this layout, and the new size is not 0 and not too large: the caller
        // owes both to this function too.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
