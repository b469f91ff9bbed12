//! What happens to allocations in flight when they are published: one, or many at once, in one part or in two.
#![allow(
    clippy::inline_always,
    reason = "what is in flight stays in its slot, and what comes of it is made in the next, if all of this is one function"
)]

use crate::failure::Result;
use crate::object::{
    IN_FLIGHT, InFlight, MixedInFlight, MixedPlaced, Object, Placed, insert, take, take_all, vacant,
};
use codeslab::{CodeMemory, InFlightAllocation};

impl InFlight {
    /// Publishes it, which leaves nothing that could be done anything with, and gives a handle to what that yields.
    #[inline(always)]
    pub(crate) fn finalize(&mut self) -> Result<u64> {
        let vacant = vacant()?;
        let placed = match self {
            Self::Standard(part) => Placed::Standard(part.finalize_in_place()?),
            Self::Mixed(parts) => parts.finalize()?,
        };
        Ok(vacant.fill(Object::Allocation(placed)).publish())
    }
}

impl MixedInFlight {
    #[cold]
    fn finalize(&mut self) -> Result<Placed> {
        let standard = self.standard.take().map(InFlightAllocation::finalize);
        let temporary = self.temporary.take().map(InFlightAllocation::finalize);
        Ok(Placed::Mixed(Box::new(MixedPlaced {
            standard: standard.transpose()?,
            temporary: temporary.transpose()?,
        })))
    }
}

/// Handles for all, or for none: nobody would know those that there are when the last one is gone.
pub(crate) fn insert_all(published: Vec<Placed>) -> Result<Vec<u64>> {
    let mut values = Vec::with_capacity(published.len());
    for one in published {
        match insert(Object::Allocation(one)) {
            Ok(value) => values.push(value),
            Err(failure) => {
                for value in values {
                    drop(take::<Placed>(value));
                }
                return Err(failure);
            }
        }
    }
    Ok(values)
}

pub(crate) fn finalize_all(memory: &CodeMemory, handles: &[u64]) -> Result<Vec<Placed>> {
    let taken = take_all(handles, |handle| IN_FLIGHT.change(handle), |_| true)?;
    let (mut batch, mut parts) = (Vec::new(), Vec::new());
    for one in taken {
        match one {
            InFlight::Standard(part) => {
                parts.push(None);
                batch.push(part);
            }
            InFlight::Mixed(both) => {
                parts.push(Some((both.standard.is_some(), both.temporary.is_some())));
                batch.extend(both.standard);
                batch.extend(both.temporary);
            }
        }
    }
    let mut published = memory.finalize_all(batch)?.into_iter();
    // There are as many as there were in the batch.
    let placed = parts.into_iter().filter_map(|parts| match parts {
        None => published.next().map(Placed::Standard),
        Some((has_standard, has_temporary)) => {
            let mut next = |is_there: bool| is_there.then(|| published.next()).flatten();
            Some(Placed::Mixed(Box::new(MixedPlaced {
                standard: next(has_standard),
                temporary: next(has_temporary),
            })))
        }
    });
    Ok(placed.collect())
}
