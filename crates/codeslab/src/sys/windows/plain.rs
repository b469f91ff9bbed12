//! Reservations on systems without placeholders: before Windows 10 1803.
//!
//! Private memory is committed in its place there, which takes nothing from this file. What does is an alignment above the granularity:
//! the system does not take one, so a place is looked for.

use super::mm::{self, Free};
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};

/// How often a place is looked for again after another thread took it.
const ATTEMPTS: usize = 16;

/// Reserves wherever the system likes, at a multiple of `align`: reserves more, gives it back, and takes the part that is aligned, if no
/// other thread was faster.
pub(super) fn reserve(size: u64, align: u64) -> Result<Address, Refusal> {
    let occupied = Refusal::foreseen("VirtualAlloc", size, Limit::Occupied);
    let padded = size.checked_add(align);
    let padded = padded.ok_or(Refusal::foreseen("VirtualAlloc", size, Limit::AddressSpace))?;
    for _ in 0..ATTEMPTS {
        let found = mm::reserve_plain(Address::new(0), padded)?;
        // SAFETY: it was reserved just now, and told to no other code.
        unsafe { mm::free(found, padded, Free::Release) }?;
        let aligned = Address::new(found.value().next_multiple_of(align));
        match mm::reserve_plain(aligned, size) {
            Err(refusal) if refusal.is_occupied() => {}
            answer => return answer,
        }
    }
    Err(occupied)
}
