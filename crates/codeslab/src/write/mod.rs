//! How bytes get into pages that are executable, and what becomes of the pages.
//!
//! Each way to write is one file here that implements [`CodeWriter`]. What they share is in `backing` (where a block is, what
//! is behind it), `extent` (a part of it), `pages` (what of it is committed) and `staging` (bytes that wait elsewhere until they are published).
//! Data is the same with every writer, private memory that is written in place, so no writer is asked about it.
#![allow(unsafe_code, reason = "writing to memory by address is what it is for")]

pub(crate) mod backing;
mod dual_mapping;
pub(crate) mod extent;
mod file_write;
mod keyed;
pub(crate) mod pages;
mod protect;
mod self_mem;
pub(crate) mod staging;

use crate::model::error::Refusal;
use crate::model::options::Sealing;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use crate::slab::span::Span;
use crate::space::reservation::MemoryKind;
use backing::pieces;
use extent::Extent;
use std::fmt;

/// Where the bytes of a slab are written until they are published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WriteTarget {
    /// In the writable view of the block.
    View,
    /// In their place, which is writable until then. Rights change by the page, so every span has pages of its own.
    InPlace,
    /// In a buffer elsewhere, which publishing copies.
    Staged,
}

/// One way to write code and constants. What the unsafe functions have in common is as for [`Extent`]; and the block has this writer.
pub(crate) trait CodeWriter: fmt::Debug + Sync {
    /// What reservations consist of that it writes to.
    fn memory(&self, _sealing: Option<Sealing>) -> MemoryKind {
        MemoryKind::Private
    }

    /// Where bytes of a slab of code or of constants are written until they are published.
    fn target(&self, _slab: Protection) -> WriteTarget {
        WriteTarget::Staged
    }

    /// Whether a slab of code or of constants is written through the view of the block. Where not, publishing is a call of the system.
    fn is_in_view(&self, _slab: Protection) -> bool {
        false
    }

    /// Maps pages for a slab: those of the memory file, if there is one. Code in them traps. A refusal leaves them unmapped.
    ///
    /// # Safety
    /// The extent is whole granules of the system, and not mapped.
    unsafe fn commit(&self, pages: Extent<'_>) -> Result<(), Refusal> {
        // SAFETY: the caller says that the pages are not mapped, and writers to private memory do it another way.
        unsafe { pages.map_file() }
    }

    /// Writes bytes from the start of an extent on, past all views: to the memory file, if there is one.
    ///
    /// # Safety
    /// What they have in common: see [`CodeWriter`]. The extent is as long as `bytes`, which lie outside of the block.
    unsafe fn write(&self, extent: Extent<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the caller has the extent to itself, which has room for them, and writers to private memory do it another way.
        unsafe { extent.write_file(bytes) }
    }

    /// Writes the fill pattern over an extent, past all views.
    ///
    /// # Safety
    /// What they have in common: see [`CodeWriter`].
    unsafe fn fill(&self, extent: Extent<'_>) -> Result<(), Refusal> {
        let (backing, slab) = (extent.backing, extent.slab);
        pieces(backing.fill, extent.span).try_for_each(|(offset, piece)| {
            let size = piece.len() as u64;
            // SAFETY: the piece lies in the extent, which the caller has to itself, and the pattern is a constant.
            unsafe { self.write(backing.extent(Span { offset, size }, slab), piece) }
        })
    }

    /// Makes what was written, and is `staged` or in its place, what is read and executed there.
    ///
    /// # Safety
    /// What they have in common: see [`CodeWriter`]. `staged` is there if the target of the slab is [`WriteTarget::Staged`].
    unsafe fn publish(&self, extent: Extent<'_>, staged: Option<&[u8]>) -> Result<(), Refusal> {
        // SAFETY: the caller has the extent to itself, no more is staged than it is long, and that lies in a buffer.
        unsafe { self.write(extent, staged.unwrap_or_default()) }
    }

    /// Makes what was published or abandoned safe to lie around, past all views: code traps.
    ///
    /// # Safety
    /// What they have in common: see [`CodeWriter`].
    unsafe fn retract(&self, extent: Extent<'_>) -> Result<(), Refusal> {
        if !extent.is_code() {
            // Constants that are read after they are freed harm only their reader.
            return Ok(());
        }
        // SAFETY: the extent is committed code of the block, and the caller has it to itself.
        unsafe { self.fill(extent) }
    }
}

/// The way to write that an embedder or a probe chose.
pub(crate) fn by(writer: Writer, hardened: bool) -> &'static dyn CodeWriter {
    match writer {
        Writer::DualMapping if hardened => &dual_mapping::DualMapping { is_hardened: true },
        Writer::DualMapping => &dual_mapping::DualMapping { is_hardened: false },
        Writer::FileWrite => &file_write::FileWrite,
        Writer::Protect => &protect::Protect,
        Writer::SelfMem => &self_mem::SelfMem,
        Writer::Pkeys | Writer::MapJit => &keyed::Keyed,
    }
}

/// Whether what a writer writes to can be sealed: private memory cannot.
pub(crate) fn can_be_sealed(writer: Writer) -> bool {
    matches!(by(writer, true).memory(None), MemoryKind::File(_))
}
