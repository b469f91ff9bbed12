//! Handles: numbers that C holds in place of owners, and the slots that they name.
//!
//! A handle is the number of a slot and a generation. Taking an object out of its slot begins the slot's next generation, so that a handle
//! that C still has is recognised as stale, whatever is in the slot then; a slot whose generations are used up is not used again. One word
//! of each slot says its generation and who is using it. No thread waits for another: what is being changed is `BUSY`.
#![allow(
    unsafe_code,
    reason = "a slot is lent by a word of state, not by a lock"
)]

use crate::failure::{Failure, Result};
use crate::status::{CODESLAB_BUSY, CODESLAB_TOO_MANY_HANDLES};
use std::cell::{RefCell, UnsafeCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// One owner changes the object.
const EXCLUSIVE: u64 = 0x8000_0000;
/// Slots in each of the first chunks. Of each size there are some, and those of the next have twice as many slots: the last chunk, which may
/// be used little, is a small part of all.
const FIRST: u32 = 64;
/// Chunks of one size.
const OF_EACH: u32 = 8;
/// Chunks: 64 × 8 × (2^22 - 1) slots.
const CHUNKS: usize = 22 * OF_EACH as usize;
/// Free slots that a thread keeps for itself.
const KEPT: usize = 64;

/// How many tables there are.
const TABLES: usize = 2;

/// Objects in slots.
pub(crate) struct Table<T> {
    /// Which table it is: the lowest bit of its handles.
    which: usize,
    chunks: [OnceLock<Box<[Slot<T>]>>; CHUNKS],
    /// Slots that were used at some time.
    used: AtomicU32,
}

struct Slot<T> {
    /// The generation in the upper half; below, `EXCLUSIVE` or how many readers there are.
    state: AtomicU64,
    /// Invariant: is written by the thread that set `EXCLUSIVE` alone, and read by that one and by those that count as readers.
    object: UnsafeCell<Option<T>>,
}

// SAFETY: the object of a slot is reached from one thread at a time, or by shared references, as its word of state says.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// Free slots of each table that no thread keeps.
static FREE: [Mutex<Vec<u32>>; TABLES] = [const { Mutex::new(Vec::new()) }; TABLES];

thread_local! {
    static KEEP: RefCell<Keep> = const { RefCell::new(Keep([const { Vec::new() }; TABLES])) };
}

/// Free slots of each table that a thread keeps.
struct Keep([Vec<u32>; TABLES]);

impl Drop for Keep {
    fn drop(&mut self) {
        for (which, slots) in self.0.iter_mut().enumerate() {
            give_back(which, slots);
        }
    }
}

fn give_back(which: usize, slots: &mut Vec<u32>) {
    if let Some(free) = FREE.get(which) {
        let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
        free.append(slots);
    }
}

/// Some of the free slots that no thread keeps.
fn fetch(which: usize) -> Vec<u32> {
    let Some(free) = FREE.get(which) else {
        return Vec::new();
    };
    let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
    let left = free.len().saturating_sub(KEPT / 2);
    free.split_off(left)
}

/// What a thread does with the free slots that it keeps; `None` if it keeps none, because it is ending.
fn with_kept<R>(which: usize, work: impl FnOnce(&mut Vec<u32>) -> R) -> Option<R> {
    let done = KEEP.try_with(|keep| {
        let mut keep = keep.try_borrow_mut().ok()?;
        Some(work(keep.0.get_mut(which)?))
    });
    done.ok().flatten()
}

fn full() -> Failure {
    let message = "no handle is left";
    Failure::new(CODESLAB_TOO_MANY_HANDLES, "TOO_MANY_HANDLES", message)
}

impl<T> Slot<T> {
    const fn new() -> Self {
        Self {
            // The first generation is 1, so that no handle is 0.
            state: AtomicU64::new(1 << 32 | EXCLUSIVE),
            object: UnsafeCell::new(None),
        }
    }
}

/// The chunk of a slot, its place there, and how many slots that chunk has.
const fn place(slot: u32) -> (usize, usize, usize) {
    let doubled = (slot / (FIRST * OF_EACH) + 1).ilog2();
    let before = FIRST * OF_EACH * ((1 << doubled) - 1);
    let size = FIRST << doubled;
    let chunk = doubled * OF_EACH + (slot - before) / size;
    (
        chunk as usize,
        ((slot - before) % size) as usize,
        size as usize,
    )
}

impl<T> Table<T> {
    /// The table with this number, 0 or 1: there is one of each.
    pub(crate) const fn new(which: usize) -> Self {
        Self {
            which,
            chunks: [const { OnceLock::new() }; CHUNKS],
            used: AtomicU32::new(0),
        }
    }

    fn slot(&self, number: u32) -> Option<&Slot<T>> {
        let (chunk, at, _) = place(number);
        self.chunks.get(chunk)?.get()?.get(at)
    }

    /// A slot that is free, which is `EXCLUSIVE` to this thread.
    fn vacant(&self) -> Result<(u32, &Slot<T>)> {
        let kept = with_kept(self.which, Vec::pop).flatten();
        let number = kept.map_or_else(|| self.refill(), Ok)?;
        let (chunk, at, size) = place(number);
        let chunk = self.chunks.get(chunk).ok_or_else(full)?;
        let chunk = chunk.get_or_init(|| (0..size).map(|_| Slot::new()).collect());
        Ok((number, chunk.get(at).ok_or_else(full)?))
    }

    /// A free slot, and some for this thread's next calls.
    #[cold]
    fn refill(&self) -> Result<u32> {
        let mut some = fetch(self.which);
        if let Some(number) = some.pop() {
            with_kept(self.which, |kept| kept.append(&mut some));
            // What this thread has no place for goes back.
            give_back(self.which, &mut some);
            return Ok(number);
        }
        let next = |used: u32| used.checked_add(1).filter(|used| place(*used).0 < CHUNKS);
        let fetched = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        fetched.map_err(|_| full())
    }

    /// Puts an object into a slot, and gives its handle.
    #[inline]
    pub(crate) fn insert(&self, object: T) -> Result<u64> {
        let (number, slot) = self.vacant()?;
        // SAFETY: a vacant slot is exclusive to the thread that has its number.
        unsafe { *slot.object.get() = Some(object) };
        let state = slot.state.load(Ordering::Relaxed) & !EXCLUSIVE;
        slot.state.store(state, Ordering::Release);
        Ok(state | u64::from(number) << 1 | self.which as u64)
    }

    /// The slot of a handle with this state, or why not.
    fn find(&self, handle: u64) -> Result<&Slot<T>> {
        let low = handle as u32;
        let is_here = low as usize & 1 == self.which;
        let slot = is_here.then(|| self.slot(low >> 1)).flatten();
        slot.ok_or_else(|| Failure::stale(handle))
    }

    /// Why a slot in this state cannot be had.
    #[cold]
    fn refuse(handle: u64, state: u64) -> Failure {
        if state >> 32 != handle >> 32 || handle >> 32 == 0 {
            return Failure::stale(handle);
        }
        let message = "another thread is changing, or still using, what the handle is of";
        Failure::new(CODESLAB_BUSY, "BUSY", message)
    }

    /// Shared use of an object.
    #[inline]
    pub(crate) fn read(&self, handle: u64) -> Result<Reading<'_, T>> {
        let slot = self.find(handle)?;
        let enter = |state: u64| {
            let may = state >> 32 == handle >> 32 && state & EXCLUSIVE == 0;
            may.then_some(state + 1)
        };
        let entered = slot
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, enter);
        entered.map_err(|state| Self::refuse(handle, state))?;
        Ok(Reading { slot, handle })
    }

    /// Use of an object by this thread alone.
    #[inline]
    pub(crate) fn change(&self, handle: u64) -> Result<Changing<'_, T>> {
        let slot = self.find(handle)?;
        let idle = handle & !0xffff_ffff;
        let entered = slot.state.compare_exchange(
            idle,
            idle | EXCLUSIVE,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        entered.map_err(|state| Self::refuse(handle, state))?;
        Ok(Changing { slot, handle })
    }
}

/// Shared use of an object, until it is dropped.
pub(crate) struct Reading<'a, T> {
    slot: &'a Slot<T>,
    handle: u64,
}

impl<T> Reading<'_, T> {
    pub(crate) fn object(&self) -> Result<&T> {
        // SAFETY: it counts as a reader, so that no thread writes to the slot.
        let object = unsafe { &*self.slot.object.get() };
        object.as_ref().ok_or_else(|| Failure::stale(self.handle))
    }
}

impl<T> Drop for Reading<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.state.fetch_sub(1, Ordering::Release);
    }
}

/// Use of an object by one thread, until it is dropped.
pub(crate) struct Changing<'a, T> {
    slot: &'a Slot<T>,
    handle: u64,
}

impl<T> Changing<'_, T> {
    #[inline]
    pub(crate) fn object(&mut self) -> &mut Option<T> {
        // SAFETY: `EXCLUSIVE` is set by this value, so that no other thread reads or writes the slot.
        unsafe { &mut *self.slot.object.get() }
    }
}

impl<T> Drop for Changing<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let generation = self.handle >> 32;
        if self.object().is_some() {
            self.slot.state.store(generation << 32, Ordering::Release);
            return;
        }
        // What was taken is not found again. A slot whose generations are used up stays exclusive to nobody.
        let next = generation + 1;
        self.slot
            .state
            .store(next << 32 | EXCLUSIVE, Ordering::Release);
        if next > u64::from(u32::MAX) {
            return;
        }
        let (which, number) = (self.handle as usize & 1, self.handle as u32 >> 1);
        let keep = |kept: &mut Vec<u32>| {
            let has_room = kept.len() < KEPT;
            if has_room {
                kept.push(number);
            }
            has_room
        };
        if with_kept(which, keep) != Some(true) {
            give_back(which, &mut vec![number]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own_and_few_are_made_ahead() {
        let (mut expected, mut made) = ((0, 0), 0);
        for slot in 0..200_000 {
            let (chunk, at, size) = place(slot);
            assert_eq!((chunk, at), expected, "slot {slot}");
            if at == 0 {
                made += size;
            }
            assert!(
                made - slot as usize <= 64 + slot as usize / 8,
                "slot {slot}"
            );
            expected = if at + 1 < size {
                (chunk, at + 1)
            } else {
                (chunk + 1, 0)
            };
        }
        assert_eq!(place(FIRST * OF_EACH * ((1 << 22) - 1) - 1).0, CHUNKS - 1);
    }
}
