//! Handles: numbers that C holds in place of owners, and the slots that they name.
//!
//! A handle is the number of a slot and a generation. Taking an object out of its slot begins the slot's next generation, so that a handle
//! that C still has is recognised as stale, whatever is in the slot then; a slot whose generations are used up is not used again. One word
//! of each slot says its generation and who is using it. No thread waits for another: what is being changed is `BUSY`.
//!
//! A slot that is free belongs to the thread in whose list it is (`free_slots`). So a new object takes no atomic operation but the store
//! that publishes it, and one that is taken only that which makes it this thread's.
#![allow(
    unsafe_code,
    reason = "a slot is lent by a word of state, not by a lock"
)]
#![allow(
    clippy::inline_always,
    reason = "what is moved between functions costs more here than the functions do"
)]

mod free_slots;

use crate::failure::{Failure, Result};
use crate::status::{CODESLAB_BUSY, CODESLAB_OUT_OF_MEMORY, CODESLAB_TOO_MANY_HANDLES};
use free_slots::NONE;
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// One owner changes the object.
const EXCLUSIVE: u64 = 0x8000_0000;
/// Chunks of slots that there may be: as a byte can tell apart, less the last, whose last slot would have the number that stands for none.
const CHUNKS: usize = 255;
/// log2 of how many slots the first chunks have. Of each size there are some, and those of the next have twice as many slots: the last
/// chunk, which may be used little, is a small part of all.
const FIRST_LOG2: u32 = 6;
/// log2 of the chunks of one size.
const OF_EACH_LOG2: u32 = 3;
/// log2 of how many slots a chunk has at most.
const MOST_LOG2: u32 = 23;

/// Objects in slots: the table with this number, of which there is one. The number is the lowest bit of its handles.
pub(crate) struct Table<T, const NUMBER: usize> {
    chunks: [Chunk<T>; 1 << u8::BITS],
    /// Slots that were used at some time.
    used: AtomicU32,
}

/// Slots, made together, that stay as long as the process.
struct Chunk<T> {
    /// Invariant: no more than there are behind `first`.
    count: AtomicU32,
    first: AtomicPtr<Slot<T>>,
}

struct Slot<T> {
    /// The generation in the upper half. Below, how many readers there are; or `EXCLUSIVE`, and which slot follows in the list, if this
    /// one is free.
    state: AtomicU64,
    /// Invariant: is written by the thread that set `EXCLUSIVE` alone, and read by that one and by those that count as readers. Is there
    /// while a handle of the slot's generation is.
    object: UnsafeCell<Option<T>>,
}

// SAFETY: the object of a slot is reached from one thread at a time, or by shared references, as its word of state says.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T> Chunk<T> {
    const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            first: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[inline(always)]
    fn slot(&self, at: u32) -> Option<&Slot<T>> {
        if at >= self.count.load(Ordering::Acquire) {
            return None;
        }
        let first = self.first.load(Ordering::Relaxed);
        // SAFETY: the invariant: as the count is not 0, the slots were made.
        let first = unsafe { NonNull::new_unchecked(first) };
        // SAFETY: the same, and this is one of them.
        let slot = unsafe { first.add(at as usize) };
        // SAFETY: the same; slots are used by shared references only.
        Some(unsafe { slot.as_ref() })
    }

    /// Makes the slots, unless they are there. It is the chunk with this number.
    fn make(&self, number: u8) -> Result<()> {
        let count = chunk_size(number);
        if self.first.load(Ordering::Acquire).is_null() {
            let mut slots: Vec<Slot<T>> = Vec::new();
            let reserved = slots.try_reserve_exact(count as usize);
            reserved.map_err(|_| no_memory())?;
            slots.resize_with(count as usize, Slot::new);
            let made = Box::into_raw(slots.into_boxed_slice());
            let (release, acquire) = (Ordering::Release, Ordering::Acquire);
            let none = ptr::null_mut();
            let put = self
                .first
                .compare_exchange(none, made.cast(), release, acquire);
            if put.is_err() {
                // SAFETY: it was a box, and no other thread knows of it: another has made the slots.
                drop(unsafe { Box::from_raw(made) });
            }
        }
        // Also by the thread that comes second, which goes on before the first may have come here.
        self.count.store(count, Ordering::Release);
        Ok(())
    }
}

#[cold]
fn no_memory() -> Failure {
    let message = "there is no memory for another handle";
    Failure::new(CODESLAB_OUT_OF_MEMORY, "OUT_OF_MEMORY", message)
}

#[cold]
fn full() -> Failure {
    let message = "no handle is left";
    Failure::new(CODESLAB_TOO_MANY_HANDLES, "TOO_MANY_HANDLES", message)
}

impl<T> Slot<T> {
    const fn new() -> Self {
        Self {
            // The first generation is 1, so that no handle is 0.
            state: AtomicU64::new(1 << 32 | EXCLUSIVE | NONE as u64),
            object: UnsafeCell::new(None),
        }
    }

    /// It is free from now on, in this generation.
    #[inline(always)]
    fn vacate<const TABLE: usize>(&self, number: u32, generation: u64) {
        let vacate = |next: u32| {
            let state = generation << 32 | EXCLUSIVE | u64::from(next);
            self.state.store(state, Ordering::Release);
        };
        // A slot whose generations are used up stays exclusive to nobody.
        if generation > u64::from(u32::MAX) {
            vacate(NONE);
        } else {
            free_slots::add::<TABLE>(number, vacate);
        }
    }

    #[inline(always)]
    fn generation(&self) -> u64 {
        self.state.load(Ordering::Relaxed) >> 32
    }

    /// Which slot follows this one, if it is free.
    #[inline(always)]
    fn next(&self) -> u32 {
        self.state.load(Ordering::Relaxed) as u32 & NONE
    }
}

/// How many slots a chunk has.
fn chunk_size(chunk: u8) -> u32 {
    1 << (u32::from(chunk >> OF_EACH_LOG2) + FIRST_LOG2).min(MOST_LOG2)
}

/// The chunk of the slot with a number, and its place there.
#[inline(always)]
const fn split(number: u32) -> (u8, u32) {
    ((number >> MOST_LOG2) as u8, number & ((1 << MOST_LOG2) - 1))
}

/// The number of the slot that is used as number `order` for the first time: its chunk, and its place there in the lowest bits.
/// `None` if there are no such chunks.
fn number(order: u32) -> Option<u32> {
    // With this added, the first slot of all chunks of one size has an `order` of which one bit is set.
    let slot = u64::from(order) + (1 << (FIRST_LOG2 + OF_EACH_LOG2));
    let size_log2 = (slot.ilog2() - OF_EACH_LOG2).min(MOST_LOG2);
    let chunk = ((size_log2 - FIRST_LOG2) << OF_EACH_LOG2) + (slot >> size_log2) as u32;
    let chunk = chunk - (1 << OF_EACH_LOG2);
    let at = slot as u32 & ((1 << size_log2) - 1);
    ((chunk as usize) < CHUNKS).then_some(chunk << MOST_LOG2 | at)
}

impl<T, const NUMBER: usize> Table<T, NUMBER> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { Chunk::new() }; 1 << u8::BITS],
            used: AtomicU32::new(0),
        }
    }

    #[inline(always)]
    fn slot(&self, number: u32) -> Option<&Slot<T>> {
        let (chunk, at) = split(number);
        self.chunks.get(usize::from(chunk))?.slot(at)
    }

    /// A slot that is free.
    #[inline(always)]
    pub(crate) fn vacant(&self) -> Result<Vacant<'_, T, NUMBER>> {
        let find = |number| self.slot(number).map(|slot| (slot, slot.next()));
        if let Some((number, slot)) = free_slots::take::<NUMBER, _>(find) {
            return Ok(Vacant { slot, number });
        }
        let number = self.refill()?;
        let slot = self.slot(number).ok_or_else(full)?;
        Ok(Vacant { slot, number })
    }

    /// A free slot, if this thread has none, and some for its next calls if there are.
    #[cold]
    fn refill(&self) -> Result<u32> {
        let next = |number| self.slot(number).map_or(NONE, Slot::next);
        if let Some(number) = free_slots::fetch::<NUMBER>(next) {
            return Ok(number);
        }
        let mut used = self.used.load(Ordering::Relaxed);
        let number = loop {
            let number = number(used).ok_or_else(full)?;
            let chunk = split(number).0;
            // Before the slot is taken, so that it is not lost where there is no memory.
            self.chunks
                .get(usize::from(chunk))
                .ok_or_else(full)?
                .make(chunk)?;
            let (next, relaxed) = (used + 1, Ordering::Relaxed);
            match self
                .used
                .compare_exchange_weak(used, next, relaxed, relaxed)
            {
                Ok(_) => break number,
                Err(others) => used = others,
            }
        };
        Ok(number)
    }

    /// Puts an object into a slot, and gives its handle.
    #[inline(always)]
    pub(crate) fn insert(&self, object: T) -> Result<u64> {
        Ok(self.vacant()?.fill(object).publish())
    }

    /// The slot of a handle, or why not.
    #[inline(always)]
    fn find(&self, handle: u64) -> Result<&Slot<T>> {
        let low = handle as u32;
        let is_here = low as usize & 1 == NUMBER;
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
    #[inline(always)]
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
    #[inline(always)]
    pub(crate) fn change(&self, handle: u64) -> Result<Changing<'_, T, NUMBER>> {
        let slot = self.find(handle)?;
        let idle = handle >> 32 << 32;
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

/// A slot that is free, and exclusive to this thread. Dropping it gives it back.
pub(crate) struct Vacant<'a, T, const NUMBER: usize> {
    slot: &'a Slot<T>,
    number: u32,
}

impl<'a, T, const NUMBER: usize> Vacant<'a, T, NUMBER> {
    /// Puts an object there, which no other thread finds yet.
    #[inline(always)]
    pub(crate) fn fill(self, object: T) -> Filled<'a, T, NUMBER> {
        let Self { slot, number } = *ManuallyDrop::new(self);
        // SAFETY: a vacant slot is exclusive to the thread that has its number, and has nothing in it that would have to be dropped.
        unsafe { slot.object.get().write(Some(object)) };
        Filled { slot, number }
    }
}

impl<T, const NUMBER: usize> Drop for Vacant<'_, T, NUMBER> {
    fn drop(&mut self) {
        let generation = self.slot.generation();
        self.slot.vacate::<NUMBER>(self.number, generation);
    }
}

/// A slot with an object that no other thread finds yet. Dropping it takes the object out.
pub(crate) struct Filled<'a, T, const NUMBER: usize> {
    slot: &'a Slot<T>,
    number: u32,
}

impl<T, const NUMBER: usize> Filled<'_, T, NUMBER> {
    /// The object.
    #[inline(always)]
    pub(crate) fn object(&mut self) -> Option<&mut T> {
        // SAFETY: the slot is exclusive to this thread.
        let object = unsafe { &mut *self.slot.object.get() };
        object.as_mut()
    }

    /// Has everybody find the object who has its handle, which this gives.
    #[inline(always)]
    pub(crate) fn publish(self) -> u64 {
        let Self { slot, number } = *ManuallyDrop::new(self);
        let generation = slot.generation() << 32;
        slot.state.store(generation, Ordering::Release);
        generation | u64::from(number) << 1 | NUMBER as u64
    }
}

impl<T, const NUMBER: usize> Drop for Filled<'_, T, NUMBER> {
    fn drop(&mut self) {
        // SAFETY: the slot is exclusive to this thread.
        let object = unsafe { &mut *self.slot.object.get() };
        *object = None;
        let generation = self.slot.generation();
        self.slot.vacate::<NUMBER>(self.number, generation);
    }
}

/// Shared use of an object, until it is dropped.
pub(crate) struct Reading<'a, T> {
    slot: &'a Slot<T>,
    handle: u64,
}

impl<T> Reading<'_, T> {
    #[inline(always)]
    pub(crate) fn object(&self) -> Result<&T> {
        // SAFETY: it counts as a reader, so that no thread writes to the slot.
        let object = unsafe { &*self.slot.object.get() };
        object.as_ref().ok_or_else(|| self.stale())
    }

    /// What the handle is of is not what it should be.
    #[cold]
    pub(crate) fn stale(&self) -> Failure {
        Failure::stale(self.handle)
    }
}

impl<T> Drop for Reading<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.state.fetch_sub(1, Ordering::Release);
    }
}

/// Use of an object by one thread, until it is dropped.
pub(crate) struct Changing<'a, T, const NUMBER: usize> {
    slot: &'a Slot<T>,
    handle: u64,
}

impl<T, const NUMBER: usize> Changing<'_, T, NUMBER> {
    /// The object.
    #[inline(always)]
    pub(crate) fn object(&mut self) -> Result<&mut T> {
        // SAFETY: `EXCLUSIVE` is set by this value, so that no other thread reads or writes the slot.
        let object = unsafe { &mut *self.slot.object.get() };
        object.as_mut().ok_or_else(|| Failure::stale(self.handle))
    }

    /// Has `take` take the object, or what it can of it, whose handle is stale from then on. If it takes nothing, all stays as it is.
    #[inline(always)]
    pub(crate) fn take<R>(self, take: impl FnOnce(&mut Option<T>) -> Option<R>) -> Result<R> {
        // SAFETY: `EXCLUSIVE` is set by this value, so that no other thread reads or writes the slot.
        let object = unsafe { &mut *self.slot.object.get() };
        let taken = take(object).ok_or_else(|| Failure::stale(self.handle))?;
        *object = None;
        let Self { slot, handle } = *ManuallyDrop::new(self);
        slot.vacate::<NUMBER>(handle as u32 >> 1, (handle >> 32) + 1);
        Ok(taken)
    }
}

impl<T, const NUMBER: usize> Drop for Changing<'_, T, NUMBER> {
    /// Others may use it again.
    #[inline]
    fn drop(&mut self) {
        let generation = self.handle >> 32 << 32;
        self.slot.state.store(generation, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests;
