//! What a memory may take of the system at most, where its embedder set a limit.

use crate::model::error::{Limit, Refusal};
use std::sync::atomic::{AtomicU64, Ordering};

/// What all blocks of a memory have taken, and may take.
#[derive(Debug)]
pub(crate) struct Budget {
    committed: Account,
    mappings: Account,
}

#[derive(Debug)]
struct Account {
    taken: AtomicU64,
    most: u64,
}

impl Account {
    const fn new(most: Option<u64>) -> Self {
        Self {
            taken: AtomicU64::new(0),
            most: match most {
                Some(most) => most,
                None => u64::MAX,
            },
        }
    }

    fn take(&self, more: u64) -> bool {
        let add = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= self.most);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, add).is_ok()
    }

    fn has(&self, more: u64) -> bool {
        let sum = self.taken.load(Ordering::Relaxed).checked_add(more);
        sum.is_some_and(|sum| sum <= self.most)
    }

    fn give_back(&self, less: u64) {
        self.taken.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Budget {
    /// Without limits where there is `None`.
    pub(crate) const fn new(max_committed: Option<u64>, max_mappings: Option<u64>) -> Self {
        Self {
            committed: Account::new(max_committed),
            mappings: Account::new(max_mappings),
        }
    }

    /// Refuses bytes that could not be committed now: before anything is made for them whose size is in proportion to theirs.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Refusal> {
        if self.committed.has(bytes) {
            Ok(())
        } else {
            Err(Refusal::foreseen("commit", bytes, Limit::MaxCommitted))
        }
    }

    /// Takes bytes of memory before they are committed.
    pub(crate) fn commit(&self, bytes: u64) -> Result<(), Refusal> {
        if self.committed.take(bytes) {
            Ok(())
        } else {
            Err(Refusal::foreseen("commit", bytes, Limit::MaxCommitted))
        }
    }

    /// Gives back bytes that are no longer committed.
    pub(crate) fn uncommit(&self, bytes: u64) {
        self.committed.give_back(bytes);
    }

    /// Takes mappings before they are made.
    pub(crate) fn map(&self, mappings: u64) -> Result<(), Refusal> {
        if self.mappings.take(mappings) {
            Ok(())
        } else {
            Err(Refusal::foreseen("map", 0, Limit::MaxMappings))
        }
    }

    /// Gives back mappings that are no longer there, or were not made after all.
    pub(crate) fn unmap(&self, mappings: u64) {
        self.mappings.give_back(mappings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_to_the_limit_and_takes_back() {
        let budget = Budget::new(Some(100), None);
        budget.commit(60).unwrap();
        budget.commit(40).unwrap();
        assert_eq!(budget.commit(1).unwrap_err().limit, Limit::MaxCommitted);
        assert!(budget.commit(u64::MAX).is_err());
        budget.uncommit(60);
        budget.check(60).unwrap();
        assert_eq!(budget.check(61), budget.commit(61));
        budget.commit(60).unwrap();
        budget.map(u64::MAX).unwrap();
        assert_eq!(
            Budget::new(None, Some(3)).map(4).unwrap_err().limit,
            Limit::MaxMappings
        );
    }
}
