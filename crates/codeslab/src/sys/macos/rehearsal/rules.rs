//! What macOS knows of memory and Linux does not: which is of `MAP_JIT`, which of that may be written and executed, and what mappings may be
//! used for at most. And the process that is rehearsed, which `CODESLAB_REHEARSAL` says.

use crate::model::address::{Address, Window};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// A machine, and a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rehearsed {
    /// Apple silicon: large pages, and the switch.
    Silicon,
    /// The same with a hardened runtime that may have `MAP_JIT`.
    Hardened,
    /// The same that may not.
    Unentitled,
    /// x86-64: small pages, and no switch.
    Intel,
}

impl Rehearsed {
    pub(super) fn of_process() -> Self {
        match std::env::var("CODESLAB_REHEARSAL").as_deref() {
            Ok("hardened") => Self::Hardened,
            Ok("unentitled") => Self::Unentitled,
            Ok("intel") => Self::Intel,
            _ => Self::Silicon,
        }
    }
}

thread_local! {
    /// The lock, while this thread forks: a kernel has none that a child could find locked.
    static KEPT: RefCell<Option<MutexGuard<'static, Rules>>> = const { RefCell::new(None) };
}

extern "C" fn keep() {
    let rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    KEPT.set(Some(rules));
}

extern "C" fn let_go() {
    drop(KEPT.take());
}

/// What is known of memory. Ranges of one list do not overlap.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) jit: Ranges,
    /// Of `MAP_JIT`, writable and executable: they keep that.
    pub(super) both: Ranges,
    /// Never to be writable.
    pub(super) restricted: Ranges,
    /// How many threads are switched to writing.
    pub(super) writing: usize,
    /// The list of mappings of the process with this number.
    maps: Option<(u32, File)>,
}

static RULES: Mutex<Rules> = Mutex::new(Rules {
    jit: Ranges(Vec::new()),
    both: Ranges(Vec::new()),
    restricted: Ranges(Vec::new()),
    writing: 0,
    maps: None,
});

thread_local! {
    /// Whether this thread is switched to writing.
    pub(super) static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

impl Rules {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        static FORKS: Once = Once::new();
        // SAFETY: the three functions lock and unlock, which a child may do.
        FORKS.call_once(|| unsafe {
            libc::pthread_atfork(Some(keep), Some(let_go), Some(let_go));
        });
        RULES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list of mappings, open. A forked child's is another.
    pub(super) fn maps(&mut self) -> Option<&File> {
        let process = std::process::id();
        if self
            .maps
            .as_ref()
            .is_none_or(|(owner, _)| *owner != process)
        {
            self.maps = Some((process, File::open("/proc/self/maps").ok()?));
        }
        self.maps.as_ref().map(|(_, file)| file)
    }

    /// Other memory is there from now on, or none.
    pub(super) fn forget(&mut self, range: Window) {
        self.jit.remove(range);
        self.both.remove(range);
        self.restricted.remove(range);
    }
}

#[derive(Debug)]
pub(super) struct Ranges(Vec<Window>);

impl Ranges {
    pub(super) fn iter(&self) -> impl Iterator<Item = Window> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn insert(&mut self, range: Window) {
        self.remove(range);
        self.0.push(range);
    }

    pub(super) fn touch(&self, range: Window) -> bool {
        self.iter().any(|one| one.intersect(range).is_some())
    }

    pub(super) fn cover(&self, range: Window) -> bool {
        let bytes = |window: Window| window.last().distance(window.first()) + 1;
        let parts = self.iter().filter_map(|one| one.intersect(range));
        parts.map(bytes).sum::<u64>() == bytes(range)
    }

    fn remove(&mut self, range: Window) {
        let (before, after) = (range.first().checked_sub(1), range.last().checked_add(1));
        let rests = |one: Window| {
            let lower = before.and_then(|end| Window::new(Address::new(0), end));
            let upper = after.and_then(|start| Window::new(start, Address::new(u64::MAX)));
            [lower, upper]
                .into_iter()
                .flatten()
                .filter_map(move |side| side.intersect(one))
        };
        self.0 = self.iter().flat_map(rests).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_where_other_memory_is() {
        let window = |first, last| Window::new(Address::new(first), Address::new(last)).unwrap();
        let mut ranges = Ranges(Vec::new());
        ranges.insert(window(10, 99));
        assert!(ranges.cover(window(10, 99)) && !ranges.cover(window(10, 100)));
        ranges.remove(window(30, 39));
        assert!(!ranges.touch(window(30, 39)));
        assert!(ranges.cover(window(10, 29)) && ranges.cover(window(40, 99)));
        ranges.insert(window(30, 39));
        assert!(ranges.cover(window(10, 99)));
        ranges.remove(window(0, u64::MAX));
        assert!(!ranges.touch(window(0, u64::MAX)));
    }
}
