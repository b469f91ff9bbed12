//! Entrances for calls without a lock and without a word that several threads write to.
//!
//! A thread has one [`FastTable`]: a number for each function that it may call that way, the address to which a thunk jumps for
//! that number, and a word in which compiled JavaScript says which number it is calling. In another word the binding says which one it calls
//! itself ([`crate::Entrance::enter`]). Freeing code replaces the addresses by that
//! of a refusal, makes all threads execute a barrier, and looks at those words: a call that is still running is counted like any
//! other ([`crate::Callable`]), on behalf of the thread, which says so when it has returned ([`FastTable::settle`]).
//! `running` closes entrances, a binding opens them and has the words written.
#![allow(unsafe_code)] // Thunks read the words of a table.

use crate::abi::thunk;
use crate::kind::Kind;
use std::any::Any;
use std::cell::Cell;
use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, compiler_fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a table starts with.
const FIRST: usize = 64;

/// The most entrances of a thread: numbers are small integers of JavaScript.
const MOST: usize = 1 << 24;

/// Makes every thread of the process execute a full memory barrier.
pub type Barrier = fn();

/// What caller, thunks and other threads look at.
#[derive(Debug)]
#[repr(C)]
struct Words {
    /// The number that compiled JavaScript is calling, which writes it; 0 for none.
    running: AtomicU32,
    /// Not 0 once a thunk has refused. A byte of its own, so that threads can write the next one meanwhile.
    refused: AtomicU8,
    /// Not 0 once another thread waits for a call to return.
    awaited: AtomicU8,
    unused: [u8; 2],
    // Invariant: the first of as many addresses as there are numbers, which only the thread of the table makes more of.
    targets: AtomicPtr<AtomicU64>,
    /// The number that the binding is calling; 0 for none.
    entered: AtomicU32,
}

const _: () = {
    assert!(offset_of!(Words, refused) == thunk::REFUSED as usize);
    assert!(offset_of!(Words, targets) == thunk::TABLE as usize);
};

thread_local! {
    /// Where it lies tells threads that live from each other.
    static HERE: Cell<u8> = const { Cell::new(0) };
}

fn here() -> usize {
    HERE.with(|here| here.as_ptr().addr())
}

/// What waits for the end of a call.
type Waiting = Box<dyn FnOnce() + Send>;

/// The entrances of one thread.
pub struct FastTable {
    words: Words,
    thread: usize,
    slots: Mutex<Slots>,
    waiting: Mutex<Vec<(u32, Waiting)>>,
    barrier: Barrier,
    code: Mutex<Option<Code>>,
}

struct Slots {
    targets: Box<[AtomicU64]>,
    /// The address of each number that is open; 0 for one that is not.
    open: Vec<u64>,
    free: Vec<u32>,
    /// The address of the refusal.
    refusal: u64,
    /// How often the table was paused: every call is refused meanwhile.
    paused: u32,
}

/// The thunks of a table, placed.
struct Code {
    thunks: Vec<u64>,
    #[expect(dead_code, reason = "dropping it frees the thunks")]
    owner: Box<dyn Any + Send>,
}

/// Thunks that are to be placed: bytes that may lie anywhere.
#[derive(Debug)]
pub struct Thunks {
    /// The machine code of all of them.
    pub bytes: Vec<u8>,
    /// Where each begins; the refusal is the last.
    offsets: Vec<usize>,
}

/// Where thunks begin, in bytes.
const ALIGN: usize = 16;

impl std::fmt::Debug for FastTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = &self.words;
        formatter
            .debug_struct("FastTable")
            .field("words", words)
            .finish_non_exhaustive()
    }
}

impl FastTable {
    /// A table whose thunks `place` puts into code memory: it returns their address and what owns them. `None` where there
    /// are no thunks for this processor, or `place` has none.
    pub fn new<O: Any + Send>(
        barrier: Barrier,
        place: impl FnOnce(&[u8]) -> Option<(u64, O)>,
    ) -> Option<Arc<Self>> {
        let most = thunk::INTEGERS?;
        let table = Arc::new(Self::empty(barrier));
        let thunks = Thunks::make(&raw const table.words as u64, most);
        let (start, owner) = place(&thunks.bytes)?;
        let mut places: Vec<u64> = thunks
            .offsets
            .iter()
            .map(|offset| start + *offset as u64)
            .collect();
        table.slots().refusal = places.pop()?;
        table.grow(&mut table.slots(), FIRST);
        let owner = Box::new(owner);
        *lock(&table.code) = Some(Code {
            thunks: places,
            owner,
        });
        Some(table)
    }

    /// A table without thunks: only the binding calls by its numbers.
    #[must_use]
    pub fn without_thunks(barrier: Barrier) -> Arc<Self> {
        let table = Self::empty(barrier);
        table.grow(&mut table.slots(), FIRST);
        Arc::new(table)
    }

    fn empty(barrier: Barrier) -> Self {
        Self {
            words: Words {
                running: AtomicU32::new(0),
                refused: AtomicU8::new(0),
                awaited: AtomicU8::new(0),
                unused: [0; 2],
                targets: AtomicPtr::new(std::ptr::null_mut()),
                entered: AtomicU32::new(0),
            },
            thread: here(),
            slots: Mutex::new(Slots {
                targets: Box::default(),
                open: Vec::new(),
                free: Vec::new(),
                refusal: 0,
                paused: 0,
            }),
            waiting: Mutex::default(),
            barrier,
            code: Mutex::default(),
        }
    }

    /// The two words of 32 bits that a caller works with: it writes the number into the first before a call and 0 after it, and
    /// calls [`FastTable::settle`] if the second is not 0 then.
    #[must_use]
    pub fn words(&self) -> *const u32 {
        (&raw const self.words).cast()
    }

    /// The thunk for functions with parameters of these kinds: it takes a receiver, the number of an entrance as a 32-bit
    /// integer, and then the arguments. `None` if they do not fit.
    pub fn thunk(&self, kinds: impl Iterator<Item = Kind>) -> Option<u64> {
        let integers = thunk::integers(kinds)?;
        lock(&self.code)
            .as_ref()?
            .thunks
            .get(usize::from(integers))
            .copied()
    }

    /// A number that is called at `target` from now on. Only for the thread of the table, while it makes no fast call.
    pub(crate) fn open(&self, target: u64) -> Option<u32> {
        let mut slots = self.slots();
        if slots.free.is_empty() {
            let more = slots.targets.len() * 2;
            (more <= MOST).then_some(())?;
            self.grow(&mut slots, more);
        }
        let number = slots.free.pop()?;
        slots.open[number as usize] = target;
        let target = if slots.paused == 0 {
            target
        } else {
            slots.refusal
        };
        slots.targets[number as usize].store(target, Ordering::Release);
        Some(number)
    }

    /// Makes more numbers. Thunks may read the old addresses only while this thread is in one of them, which it is not.
    fn grow(&self, slots: &mut Slots, count: usize) {
        let refusal = slots.refusal;
        let before = slots.targets.len();
        let old = slots
            .targets
            .iter()
            .map(|target| target.load(Ordering::Relaxed));
        let all = old.chain(std::iter::repeat(refusal)).take(count);
        slots.targets = all.map(AtomicU64::new).collect();
        self.words
            .targets
            .store(slots.targets.as_mut_ptr(), Ordering::Release);
        slots.open.resize(count, 0);
        // The number 0 says that no call is running.
        slots
            .free
            .extend((before.max(1)..count).rev().map(|number| number as u32));
    }

    /// Refuses calls of a number from now on. Any thread may.
    pub(crate) fn close(&self, number: u32) {
        let mut slots = self.slots();
        slots.open[number as usize] = 0;
        slots.targets[number as usize].store(slots.refusal, Ordering::SeqCst);
    }

    /// Gives a closed number back. Only for the thread of the table, while it makes no fast call.
    pub(crate) fn give_back(&self, number: u32) {
        self.slots().free.push(number);
    }

    /// Says that the binding calls a number from now on. `false` if it is in another call already, of which there is a record then. Only for
    /// the thread of the table.
    #[inline]
    pub(crate) fn begin(&self, number: u32) -> bool {
        let entered = &self.words.entered;
        if entered.load(Ordering::Relaxed) != 0 {
            return false;
        }
        entered.store(number, Ordering::Relaxed);
        // What the caller looks at next says whether the code was freed: who frees it has this thread execute a barrier, and looks here then.
        compiler_fence(Ordering::SeqCst);
        true
    }

    /// Says that the call which [`FastTable::begin`] began has returned. Only for the thread of the table.
    #[inline]
    pub(crate) fn end(&self) {
        self.words.entered.store(0, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        if self.words.awaited.load(Ordering::Relaxed) != 0 {
            self.let_go();
        }
    }

    /// Whether no other thread calls by it: the calling thread made it, or the thread that did has ended. What its thread does needs no
    /// barrier to be seen then.
    pub(crate) fn is_here(&self) -> bool {
        self.thread == here()
    }

    /// Makes every thread execute a barrier: each has seen what was closed before, or shows that it is running.
    pub(crate) fn barrier(&self) {
        (self.barrier)();
    }

    /// Whether the call of a number is running.
    pub(crate) fn is_calling(&self, number: u32) -> bool {
        let Words {
            running, entered, ..
        } = &self.words;
        running.load(Ordering::SeqCst) == number || entered.load(Ordering::SeqCst) == number
    }

    /// Has `done` called once the call of `number` has returned, if it is running. The number is closed, and a barrier was
    /// executed since.
    pub(crate) fn await_return(&self, number: u32, begin: impl FnOnce() -> Waiting) {
        if !self.is_calling(number) {
            return;
        }
        lock(&self.waiting).push((number, begin()));
        self.words.awaited.store(1, Ordering::SeqCst);
        self.barrier();
        // It may have returned before it could see that it is awaited.
        if !self.is_calling(number) {
            self.finish(|waiting| waiting == number);
        }
    }

    /// What the caller does when its second word is not 0 after a call: lets go of what waited for it. Whether the call was
    /// refused. Only for the thread of the table.
    pub fn settle(&self) -> bool {
        if self.words.awaited.load(Ordering::Relaxed) != 0 {
            self.let_go();
        }
        self.words.refused.swap(0, Ordering::Relaxed) != 0
    }

    /// Says that the call which was begun goes another way, and counts itself. Only for the thread of the table.
    pub fn stand_aside(&self) {
        self.words.running.store(0, Ordering::Release);
    }

    /// Lets go of what waited for calls that have returned. Compiled JavaScript may be in a call that runs within one of the binding's, which
    /// goes on.
    #[cold]
    fn let_go(&self) {
        self.words.awaited.store(0, Ordering::SeqCst);
        self.finish(|number| !self.is_calling(number));
    }

    fn finish(&self, is_done: impl Fn(u32) -> bool) {
        let mut waiting = lock(&self.waiting);
        let done: Vec<_> = waiting
            .extract_if(.., |(number, _)| is_done(*number))
            .collect();
        if !waiting.is_empty() {
            self.words.awaited.store(1, Ordering::SeqCst);
        }
        drop(waiting);
        for (_, done) in done {
            done();
        }
    }

    /// Refuses all calls until as many times [`FastTable::resume`] was called: while a thread has callbacks, calls take the way
    /// on which JavaScript may run. Only for the thread of the table, while it makes no fast call.
    pub fn pause(&self) {
        let mut slots = self.slots();
        slots.paused += 1;
        let refusal = slots.refusal;
        slots
            .targets
            .iter()
            .for_each(|target| target.store(refusal, Ordering::Release));
    }

    /// Undoes one [`FastTable::pause`].
    pub fn resume(&self) {
        let mut slots = self.slots();
        slots.paused = slots.paused.saturating_sub(1);
        if slots.paused > 0 {
            return;
        }
        for (target, open) in slots.targets.iter().zip(&slots.open) {
            if *open != 0 {
                target.store(*open, Ordering::Release);
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Drop for FastTable {
    /// Its thread makes no calls any more.
    fn drop(&mut self) {
        self.finish(|_| true);
    }
}

impl Thunks {
    /// Those of a table whose words lie there.
    fn make(words: u64, most: u8) -> Self {
        let mut thunks = Self {
            bytes: Vec::new(),
            offsets: Vec::new(),
        };
        let all = (0..=most).map(|integers| thunk::thunk(words, integers));
        for code in all.chain([thunk::refusal()]) {
            let start = thunks.bytes.len().next_multiple_of(ALIGN);
            thunks.bytes.resize(start, 0);
            thunks.offsets.push(start);
            thunks.bytes.extend(code);
        }
        thunks
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
