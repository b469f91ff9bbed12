//! Whether seals work here, which no version number tells: they are put on files of a page, which nothing else uses.

use super::Linux;
use super::memory_file::Memfd;
use super::mm;
use crate::model::address::Address;
use crate::model::error::{Limit, Refusal};
use crate::sys::{MemoryFile, Platform, Seal};

/// What is written to a file that is closed to writers.
const BYTES: &[u8] = &[1];

pub(super) fn probe(linux: &Linux, seal: Seal) -> Result<(), Refusal> {
    let size = linux.page_size.bytes();
    match seal {
        // Trying it on a page would leave that page behind, each time.
        // SAFETY: there are no bytes in the range.
        Seal::Mappings => unsafe { mm::seal(Address::new(size), 0) },
        Seal::Size => linux.create_file(size)?.seal(seal),
        Seal::Writes => close_to_writers(linux, &Memfd::create(size, false)?, size),
    }
}

/// Seals a file of which there is a view, and looks whether that view is the only way left.
fn close_to_writers(linux: &Linux, file: &Memfd, size: u64) -> Result<(), Refusal> {
    let view = file.map_view(0, size, false)?;
    let sealed = file
        .seal(Seal::Writes)
        .and_then(|()| file.provide(0, size))
        .and_then(|()| {
            // SAFETY: the view is a page that has its memory and is known to this probe alone.
            unsafe { view.write(1) };
            // SAFETY: the file is mapped nowhere but in that view, to which there is no reference.
            match unsafe { file.write(0, BYTES) } {
                Ok(()) => Err(Refusal::foreseen("a seal", 0, Limit::Unsupported)),
                Err(_) => Ok(()),
            }
        });
    // SAFETY: the view is whole and not sealed, and its pointer is not used any more.
    unsafe { linux.unmap_view(view, size) };
    sealed
}
