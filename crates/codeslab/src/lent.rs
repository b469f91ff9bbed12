//! Bytes on their way into memory: where they are written, and how they are published.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::address::Address;
use crate::error::Refusal;
use crate::protection::Protection;
use crate::sys::{MemoryFile, Platform};
use crate::writer::Writer;
use std::ptr::NonNull;

/// Whether spans of a slab need pages of their own: where rights change, they change by the page.
pub(crate) const fn needs_own_pages(writer: Writer, slab: Protection) -> bool {
    match writer {
        Writer::Protect => !matches!(slab, Protection::ReadWrite),
        // Not every thread could read constants under a key.
        Writer::Pkeys => matches!(slab, Protection::ReadOnly),
        _ => false,
    }
}

/// Writes where no thread may: to private memory that is published already, or looks as if it were.
///
/// # Safety
/// The range is private memory that `writer` writes to, and nobody uses it.
pub(crate) unsafe fn write_private(
    platform: &dyn Platform,
    writer: Writer,
    at: Address,
    bytes: &[u8],
) -> Result<(), Refusal> {
    match writer {
        // SAFETY: the caller's obligations; this writer's code is mapped under the key.
        Writer::Pkeys => unsafe { platform.write_keyed(at, bytes) },
        // SAFETY: the caller's obligations.
        _ => unsafe { platform.write_self(at, bytes) },
    }
}

/// The bytes of a span that is being written.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// In their place.
    InPlace(Lent),
    /// Elsewhere until they are published.
    Staged(Box<[u8]>),
}

/// Memory that only the holder uses until it lets go.
#[derive(Debug)]
pub(crate) struct Lent {
    // Invariant: valid for reads and writes of `size` bytes, and nobody else uses them.
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: it has the memory to itself, like a Box.
unsafe impl Send for Lent {}
// SAFETY: shared use only reads.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends memory.
    ///
    /// # Safety
    /// It is valid for reads and writes of `size` bytes, and nobody else uses it, until the value is dropped.
    pub(crate) const unsafe fn new(start: NonNull<u8>, size: usize) -> Self {
        Self { start, size }
    }
}

/// Where byte 0 of a block is written: in the writable view, and if all of it were private memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bases {
    pub(crate) view: Option<NonNull<u8>>,
    pub(crate) private: Option<NonNull<u8>>,
}

impl Bytes {
    /// Whether what is written is what is executed, without anything more to do.
    #[inline]
    pub(crate) const fn are_published(&self, writer: Writer, slab: Protection) -> bool {
        matches!(self, Self::InPlace(_)) && !needs_own_pages(writer, slab)
    }

    pub(crate) const fn size(&self) -> u64 {
        match self {
            Self::InPlace(lent) => lent.size as u64,
            Self::Staged(bytes) => bytes.len() as u64,
        }
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        match self {
            // SAFETY: the invariant of `Lent`.
            Self::InPlace(lent) => unsafe {
                std::slice::from_raw_parts_mut(lent.start.as_ptr(), lent.size)
            },
            Self::Staged(bytes) => bytes,
        }
    }
}

/// What it takes to publish one span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher {
    pub(crate) at: Address,
    pub(crate) size: u64,
    pub(crate) writer: Writer,
    /// The file behind it, and where in the file it is.
    pub(crate) file: Option<(MemoryFile, u64)>,
}

impl Publisher {
    /// Makes `bytes`, which [`Mapping::lend`] gave for this span and which are not published yet, what is read and executed
    /// there.
    pub(crate) fn publish(
        &self,
        platform: &dyn Platform,
        bytes: &Bytes,
        protection: Protection,
    ) -> Result<(), Refusal> {
        match (bytes, self.file) {
            (Bytes::Staged(bytes), Some((file, offset))) => {
                platform.write_file(file, offset, bytes)
            }
            // SAFETY: the span is private memory, and nobody else uses it before it is published.
            (Bytes::Staged(bytes), None) => unsafe {
                write_private(platform, self.writer, self.at, bytes)
            },
            // SAFETY: the span has pages of its own and is written through `bytes` only, which is given back now.
            (Bytes::InPlace(_), _) => unsafe { platform.protect(self.at, self.size, protection) },
        }
    }
}
