//! Slots that are free, in lists of the threads that fill them next.
//!
//! A free slot says in its own word which one follows it, so a list is the number of its first slot and a count, and a slot is taken or
//! given back with plain loads and stores. Each thread has the slot that it gave back last, in no list, and two lists for each table, of up
//! to [`LENGTH`] slots: one that it takes from and adds to, and one that is full, or empty. So a thread that frees and fills in turns does
//! not come here again and again for a list that another thread has, or that none needs. Lists that no thread has are behind a lock, to
//! which whole lists go; so does all that a thread has when it ends.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// Follows the last slot of a list; no slot has this number.
pub(super) const NONE: u32 = 0x7fff_ffff;
/// Slots of a list that is full.
const LENGTH: u32 = 32;
/// How many tables there are.
const TABLES: usize = 2;

/// Slots that follow each other.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        first: NONE,
        count: 0,
    };

    /// A slot that nothing follows, or none.
    const fn of(slot: u32) -> Self {
        let count = (slot != NONE) as u32;
        Self { first: slot, count }
    }

    const fn is_empty(self) -> bool {
        self.count == 0
    }
}

/// The lists of each table that no thread has.
static LISTS: [Mutex<Vec<List>>; TABLES] = [const { Mutex::new(Vec::new()) }; TABLES];

thread_local! {
    // Without a destructor, so that it costs nothing to look at: `END` has it.
    static KEPT: [Kept; TABLES] = const { [const { Kept::new() }; TABLES] };
    static END: End = const { End };
}

/// The lists of one table that a thread has.
struct Kept {
    // The slot that was given back last, in no list; or none. An object is mostly freed before the next is made.
    last: Cell<u32>,
    current: Cell<List>,
    // Full or empty.
    other: Cell<List>,
    // Slots that `current` may have: none before `END` is there, and when it is gone.
    room: Cell<u32>,
}

impl Kept {
    const fn new() -> Self {
        Self {
            last: Cell::new(NONE),
            current: Cell::new(List::EMPTY),
            other: Cell::new(List::EMPTY),
            room: Cell::new(0),
        }
    }

    /// Room for one more slot in `current`, if this thread may have any.
    #[cold]
    fn make_room(&self, table: usize) -> bool {
        if self.room.get() == 0 {
            // A thread that is ending cannot give back later what it takes now.
            if END.try_with(|_| ()).is_err() {
                return false;
            }
            self.room.set(LENGTH);
        }
        if self.current.get().count == LENGTH {
            let full = self.other.replace(self.current.replace(List::EMPTY));
            give_away(table, full);
        }
        true
    }
}

/// Gives a thread's lists away when the thread ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        KEPT.with(|kept| {
            for (table, kept) in kept.iter().enumerate() {
                kept.room.set(0);
                give_away(table, List::of(kept.last.replace(NONE)));
                give_away(table, kept.current.replace(List::EMPTY));
                give_away(table, kept.other.replace(List::EMPTY));
            }
        });
    }
}

#[cold]
fn give_away(table: usize, list: List) {
    let Some(lists) = LISTS.get(table).filter(|_| !list.is_empty()) else {
        return;
    };
    let mut lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
    lists.push(list);
}

/// Takes the slot that this thread gave back last, or the first of its list; `find` says where it is, and what follows it. `None` if there
/// is none: see [`fetch`].
#[inline(always)]
pub(super) fn take<const TABLE: usize, S>(
    find: impl Fn(u32) -> Option<(S, u32)>,
) -> Option<(u32, S)> {
    KEPT.with(|kept| {
        let kept = kept.get(TABLE)?;
        let last = kept.last.get();
        if last == NONE {
            return take_listed(kept, &find);
        }
        kept.last.set(NONE);
        Some((last, find(last)?.0))
    })
}

#[inline(never)]
fn take_listed<S>(kept: &Kept, find: &impl Fn(u32) -> Option<(S, u32)>) -> Option<(u32, S)> {
    let List { first, count } = kept.current.get();
    if count == 0 {
        return None;
    }
    let (slot, next) = find(first)?;
    kept.current.set(List {
        first: next,
        count: count - 1,
    });
    Some((first, slot))
}

/// Adds a slot to those of this thread; `link` is told what follows it, and has the slot say so.
#[inline(always)]
pub(super) fn add<const TABLE: usize>(slot: u32, link: impl Fn(u32)) {
    KEPT.with(|kept| {
        let Some(kept) = kept.get(TABLE) else {
            return;
        };
        if kept.last.get() == NONE && kept.room.get() > 0 {
            link(NONE);
            kept.last.set(slot);
        } else {
            add_listed(kept, TABLE, slot, &link);
        }
    });
}

#[inline(never)]
fn add_listed(kept: &Kept, table: usize, slot: u32, link: &impl Fn(u32)) {
    if kept.current.get().count >= kept.room.get() && !kept.make_room(table) {
        link(NONE);
        return give_away(table, List::of(slot));
    }
    let List { first, count } = kept.current.get();
    link(first);
    kept.current.set(List {
        first: slot,
        count: count + 1,
    });
}

/// A slot for a thread whose list is empty, and more for its next calls; `next` says what follows a slot. `None` if no slot is free.
#[cold]
pub(super) fn fetch<const TABLE: usize>(next: impl FnOnce(u32) -> u32) -> Option<u32> {
    KEPT.with(|kept| {
        let kept = kept.get(TABLE)?;
        let mut list = kept.other.replace(List::EMPTY);
        if list.is_empty() {
            let lists = LISTS.get(TABLE)?;
            list = lists.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        }
        let left = List {
            first: next(list.first),
            count: list.count - 1,
        };
        if kept.room.get() > 0 || kept.make_room(TABLE) {
            kept.current.set(left);
        } else {
            give_away(TABLE, left);
        }
        Some(list.first)
    })
}
