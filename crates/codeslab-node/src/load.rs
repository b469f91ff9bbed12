//! How much memory JavaScript's objects keep outside of V8's heap, which V8 cannot see.
//!
//! V8 collects sooner when it knows. What is made and freed is added up here and told in larger steps, because telling costs a
//! call. A [`Weight`] is that of one allocation or image: its handle and the functions made from it share it, as each of them
//! keeps the memory; freeing takes it away. `handles` does the telling.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Bytes that are added up before V8 is told.
const STEP: i64 = 1 << 20;

/// Bytes that are made before it is looked what V8 has collected; plus a part of what there is, since looking takes as long as
/// there are handles.
const SWEEP: i64 = 32 << 20;

/// What one environment keeps.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// What V8 has not been told yet.
    untold: Cell<i64>,
    told: Cell<i64>,
    made_since_sweep: Cell<i64>,
}

/// The weight of one thing, until it is dropped or freed.
#[derive(Debug)]
pub(crate) struct Weight {
    load: Rc<Load>,
    bytes: Cell<i64>,
}

impl Load {
    /// By how much what V8 knows has to be changed, once that is worth it. It counts as told then.
    pub(crate) fn change(&self) -> Option<i64> {
        let untold = self.untold.get();
        if untold.abs() < STEP {
            return None;
        }
        self.untold.set(0);
        self.told.set(self.told.get() + untold);
        Some(untold)
    }

    /// So many bytes are there from now on.
    fn add(&self, bytes: i64) {
        self.untold.set(self.untold.get() + bytes);
        self.made_since_sweep
            .set(self.made_since_sweep.get() + bytes);
    }

    /// So many bytes are gone.
    fn remove(&self, bytes: i64) {
        self.untold.set(self.untold.get() - bytes);
    }

    /// As a [`Weight`] that is kept elsewhere: so many bytes are there from now on.
    pub(crate) fn take_up(&self, bytes: u64) {
        self.add(signed(bytes));
    }

    /// Bytes that were taken up are gone.
    pub(crate) fn let_go(&self, bytes: u64) {
        self.remove(signed(bytes));
    }

    /// Whether so much was made that sweeping is worth what it costs.
    pub(crate) fn is_sweep_due(&self) -> bool {
        self.made_since_sweep.get() >= SWEEP + self.told.get() / 8
    }

    /// Begins to count anew.
    pub(crate) fn note_sweep(&self) {
        self.made_since_sweep.set(0);
    }
}

/// No address space has more.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(0).min(1 << 47)
}

impl Weight {
    /// Something of so many bytes, which is there from now on.
    pub(crate) fn new(load: &Rc<Load>, bytes: u64) -> Self {
        load.take_up(bytes);
        Self::of_taken_up(load, bytes)
    }

    /// The weight of bytes that were taken up before.
    pub(crate) fn of_taken_up(load: &Rc<Load>, bytes: u64) -> Self {
        Self {
            load: Rc::clone(load),
            bytes: Cell::new(signed(bytes)),
        }
    }

    /// It is gone, although objects that had it are not.
    pub(crate) fn clear(&self) {
        self.load.remove(self.bytes.take());
    }
}

/// A weight that others may come to share. Most are never shared, so the count is made when the first asks.
#[derive(Debug)]
pub(crate) struct SharedWeight {
    // Invariant: nothing, once `shared` has it.
    alone: Weight,
    shared: OnceCell<Rc<Weight>>,
}

impl SharedWeight {
    pub(crate) fn new(alone: Weight) -> Self {
        let shared = OnceCell::new();
        Self { alone, shared }
    }

    /// It is there as long as what this gives.
    pub(crate) fn share(&self) -> Rc<Weight> {
        let shared = || {
            Rc::new(Weight {
                load: Rc::clone(&self.alone.load),
                bytes: Cell::new(self.alone.bytes.take()),
            })
        };
        Rc::clone(self.shared.get_or_init(shared))
    }

    /// It is gone, although objects that have it are not.
    pub(crate) fn clear(&self) {
        self.shared
            .get()
            .map_or(&self.alone, |shared| shared)
            .clear();
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v8_is_told_in_steps_and_in_the_end_of_as_much_less_as_of_more() {
        let load = Rc::new(Load::default());
        let light = Weight::new(&load, 1000);
        assert_eq!(load.change(), None, "it is not worth a call");
        let heavy = Weight::new(&load, 1 << 20);
        assert_eq!(load.change(), Some((1 << 20) + 1000));
        heavy.clear();
        drop(heavy);
        drop(light);
        assert_eq!(load.change(), Some(-(1 << 20) - 1000));
        assert_eq!(load.change(), None);
    }

    #[test]
    fn what_is_shared_weighs_as_much_as_before_and_until_the_last_is_gone_or_it_is_freed() {
        let load = Rc::new(Load::default());
        let (kept, freed) = (
            SharedWeight::new(Weight::new(&load, 2 << 20)),
            SharedWeight::new(Weight::new(&load, 3 << 20)),
        );
        assert_eq!(load.change(), Some(5 << 20));
        let (first, second) = (kept.share(), kept.share());
        drop((kept, first));
        assert_eq!(load.change(), None);
        drop(second);
        assert_eq!(load.change(), Some(-2 << 20));
        let shared = freed.share();
        freed.clear();
        assert_eq!(load.change(), Some(-3 << 20));
        drop((freed, shared));
        assert_eq!(load.change(), None);
    }

    #[test]
    fn it_is_time_to_sweep_when_much_was_made_however_much_of_it_was_freed() {
        let load = Rc::new(Load::default());
        for _ in 0..31 {
            drop(Weight::new(&load, 1 << 20));
        }
        assert!(!load.is_sweep_due());
        drop(Weight::new(&load, 1 << 20));
        assert!(load.is_sweep_due());
        load.note_sweep();
        assert!(!load.is_sweep_due());
    }
}
