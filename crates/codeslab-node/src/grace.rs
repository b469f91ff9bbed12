//! Grace periods of JavaScript's calls: when no thread can be where it was before something was replaced.
//!
//! Code that JavaScript can call is watched here, by its addresses. What was taken out of use, and promises that wait for the same, are
//! held until every call that was running at that time has been seen to return: a call that begins later arrives at what is in use now.
//! There is one period at a time for the whole process; what comes during one waits for the next, so that replacing is cheap however
//! often it is done. `slot` retires, `published` is watched, and JavaScript polls while something waits.

use codeslab::Address;
use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Code that JavaScript may be calling.
pub(crate) trait Code: Any + Send + Sync {
    /// Whether it has not been freed.
    fn is_there(&self) -> bool;

    /// Whether a call of it is running, in any thread.
    fn is_running(&self) -> bool;
}

/// What may go, or becomes true, after a grace period.
type Waiting = Box<dyn Any + Send>;

/// All code that is watched.
static CODES: Mutex<BTreeMap<Key, Watched>> = Mutex::new(BTreeMap::new());

static PERIODS: Mutex<Periods> = Mutex::new(Periods {
    running: Vec::new(),
    waiting: Vec::new(),
    later: Vec::new(),
});

/// The first address of code, and which of all that ever began there it is.
type Key = (u64, usize);

struct Watched {
    end: u64,
    code: Weak<dyn Code>,
}

struct Periods {
    /// Code of which calls of the present period have not been seen to return.
    running: Vec<Weak<dyn Code>>,
    /// What waits for its end.
    waiting: Vec<Waiting>,
    /// What waits for the end of the next one.
    later: Vec<Waiting>,
}

/// Says when a grace period is over.
#[derive(Debug)]
pub(crate) struct Completion(Arc<AtomicBool>);

impl Completion {
    /// Whether it is. Looks whether it may be.
    pub(crate) fn is_complete(&self) -> bool {
        poll();
        self.0.load(Ordering::Acquire)
    }
}

/// Sets its flag when the period is over.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Watches code that lies at these addresses, from now on until [`forget`].
pub(crate) fn watch(start: Address, size: u64, code: &Arc<impl Code>) {
    let end = start.value().saturating_add(size);
    let key = (start.value(), Arc::as_ptr(code).addr());
    let code: Weak<dyn Code> = Arc::downgrade(code) as Weak<dyn Code>;
    lock(&CODES).insert(key, Watched { end, code });
}

/// Watches code no more.
pub(crate) fn forget(start: Address, code: *const impl Code) {
    lock(&CODES).remove(&(start.value(), code.addr()));
}

/// The code that an address lies in, if that is watched. Where code was freed that a handle keeps, other code may lie by now: what is
/// there goes before what was.
pub(crate) fn find(address: Address) -> Option<Arc<dyn Code>> {
    // Dropped when nothing is locked any more.
    let mut gone = Vec::new();
    let codes = lock(&CODES);
    let before = codes.range(..=(address.value(), usize::MAX)).rev();
    let around = before.filter(|(_, watched)| address.value() < watched.end);
    for code in around.filter_map(|(_, watched)| watched.code.upgrade()) {
        if code.is_there() {
            return Some(code);
        }
        gone.push(code);
    }
    drop(codes);
    gone.into_iter().next()
}

/// Drops something after a grace period. What took its place is in use already. Whether something waits then.
pub(crate) fn retire(waiting: impl Any + Send) -> bool {
    lock(&PERIODS).later.push(Box::new(waiting));
    poll()
}

/// Says when every call that is running now has returned.
pub(crate) fn synchronize() -> Completion {
    let flag = Arc::new(AtomicBool::new(false));
    retire(Flag(Arc::clone(&flag)));
    Completion(flag)
}

/// Ends the period if it is over, and begins the next one if something waits for it. Whether something waits still.
pub(crate) fn poll() -> bool {
    loop {
        // Dropped when nothing is locked any more: that may drop the code, and retire something in turn.
        let mut seen = Vec::new();
        let mut periods = lock(&PERIODS);
        periods.running.retain(|code| is_running(code, &mut seen));
        if !periods.running.is_empty() {
            return true;
        }
        let over = mem::take(&mut periods.waiting);
        periods.waiting = mem::take(&mut periods.later);
        let goes_on = !periods.waiting.is_empty();
        if goes_on {
            periods.running = running(&mut seen);
        }
        drop(periods);
        // Dropping it frees memory, and may retire something else.
        drop(over);
        if !goes_on {
            return false;
        }
    }
}

/// The code of which calls are running.
fn running(seen: &mut Vec<Arc<dyn Code>>) -> Vec<Weak<dyn Code>> {
    // A call that does not show itself as running after this arrives at what was in use before it.
    codeslab::process_barrier();
    let codes = lock(&CODES);
    let weak = codes.values().map(|watched| &watched.code);
    let running = weak.filter(|code| is_running(code, seen));
    running.map(Weak::clone).collect()
}

/// Whether code is there and running. It is kept until the caller drops what was `seen`.
fn is_running(code: &Weak<dyn Code>, seen: &mut Vec<Arc<dyn Code>>) -> bool {
    let Some(code) = code.upgrade() else {
        return false;
    };
    let is_running = code.is_running();
    seen.push(code);
    is_running
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake(AtomicBool);

    impl Code for Fake {
        fn is_there(&self) -> bool {
            true
        }

        fn is_running(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }

    // One test: periods are those of the process.
    #[test]
    fn what_is_retired_goes_when_all_calls_that_ran_then_have_returned_and_not_before() {
        let (one, two) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
        watch(Address::new(0x1000), 0x100, &one);
        watch(Address::new(0x2000), 0x100, &two);
        assert!(synchronize().is_complete(), "nothing runs");

        one.0.store(true, Ordering::SeqCst);
        let retired = Arc::new(());
        assert!(retire(Arc::clone(&retired)));
        // This one begins later, so the first period does not wait for it; the next one does.
        two.0.store(true, Ordering::SeqCst);
        let later = synchronize();
        assert!(!later.is_complete());
        one.0.store(false, Ordering::SeqCst);
        assert!(!later.is_complete());
        assert_eq!(Arc::strong_count(&retired), 1, "its period is over");
        // Code that is gone runs no more.
        drop(two);
        assert!(later.is_complete());
        assert!(!poll());

        let found = |address| find(Address::new(address)).is_some();
        assert!(
            found(0x1000) && found(0x10ff) && !found(0x1100) && !found(0xfff) && !found(0x2000)
        );
        forget(Address::new(0x1000), std::ptr::null::<Fake>());
        assert!(found(0x1000), "that was another one");
        forget(Address::new(0x1000), Arc::as_ptr(&one));
        assert!(!found(0x1000));
    }
}
