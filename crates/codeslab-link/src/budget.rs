//! What one link may take, in proportion to what it is given.
//!
//! Files are small and can say much: members of an archive may lie in each other, names may be used again and again, a byte of code may
//! ask for a megabyte of alignment. A [`Budget`] is made from the lengths of all inputs before any of them is read. `format`, `resolve`
//! and `plan` spend from it before they work or take memory, and an input that asks for more than files of its size ever need is refused
//! with the resource that ran out. Everything else that a link does follows from what was spent: no step looks at everything again.

use crate::error::{Error, Resource, Result};
use std::cell::Cell;

/// What a link took, or may take at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Work {
    /// Bytes that the link was given: contents, tables and names.
    pub input: u64,
    /// Files that were cut out of archives.
    pub members: u64,
    /// Bytes of all objects that were parsed.
    pub parsed: u64,
    /// Entries of symbol tables and of the indexes of archives.
    pub symbols: u64,
    /// Bytes of names that were read, and entries of all other tables.
    pub steps: u64,
    /// Bytes that were written or copied: code, constants, data that is not zero, and names.
    pub bytes: u64,
}

/// Each member of an archive has a header of this size, in bytes.
const MEMBER_HEADER: u64 = 60;

/// The shortest entry of any table of symbols: that of an archive's index with an empty name, in bytes.
const SYMBOL_ENTRY: u64 = 3;

/// Names may share their ends, and an image has room for alignment; no compiler or archiver comes near this.
const FACTOR: u64 = 16;

/// Small inputs may take so much besides. Of the mebibyte that a link may take, a part stays for what it always needs; the rest counts
/// twice, because what is written is staged until it is published.
const STEPS_BESIDES: u64 = 1 << 16;
const BYTES_BESIDES: u64 = ((1 << 20) - (1 << 16)) / 2;

impl Work {
    /// What a link of so many bytes of input may take.
    #[must_use]
    pub const fn limit(input: u64) -> Self {
        Self {
            input,
            members: input / MEMBER_HEADER,
            parsed: input,
            symbols: input / SYMBOL_ENTRY,
            steps: input.saturating_mul(FACTOR).saturating_add(STEPS_BESIDES),
            bytes: input.saturating_mul(FACTOR).saturating_add(BYTES_BESIDES),
        }
    }

    /// Whether this is no more than `limit` in any respect.
    #[must_use]
    pub fn is_within(&self, limit: &Self) -> bool {
        self.input <= limit.input
            && Resource::ALL
                .iter()
                .all(|resource| self.of(*resource) <= limit.of(*resource))
    }

    const fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Members => self.members,
            Resource::Parsed => self.parsed,
            Resource::Symbols => self.symbols,
            Resource::Steps => self.steps,
            Resource::Bytes => self.bytes,
        }
    }
}

/// What is left of what a link may take.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Work,
    // By resource. Invariant: at most its limit.
    left: [Cell<u64>; Resource::ALL.len()],
}

impl Budget {
    /// That of a link of so many bytes.
    pub(crate) fn of(input: u64) -> Self {
        let limit = Work::limit(input);
        Self {
            limit,
            left: Resource::ALL.map(|resource| Cell::new(limit.of(resource))),
        }
    }

    /// Takes `amount` of a resource for `object`.
    ///
    /// # Errors
    /// [`Error::WorkBudget`] if so much is not left.
    #[inline]
    pub(crate) fn spend(&self, resource: Resource, amount: u64, object: &str) -> Result<()> {
        let left = &self.left[resource as usize];
        let rest = left.get().checked_sub(amount);
        left.set(rest.ok_or_else(|| self.exhausted(resource, object))?);
        Ok(())
    }

    /// Takes the steps that it takes to read a name.
    #[inline]
    pub(crate) fn read_name(&self, name: &[u8], object: &str) -> Result<()> {
        self.spend(Resource::Steps, name.len() as u64 + 1, object)
    }

    /// How many bytes all inputs have.
    pub(crate) const fn input(&self) -> u64 {
        self.limit.input
    }

    /// What was taken.
    pub(crate) fn spent(&self) -> Work {
        let spent =
            |resource: Resource| self.limit.of(resource) - self.left[resource as usize].get();
        Work {
            input: self.limit.input,
            members: spent(Resource::Members),
            parsed: spent(Resource::Parsed),
            symbols: spent(Resource::Symbols),
            steps: spent(Resource::Steps),
            bytes: spent(Resource::Bytes),
        }
    }

    #[cold]
    fn exhausted(&self, resource: Resource, object: &str) -> Error {
        Error::WorkBudget {
            object: object.to_owned(),
            resource,
            limit: self.limit.of(resource),
            input: self.limit.input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_can_be_spent_up_to_its_limit_and_no_further() {
        for resource in Resource::ALL {
            let budget = Budget::of(6000);
            let limit = Work::limit(6000).of(resource);
            assert_eq!(budget.spend(resource, limit - 1, "a.o"), Ok(()));
            assert_eq!(budget.spend(resource, 1, "a.o"), Ok(()));
            let error = budget.spend(resource, 1, "a.o").unwrap_err();
            let expected = Error::WorkBudget {
                object: "a.o".to_owned(),
                resource,
                limit,
                input: 6000,
            };
            assert_eq!(error, expected);
            let spent = budget.spent();
            assert_eq!(spent.of(resource), limit);
            assert!(spent.is_within(&Work::limit(6000)));
            assert!(!spent.is_within(&Work::limit(5000)));
        }
    }

    #[test]
    fn a_refused_amount_is_not_spent() {
        let budget = Budget::of(0);
        assert!(budget.spend(Resource::Bytes, u64::MAX, "a.o").is_err());
        assert_eq!(budget.spent(), Work::default());
    }

    #[test]
    fn no_length_of_input_is_too_large_for_a_limit() {
        assert_eq!(Work::limit(u64::MAX).steps, u64::MAX);
        assert_eq!(Budget::of(u64::MAX).spent().bytes, 0);
    }
}
