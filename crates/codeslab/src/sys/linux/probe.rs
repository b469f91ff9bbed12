//! Whether a writer works here: write a function that returns 42 the way the writer does, call it.
//!
//! Probing finds what no version number tells: policies, limits, missing hardware. `capabilities` asks for every writer, opening a memory
//! for those that suit its options. Everything that a probe maps is its own, in a reservation of one page that it releases.

use super::super::arch::{Native, Processor};
use super::Linux;
use super::memory_file::Memfd;
use super::mm;
use crate::model::address::Address;
use crate::model::architecture::Architecture;
use crate::model::error::{Limit, Refusal};
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::sys::{MemoryFile, Platform, Seal};
use std::ptr::NonNull;

const ANSWER: &[u8] = Native::ANSWER;

/// What is refused if the function returns something else.
const WRONG_ANSWER: &str = "a call of written code";

/// A page that is reserved for a probe, and released with it. No code but the probe knows its address.
struct Page<'l> {
    linux: &'l Linux,
    at: Address,
    size: u64,
}

impl<'l> Page<'l> {
    fn reserve(linux: &'l Linux) -> Result<Self, Refusal> {
        let size = linux.page_size.bytes();
        let at = linux.reserve(size, size)?;
        Ok(Self { linux, at, size })
    }

    /// Calls the function that was written.
    ///
    /// # Safety
    /// - The answer was written to the page, which is executable.
    unsafe fn call(&self) -> Result<(), Refusal> {
        let written = (self.at, ANSWER.len() as u64);
        // SAFETY: the page is executable, so it is mapped, and stays so: only this probe knows it.
        unsafe { self.linux.synchronize_instructions(&[written]) };
        // SAFETY: a function of that type was written there, the page is executable, and fetches see it.
        let function: extern "C" fn() -> i32 =
            unsafe { std::mem::transmute(self.at.value() as *const ()) };
        if function() == 42 {
            Ok(())
        } else {
            Err(Refusal::foreseen(WRONG_ANSWER, 0, Limit::Unknown))
        }
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        // SAFETY: the reservation is whole, and known to the probe alone, whose calls have returned. Should it be refused, the page
        // stays reserved.
        let _ = unsafe { self.linux.release(self.at, self.size) };
    }
}

pub(super) fn probe(linux: &Linux, writer: Writer, file_size: u64) -> Result<(), Refusal> {
    let page = Page::reserve(linux)?;
    match writer {
        Writer::DualMapping | Writer::FileWrite => write_through_file(&page, writer, file_size),
        Writer::Protect => write_before_protecting(&page),
        Writer::SelfMem => write_as_a_file(&page),
        Writer::Pkeys => write_under_the_key(&page),
    }?;
    // SAFETY: each of these functions has written the answer and made the page executable, if it did not fail.
    unsafe { page.call() }
}

fn write_through_file(page: &Page<'_>, writer: Writer, file_size: u64) -> Result<(), Refusal> {
    // As large as they will be: there are limits on that. It costs nothing but the page that is written.
    let file = page.linux.create_file(file_size.max(page.size))?;
    let first = match writer {
        Writer::FileWrite => ANSWER,
        // Fresh pages are filled like this with this writer too.
        _ => &fill_pattern(page.linux.architecture),
    };
    // SAFETY: the file was made just now and is mapped nowhere.
    unsafe { file.write(0, first) }?;
    if writer == Writer::DualMapping {
        let view = file.map_view(0, page.size, false)?;
        // SAFETY: the view is a whole page, which is longer than the code, and known to this probe alone.
        unsafe { write_answer(view) };
        // SAFETY: the view is whole and not sealed, and its pointer is not used any more.
        unsafe { page.linux.unmap_view(view, page.size) };
    }
    // SAFETY: the page is reserved and not mapped, and known to this probe alone.
    unsafe { file.map_at(page.at, 0, page.size, Protection::ReadExecute) }
}

/// As many bytes of the fill pattern as the answer has, in whole patterns.
fn fill_pattern(architecture: Architecture) -> Vec<u8> {
    let pattern = architecture.fill_pattern();
    pattern.repeat(ANSWER.len().div_ceil(pattern.len()))
}

fn write_before_protecting(page: &Page<'_>) -> Result<(), Refusal> {
    let (linux, at, size) = (page.linux, page.at, page.size);
    // SAFETY: the page is reserved and not mapped, and known to this probe alone.
    let start = unsafe { linux.map_private(at, size, Protection::ReadWrite) }?;
    // SAFETY: the page is writable, longer than the code, and known to this probe alone.
    unsafe { write_answer(start) };
    // SAFETY: the page is private memory that this probe alone knows, and it does not write there any more.
    unsafe { linux.protect(at, size, Protection::ReadExecute) }
}

fn write_as_a_file(page: &Page<'_>) -> Result<(), Refusal> {
    // SAFETY: the page is reserved and not mapped, and known to this probe alone.
    unsafe {
        page.linux
            .map_private(page.at, page.size, Protection::ReadExecute)
    }?;
    // SAFETY: the page is private memory that this probe alone knows, and the answer is a constant outside of it.
    unsafe { page.linux.write_self(page.at, ANSWER) }
}

fn write_under_the_key(page: &Page<'_>) -> Result<(), Refusal> {
    // SAFETY: the page is reserved and not mapped, and known to this probe alone.
    unsafe { page.linux.map_keyed(page.at, page.size) }?;
    // SAFETY: the page was mapped so just now, this probe alone knows it, and the answer is a constant that is under no key.
    unsafe { page.linux.write_keyed(page.at, ANSWER) }
}

/// # Safety
/// - From `to` on there are as many writable bytes as the answer has, which no other thread uses.
unsafe fn write_answer(to: NonNull<u8>) {
    let answer = NonNull::from(ANSWER).cast();
    // SAFETY: both ranges have that many bytes, one writable and used by no other thread, the other a constant, so they do not overlap.
    unsafe { to.copy_from_nonoverlapping(answer, ANSWER.len()) };
}

pub(super) fn probe_seal(linux: &Linux, seal: Seal) -> Result<(), Refusal> {
    let size = linux.page_size.bytes();
    match seal {
        // Trying it on a page would leave that page behind, each time.
        // SAFETY: there are no bytes in the range.
        Seal::Mappings => unsafe { mm::seal(Address::new(size), 0) },
        Seal::Size => linux.create_file(size)?.seal_size(),
        Seal::Writes => close_to_writers(linux, &Memfd::create(size)?, size),
    }
}

/// Seals a file of which there is a view, and looks whether that view is the only way left.
fn close_to_writers(linux: &Linux, file: &Memfd, size: u64) -> Result<(), Refusal> {
    let view = file.map_view(0, size, false)?;
    let sealed = file
        .seal_writes()
        .and_then(|()| file.provide(0, size))
        .and_then(|()| {
            // SAFETY: the view is a page that has its memory and is known to this probe alone.
            unsafe { view.write(1) };
            // SAFETY: the file is mapped nowhere but in that view, to which there is no reference.
            match unsafe { file.write(0, ANSWER) } {
                Ok(()) => Err(Refusal::foreseen("a seal", 0, Limit::Unsupported)),
                Err(_) => Ok(()),
            }
        });
    // SAFETY: the view is whole and not sealed, and its pointer is not used any more.
    unsafe { linux.unmap_view(view, size) };
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_writer_writes_is_what_runs_unless_the_system_refuses_the_writer() {
        let linux = Linux::new().unwrap();
        for writer in Writer::ALL {
            // The second time what the first wrote may still be in caches, at the same address.
            for _ in 0..2 {
                if let Err(refusal) = probe(&linux, writer, 1 << 20) {
                    assert_ne!(refusal.call, WRONG_ANSWER, "{writer}");
                }
            }
        }
        // This one takes nothing that a system may lack, but a policy may forbid it.
        let refused = probe(&linux, Writer::Protect, 1 << 20).err();
        assert!(refused.is_none_or(|refusal| refusal.limit == Limit::Policy));
    }
}
