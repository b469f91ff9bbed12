//! Whether a writer works here: write a function that returns 42 the way the writer does, call it.
//!
//! Probing finds what no version number tells: policies, limits, missing hardware. `capabilities` asks for every writer, opening a memory
//! for those that suit its options. Everything that a probe maps is its own, in a reservation of one granule that it releases. Ports call
//! it for the writers that they have; it uses nothing of them but the contract.
#![allow(
    unsafe_code,
    reason = "it maps, writes and calls a function of its own"
)]
#![allow(dead_code, reason = "a target without a port probes nothing")]

use super::arch::{Native, Processor};
use super::{Platform, Probed};
use crate::model::address::Address;

use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use std::ptr::NonNull;

const ANSWER: &[u8] = Native::ANSWER;

/// What is refused if the function returns something else.
const WRONG_ANSWER: &str = "a call of written code";

/// A granule that is reserved for a probe, and released with it. No code but the probe knows its address.
struct Granule<'p> {
    platform: &'p dyn Platform,
    at: Address,
    size: u64,
}

impl<'p> Granule<'p> {
    fn reserve(platform: &'p dyn Platform) -> Result<Self, Refusal> {
        let size = platform.facts().granularity;
        let at = platform.reserve(size, size)?;
        Ok(Self { platform, at, size })
    }

    /// Calls the function that was written.
    ///
    /// # Safety
    /// - The answer was written to the granule, which is executable.
    unsafe fn call(&self) -> Result<(), Refusal> {
        let written = (self.at, ANSWER.len() as u64);
        // SAFETY: the granule is executable, so it is mapped, and stays so: only this probe knows it.
        unsafe { self.platform.synchronize_instructions(&[written]) };
        // SAFETY: a function of that type was written there, the granule is executable, and fetches see it.
        let function: extern "C" fn() -> i32 =
            unsafe { std::mem::transmute(self.at.value() as *const ()) };
        if function() == 42 {
            Ok(())
        } else {
            Err(Refusal::foreseen(WRONG_ANSWER, 0, Limit::Unknown))
        }
    }
}

impl Drop for Granule<'_> {
    fn drop(&mut self) {
        // SAFETY: the reservation is whole, and known to the probe alone, whose calls have returned. Should it be refused, the granule
        // stays reserved.
        let _ = unsafe { self.platform.release(self.at, self.size) };
    }
}

pub(super) fn probe(platform: &dyn Platform, writer: Writer, file_size: u64) -> Probed {
    let granule = Granule::reserve(platform)?;
    let file = match writer {
        Writer::DualMapping | Writer::FileWrite => write_through_file(&granule, writer, file_size),
        Writer::Protect => write_before_protecting(&granule).map(|()| None),
        Writer::SelfMem => write_as_a_file(&granule).map(|()| None),
        Writer::Pkeys | Writer::MapJit => write_keyed(&granule).map(|()| None),
    }?;
    // SAFETY: each of these functions has written the answer and made the granule executable, if it did not fail.
    unsafe { granule.call() }.map(|()| file)
}

/// Writes past the view, as fresh pages are filled: all that a store through it would add is time.
fn write_through_file(granule: &Granule<'_>, writer: Writer, file_size: u64) -> Probed {
    // As large as they will be: there are limits on that. It costs nothing but the granule that is written.
    let file = granule.platform.create_file(file_size.max(granule.size))?;
    // SAFETY: the file was made just now and is mapped nowhere.
    unsafe { file.write(0, ANSWER) }?;
    if writer == Writer::DualMapping {
        let view = file.map_view(0, granule.size, false)?;
        // SAFETY: the view is whole and not sealed, and its pointer is not used any more.
        unsafe { granule.platform.unmap_view(view, granule.size) };
    }
    // SAFETY: the granule is reserved and not mapped, and known to this probe alone.
    unsafe { file.map_at(granule.at, 0, granule.size, Protection::ReadExecute) }?;
    Ok(Some(file))
}

fn write_before_protecting(granule: &Granule<'_>) -> Result<(), Refusal> {
    let (platform, at, size) = (granule.platform, granule.at, granule.size);
    // SAFETY: the granule is reserved and not mapped, and known to this probe alone.
    let start = unsafe { platform.map_private(at, size, Protection::ReadWrite) }?;
    // SAFETY: the granule is writable, longer than the answer, and known to this probe alone; the answer is a constant elsewhere.
    unsafe { start.copy_from_nonoverlapping(NonNull::from(ANSWER).cast(), ANSWER.len()) };
    // SAFETY: the granule is private memory that this probe alone knows, and it does not write there any more.
    unsafe { platform.protect(at, size, Protection::ReadExecute) }
}

fn write_as_a_file(granule: &Granule<'_>) -> Result<(), Refusal> {
    let (platform, at, size) = (granule.platform, granule.at, granule.size);
    // SAFETY: the granule is reserved and not mapped, and known to this probe alone.
    unsafe { platform.map_private(at, size, Protection::ReadExecute) }?;
    // SAFETY: the granule is private memory that this probe alone knows, and the answer is a constant outside of it.
    unsafe { platform.write_self(at, ANSWER) }
}

fn write_keyed(granule: &Granule<'_>) -> Result<(), Refusal> {
    // SAFETY: the granule is reserved and not mapped, and known to this probe alone.
    unsafe { granule.platform.map_keyed(granule.at, granule.size) }?;
    // SAFETY: the granule was mapped so just now, this probe alone knows it, and the answer is a constant that is under no key.
    unsafe { granule.platform.write_keyed(granule.at, ANSWER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_writer_writes_is_what_runs_unless_the_system_refuses_the_writer() {
        let Ok(platform) = crate::sys::current() else {
            return;
        };
        for writer in Writer::ALL {
            // The second time what the first wrote may still be in caches, at the same address.
            for _ in 0..2 {
                if let Err(refusal) = platform.probe(writer, 1 << 20) {
                    assert_ne!(refusal.call, WRONG_ANSWER, "{writer}");
                }
            }
        }
        // This one takes nothing that a system may lack, but a policy may forbid it.
        let refused = platform.probe(Writer::Protect, 1 << 20).err();
        let policies = [Limit::Policy, Limit::HardenedRuntime];
        assert!(refused.is_none_or(|refusal| policies.contains(&refusal.limit)));
    }
}
