//! What a memory may take of the system at most, where its embedder set a limit.

use crate::model::error::{Limit, Refusal};
use std::sync::atomic::{AtomicU64, Ordering};

/// What all blocks of a memory have taken, and may take.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In bytes.
    pub(crate) committed: Account,
    pub(crate) mappings: Account,
}

/// A number of things. They are taken before they are made, and given back when they are gone, or were not made after all.
#[derive(Debug)]
pub(crate) struct Account {
    taken: AtomicU64,
    most: u64,
    limit: Limit,
}

impl Account {
    fn new(most: Option<u64>, limit: Limit) -> Self {
        Self {
            taken: AtomicU64::new(0),
            most: most.unwrap_or(u64::MAX),
            limit,
        }
    }

    /// Refuses what could not be taken now: before anything is made for it whose size is in proportion.
    pub(crate) fn check(&self, more: u64) -> Result<(), Refusal> {
        let sum = self.sum(self.taken.load(Ordering::Relaxed), more);
        sum.map(drop).ok_or_else(|| self.refusal(more))
    }

    pub(crate) fn take(&self, more: u64) -> Result<(), Refusal> {
        let (add, order) = (|taken| self.sum(taken, more), Ordering::Relaxed);
        let taken = self.taken.fetch_update(order, order, add);
        taken.map(drop).map_err(|_| self.refusal(more))
    }

    pub(crate) fn give_back(&self, less: u64) {
        self.taken.fetch_sub(less, Ordering::Relaxed);
    }

    fn sum(&self, taken: u64, more: u64) -> Option<u64> {
        taken.checked_add(more).filter(|sum| *sum <= self.most)
    }

    fn refusal(&self, more: u64) -> Refusal {
        match self.limit {
            Limit::MaxCommitted => Refusal::foreseen("commit", more, self.limit),
            _ => Refusal::foreseen("map", 0, self.limit),
        }
    }
}

impl Budget {
    /// Without limits where there is `None`.
    pub(crate) fn new(max_committed: Option<u64>, max_mappings: Option<u64>) -> Self {
        Self {
            committed: Account::new(max_committed, Limit::MaxCommitted),
            mappings: Account::new(max_mappings, Limit::MaxMappings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_to_the_limit_and_takes_back() {
        let Budget {
            committed,
            mappings,
        } = Budget::new(Some(100), None);
        committed.take(60).unwrap();
        committed.take(40).unwrap();
        assert_eq!(committed.take(1).unwrap_err().limit, Limit::MaxCommitted);
        assert!(committed.take(u64::MAX).is_err());
        committed.give_back(60);
        committed.check(60).unwrap();
        assert_eq!(committed.check(61), committed.take(61));
        committed.take(60).unwrap();
        mappings.take(u64::MAX).unwrap();
        assert_eq!(
            Budget::new(None, Some(3))
                .mappings
                .take(4)
                .unwrap_err()
                .limit,
            Limit::MaxMappings
        );
    }
}
