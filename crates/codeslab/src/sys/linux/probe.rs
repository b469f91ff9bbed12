//! Whether a writer works here: write a function that returns 42, call it.

use super::{Limit, Linux, MemoryFile, Platform, Protection, Refusal, Seal, Writer, pointer, seal};
use crate::model::address::Address;

/// mov eax, 42; ret
const ANSWER: [u8; 6] = [0xb8, 42, 0, 0, 0, 0xc3];

pub(super) fn probe(linux: &Linux, writer: Writer, file_size: u64) -> Result<(), Refusal> {
    let size = linux.page_size.bytes();
    let at = linux.reserve(size, size)?;
    let result = match writer {
        Writer::DualMapping | Writer::FileWrite => through_file(linux, writer, at, size, file_size),
        Writer::Protect | Writer::SelfMem => through_private(linux, writer, at, size),
        Writer::Pkeys => through_keyed(linux, at, size),
    };
    let result = result.and_then(|()| call(at));
    // SAFETY: the reservation is ours, and the call has returned. Nothing would use what a failure leaves behind.
    let _ = unsafe { linux.release(at, size) };
    result
}

fn through_file(
    linux: &Linux,
    writer: Writer,
    at: Address,
    size: u64,
    file_size: u64,
) -> Result<(), Refusal> {
    // As large as they will be: there are limits on that. It costs nothing but the page that is written.
    let file = linux.create_file(file_size.max(size))?;
    let write = || {
        if writer == Writer::FileWrite {
            return linux.write_file(file, 0, &ANSWER);
        }
        // Fresh pages are filled like this with this writer too.
        linux.write_file(file, 0, &[0xcc; ANSWER.len()])?;
        let view = linux.map_view(size, file, 0)?;
        // SAFETY: the view is a fresh page, longer than the code.
        unsafe {
            view.copy_from_nonoverlapping(
                pointer(Address::new(ANSWER.as_ptr() as u64)),
                ANSWER.len(),
            );
        };
        // SAFETY: the view is whole and no longer used.
        unsafe { linux.unmap_view(view, size) };
        Ok(())
    };
    // SAFETY: the range is our own reservation.
    let result = write()
        .and_then(|()| unsafe { linux.map_file(at, size, file, 0, Protection::ReadExecute) });
    linux.close_file(file);
    result
}

fn through_private(linux: &Linux, writer: Writer, at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: the range is our own reservation.
    let view = unsafe { linux.map_private(at, size, Protection::ReadWrite) }?;
    if writer == Writer::Protect {
        // SAFETY: the page is fresh and longer than the code.
        unsafe {
            view.copy_from_nonoverlapping(
                pointer(Address::new(ANSWER.as_ptr() as u64)),
                ANSWER.len(),
            );
        };
    }
    // SAFETY: nobody but us uses the page.
    unsafe { linux.protect(at, size, Protection::ReadExecute) }?;
    if writer == Writer::SelfMem {
        // SAFETY: the page is private and nobody but us uses it.
        unsafe { linux.write_self(at, &ANSWER) }?;
    }
    Ok(())
}

fn through_keyed(linux: &Linux, at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: the range is our own reservation.
    unsafe { linux.map_keyed(at, size) }?;
    // SAFETY: the page is fresh, longer than the code, and nobody but us uses it.
    unsafe { linux.write_keyed(at, &ANSWER) }
}

pub(super) fn probe_seal(linux: &Linux, seal: Seal) -> Result<(), Refusal> {
    let size = linux.page_size.bytes();
    if seal == Seal::Mappings {
        // Trying it on a page would leave that page behind, each time.
        // SAFETY: there are no bytes in the range.
        return unsafe { seal::mapping(Address::new(size), 0) };
    }
    let file = linux.create_file(size)?;
    let sealed = match seal {
        Seal::Writes => close_to_writers(linux, file, size),
        _ => linux.seal_file(file, seal),
    };
    linux.close_file(file);
    sealed
}

/// Seals a file of which there is a view, and looks whether that view is the only way left.
fn close_to_writers(linux: &Linux, file: MemoryFile, size: u64) -> Result<(), Refusal> {
    let view = linux.map_view(size, file, 0)?;
    let sealed = linux
        .seal_file(file, Seal::Writes)
        .and_then(|()| linux.provide(file, 0, size))
        .and_then(|()| {
            // SAFETY: the view is a page that has its memory.
            unsafe { view.write(1) };
            match linux.write_file(file, 0, &ANSWER) {
                Ok(()) => Err(Refusal::foreseen("a seal", 0, Limit::Unsupported)),
                Err(_) => Ok(()),
            }
        });
    // SAFETY: the view is whole and no longer used.
    unsafe { linux.unmap_view(view, size) };
    sealed
}

fn call(at: Address) -> Result<(), Refusal> {
    // SAFETY: a function of that type was written there.
    let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(at.value() as *const ()) };
    if function() == 42 {
        Ok(())
    } else {
        Err(Refusal::foreseen(
            "a call of written code",
            0,
            Limit::Unknown,
        ))
    }
}
