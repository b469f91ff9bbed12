//! Bytes on their way into memory: where they are written, and how they are published.
#![allow(unsafe_code, reason = "owners are where raw ranges and pointers stop")]

use crate::model::address::Address;
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::sys::{MemoryFile, Platform};
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

/// Where the spans of a slab are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WriteTarget {
    /// In the writable view.
    View,
    /// In their place, which is writable until they are published.
    Private,
    /// Elsewhere until they are published.
    Staged,
}

/// Where the spans of a slab are written.
#[inline]
pub(crate) const fn home(writer: Writer, slab: Protection) -> WriteTarget {
    match (writer, slab) {
        (_, Protection::ReadWrite) => WriteTarget::Private,
        (writer, slab) if needs_own_pages(writer, slab) => WriteTarget::Private,
        (Writer::DualMapping, _) => WriteTarget::View,
        _ => WriteTarget::Staged,
    }
}

/// Where byte 0 of a block is written: in the writable view, and if all of it were private memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bases {
    pub(crate) view: Option<NonNull<u8>>,
    pub(crate) private: Option<NonNull<u8>>,
}

/// The bytes of a request that is being written.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    // What is written elsewhere, by segment. Not a vector: two words are moved in registers, three through memory.
    staged: Box<[(Protection, Vec<u8>)]>,
}

// SAFETY: it refers to memory that only one request has, like a Box.
unsafe impl Send for Staging {}
// SAFETY: shared use only reads.
unsafe impl Sync for Staging {}

impl Staging {
    /// Has segments written elsewhere, each into these bytes first.
    pub(crate) fn new(staged: Vec<(Protection, Vec<u8>)>) -> Self {
        Self {
            staged: staged.into_boxed_slice(),
        }
    }

    /// Leaves only the first `size` bytes of a segment that is written elsewhere.
    pub(crate) fn shrink(&mut self, protection: Protection, size: u64) {
        for (_, bytes) in self.staged.iter_mut().filter(|(one, _)| *one == protection) {
            bytes.truncate(size as usize);
        }
    }

    /// The bytes of a segment that are written elsewhere.
    pub(crate) fn staged(&self, protection: Protection) -> Option<&[u8]> {
        let mut staged = self.staged.iter();
        staged.find_map(|(one, bytes)| (*one == protection).then_some(&**bytes))
    }

    /// The bytes of a segment, `size` bytes from `offset` on in the block or wherever they are written.
    ///
    /// # Safety
    /// They are committed, nobody else's, and written at `home`. The bases are the block's, and stay so while the bytes are used.
    pub(crate) unsafe fn bytes_mut(
        &mut self,
        bases: Bases,
        home: WriteTarget,
        protection: Protection,
        offset: u64,
        size: u64,
    ) -> &mut [u8] {
        let base = match home {
            WriteTarget::View => bases.view,
            WriteTarget::Private => bases.private,
            WriteTarget::Staged => {
                let mut staged = self.staged.iter_mut();
                let found = staged.find(|(one, _)| *one == protection);
                return found.map_or(&mut [], |(_, bytes)| &mut bytes[..size as usize]);
            }
        };
        let Some(base) = base else {
            return &mut [];
        };
        let start = base.as_ptr().wrapping_add(offset as usize);
        // SAFETY: the caller's obligations.
        unsafe { std::slice::from_raw_parts_mut(start, size as usize) }
    }
}

/// What it takes to publish one span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher<'b> {
    pub(crate) at: Address,
    pub(crate) size: u64,
    pub(crate) writer: Writer,
    /// The file behind it, and where in the file it is.
    pub(crate) file: Option<(&'b dyn MemoryFile, u64)>,
}

impl Publisher<'_> {
    /// Makes what was written for this span, and is not published yet, what is read and executed there: what is `staged`, or
    /// else what is in its place.
    pub(crate) fn publish(
        &self,
        platform: &dyn Platform,
        staged: Option<&[u8]>,
        protection: Protection,
    ) -> Result<(), Refusal> {
        match (staged, self.file) {
            // SAFETY: the span belongs to one request, which executes nothing of it before it is published.
            (Some(bytes), Some((file, offset))) => unsafe { file.write(offset, bytes) },
            // SAFETY: the span is private memory, and nobody else uses it before it is published.
            (Some(bytes), None) => unsafe { write_private(platform, self.writer, self.at, bytes) },
            // SAFETY: the span has pages of its own, and nobody writes to it any more.
            (None, _) => unsafe { platform.protect(self.at, self.size, protection) },
        }
    }
}
