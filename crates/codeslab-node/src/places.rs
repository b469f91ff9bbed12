//! Which published code and data is at an address, for questions by name.
//!
//! Images are entered when they are linked, sections of allocations when they are named, each by its addresses, until what was published
//! is dropped. It takes a lock and an entry for each, so what has no name is not here: a memory finds that without. `published` enters
//! and leaves, `lookup` asks.

use crate::grace::Code;
use codeslab::Address;
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// By the first address, and which of all that ever began there it is.
type Places = BTreeMap<(u64, usize), Place>;

static PLACES: RwLock<Places> = RwLock::new(BTreeMap::new());

struct Place {
    end: u64,
    code: Weak<dyn Code>,
}

/// What was entered of something published.
#[derive(Debug, Default)]
pub(crate) struct Entered(Mutex<Vec<Part>>);

/// Part of what was published, with a name unless it knows better itself.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) start: Address,
    pub(crate) size: u64,
    pub(crate) name: Option<Box<str>>,
}

impl Part {
    fn contains(&self, address: Address) -> bool {
        let offset = address.value().checked_sub(self.start.value());
        offset.is_some_and(|offset| offset < self.size)
    }
}

impl Entered {
    /// Enters parts of `code`, which has this.
    pub(crate) fn add(&self, code: &Arc<impl Code>, parts: Vec<Part>) {
        let identity = Arc::as_ptr(code).addr();
        let mut places = PLACES.write().unwrap_or_else(PoisonError::into_inner);
        for part in &parts {
            let place = Place {
                end: part.start.value().saturating_add(part.size),
                code: Arc::downgrade(code) as Weak<dyn Code>,
            };
            places.insert((part.start.value(), identity), place);
        }
        drop(places);
        let mut entered = self.lock();
        if entered.is_empty() {
            *entered = parts;
        } else {
            entered.extend(parts);
        }
    }

    /// Takes out what was entered of `code`: as the last thing that is done with it.
    pub(crate) fn leave(&self, code: *const impl Code) {
        let parts = mem::take(&mut *self.lock());
        if parts.is_empty() {
            return;
        }
        let mut places = PLACES.write().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            places.remove(&(part.start.value(), code.addr()));
        }
    }

    /// Whether a part begins there.
    pub(crate) fn has(&self, start: Address) -> bool {
        self.lock().iter().any(|part| part.start == start)
    }

    /// The part around an address.
    pub(crate) fn part(&self, address: Address) -> Option<Part> {
        let parts = self.lock();
        parts.iter().find(|part| part.contains(address)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is entered at an address. Where something was freed that a handle keeps, other code may lie by now.
pub(crate) fn find(address: Address) -> Option<Arc<dyn Code>> {
    // Dropped when nothing is locked any more: that may free an image, which leaves.
    let mut seen = Vec::new();
    let places = PLACES.read().unwrap_or_else(PoisonError::into_inner);
    let mut is_found = false;
    for (_, place) in places.range(..=(address.value(), usize::MAX)).rev() {
        let Some(code) = place.code.upgrade() else {
            continue;
        };
        let is_there = code.is_there();
        seen.push(code);
        // What is there does not overlap, so nothing before this reaches further.
        if is_there {
            is_found = address.value() < place.end;
            break;
        }
    }
    drop(places);
    seen.pop().filter(|_| is_found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Fake {
        is_freed: AtomicBool,
        entered: Entered,
    }

    impl Code for Fake {
        fn is_there(&self) -> bool {
            !self.is_freed.load(Ordering::SeqCst)
        }

        fn is_running(&self) -> bool {
            false
        }
    }

    fn enter(start: u64, size: u64) -> Arc<Fake> {
        let fake = Arc::new(Fake::default());
        let part = Part {
            start: Address::new(start),
            size,
            name: None,
        };
        fake.entered.add(&fake, vec![part]);
        fake
    }

    // One test: places are those of the process.
    #[test]
    fn what_is_there_is_found_by_all_of_its_addresses_and_hides_behind_nothing_that_was_freed() {
        let found = |address| {
            let code = find(Address::new(address))?;
            Some(Arc::as_ptr(&code).cast::<()>().addr())
        };
        let of = |fake: &Arc<Fake>| Some(Arc::as_ptr(fake).cast::<()>().addr());
        let (first, second) = (enter(0x1000, 0x100), enter(0x2000, 0x100));
        assert_eq!(found(0x10ff), of(&first));
        assert_eq!(found(0x2000), of(&second));
        assert_eq!(
            (found(0xfff), found(0x1100), found(0x2100)),
            (None, None, None)
        );

        // A handle keeps what was freed, and something larger lies there by now.
        second.is_freed.store(true, Ordering::SeqCst);
        assert_eq!(found(0x2000), None);
        let third = enter(0x1f00, 0x400);
        assert_eq!((found(0x2000), found(0x22ff)), (of(&third), of(&third)));

        assert!(first.entered.part(Address::new(0x1010)).is_some());
        for fake in [first, second, third] {
            fake.entered.leave(Arc::as_ptr(&fake));
        }
        assert_eq!((found(0x1000), found(0x2000)), (None, None));
    }
}
