//! The two states of an allocation, as two types.
#![allow(unsafe_code, reason = "bytes in flight are its own")]

use crate::model::address::{Address, Window};
use crate::model::error::{Error, Result};
use crate::model::layout::{Layout, Section, SectionId};
use crate::model::protection::Protection;
use crate::pool::shard::{Carved, batch};
use crate::write::staging::Staging;
use std::sync::atomic::AtomicU64;

/// An allocation that is being written and cannot be executed yet. Its addresses are final. Dropping it abandons it.
///
/// ```
/// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
/// let memory = CodeMemory::new(Options::default())?;
/// let mut layout = Layout::new();
/// let text = layout.add(Protection::ReadExecute, 1, 16)?;
/// let mut in_flight = memory.allocate(&Request::new(&layout))?;
/// in_flight.write(text, 0, &[0xc3])?; // ret
/// let entry = in_flight.address(text);
/// let allocation = in_flight.finalize()?;
/// assert_eq!(allocation.segment_address(Protection::ReadExecute), Some(entry));
/// # Ok::<(), codeslab::Error>(())
/// ```
// In this order, and in that of `Layout` and `Carved`, the spans are the last word. Moves copy two words at a time but for what is left
// over, which is the last: a word that was stored by itself a moment ago is read by itself. (A read of two words that were stored one by
// one waits for both stores; measured: 46 instead of 48.5 ns for a pair.)
#[derive(Debug)]
#[repr(C)]
pub struct InFlightAllocation {
    layout: Layout,
    staging: Staging,
    carved: Unpublished,
}

impl InFlightAllocation {
    #[allow(
        clippy::inline_always,
        reason = "what comes of it is moved once more, word by word and then in pairs, where it is a call"
    )]
    #[inline(always)]
    pub(crate) fn new(carved: Carved, layout: &Layout) -> Result<Self> {
        let carved = Unpublished(Some(carved));
        let staging = carved.get().stage(layout)?;
        Ok(Self {
            carved,
            staging,
            layout: layout.clone(),
        })
    }

    /// The layout it was made from.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the section will run.
    ///
    /// # Panics
    /// If `section` comes from another layout that has more sections.
    #[must_use]
    pub fn address(&self, section: SectionId) -> Address {
        self.address_of(self.layout.section(section))
    }

    #[inline]
    fn address_of(&self, section: Section) -> Address {
        // An empty section of an empty segment has to be somewhere: where the first segment is.
        let segment = self
            .segment_address(section.protection)
            .or_else(|| self.first_address());
        Address::new(segment.unwrap_or_default().value() + section.offset)
    }

    #[cold]
    fn first_address(&self) -> Option<Address> {
        Protection::ALL
            .into_iter()
            .find_map(|protection| self.segment_address(protection))
    }

    /// Where the segment of this protection will be; `None` if it has no bytes.
    #[must_use]
    #[inline]
    pub fn segment_address(&self, protection: Protection) -> Option<Address> {
        self.carved.get().address(protection)
    }

    /// The block that all of it lies in: everything there reaches everything else. Addresses that are kept as a distance in 32 bits are
    /// counted from its start, as those of Windows' unwind tables are.
    #[must_use]
    pub fn block(&self) -> Window {
        self.carved.get().block()
    }

    /// The bytes of a section, to be written in place. Data is zero at first; what code and constants hold at first is not
    /// said, so write all of it. A forked child has no business here: it faults instead of writing to its parent's code.
    ///
    /// # Panics
    /// If `section` comes from another layout that has more sections.
    #[inline]
    pub fn bytes_mut(&mut self, section: SectionId) -> &mut [u8] {
        let section = self.layout.section(section);
        self.bytes_of(section)
    }

    /// Where a section will run, and its bytes: as [`InFlightAllocation::address`] and [`InFlightAllocation::bytes_mut`].
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
    /// # let memory = CodeMemory::new(Options::default())?;
    /// let mut layout = Layout::new();
    /// let table = layout.add(Protection::ReadOnly, 100, 8)?;
    /// let state = layout.add(Protection::ReadWrite, 64, 8)?;
    /// let mut in_flight = memory.allocate(&Request::new(&layout))?;
    /// let of_table = in_flight.address(table);
    /// let (address, bytes) = in_flight.place_mut(table);
    /// assert_eq!((address, bytes.len()), (of_table, 100));
    /// assert_eq!(in_flight.place_mut(state).1, [0; 64]);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    ///
    /// # Panics
    /// As they do.
    #[inline]
    pub fn place_mut(&mut self, section: SectionId) -> (Address, &mut [u8]) {
        let section = self.layout.section(section);
        (self.address_of(section), self.bytes_of(section))
    }

    /// Where the segment of this protection will run, and its bytes; `None` if it has none.
    #[doc(hidden)]
    #[allow(
        clippy::inline_always,
        reason = "what comes of it is moved once more, word by word and then in pairs, where it is a call"
    )]
    #[inline(always)]
    pub fn segment_place_mut(&mut self, protection: Protection) -> Option<(Address, &mut [u8])> {
        let address = self.segment_address(protection)?;
        let segment = self.layout.segment(protection).size;
        let carved = self.carved.get_mut();
        // SAFETY: it is in flight, so it is not published; the segment is that of its layout, which only shrinks, together with
        // what is carved; and the buffers were made for it.
        let bytes = unsafe { carved.bytes_mut(&mut self.staging, protection, segment) };
        Some((address, bytes))
    }

    /// The bytes of all code, all constants and all data, in the order of [`Protection::ALL`]: as [`InFlightAllocation::bytes_mut`], for
    /// those who know where their sections are in them. What it has none of is empty.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
    /// # let memory = CodeMemory::new(Options::default())?;
    /// let mut layout = Layout::new();
    /// layout.add(Protection::ReadExecute, 4, 16)?;
    /// layout.add(Protection::ReadWrite, 8, 8)?;
    /// let mut in_flight = memory.allocate(&Request::new(&layout))?;
    /// let [code, constants, data] = in_flight.segments_mut();
    /// code.copy_from_slice(&[0x90, 0x90, 0x90, 0xc3]);
    /// assert_eq!((constants.len(), &*data), (0, &[0; 8][..]));
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    #[must_use]
    pub fn segments_mut(&mut self) -> [&mut [u8]; 3] {
        let sizes = Protection::ALL.map(|protection| self.layout.segment(protection).size);
        let carved = self.carved.get_mut();
        // SAFETY: it is in flight, so it is not published; the segments are those of its layout, which only shrinks, together with
        // what is carved; and the buffers were made for it.
        unsafe { carved.all_bytes_mut(&mut self.staging, sizes) }
    }

    #[inline]
    fn bytes_of(&mut self, section: Section) -> &mut [u8] {
        let segment = self.layout.segment(section.protection).size;
        let carved = self.carved.get_mut();
        // SAFETY: it is in flight, so it is not published; the segment is that of its layout, which only shrinks, together with
        // what is carved; and the buffers were made for it.
        let bytes = unsafe { carved.bytes_mut(&mut self.staging, section.protection, segment) };
        if bytes.is_empty() {
            return bytes;
        }
        let start = section.offset as usize;
        &mut bytes[start..start + section.size as usize]
    }

    /// Copies `bytes` to `offset` bytes behind the start of the section.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if they do not all lie inside it; [`Error::Forked`] in a child process. Nothing is written then.
    ///
    /// # Panics
    /// If `section` comes from another layout that has more sections.
    pub fn write(&mut self, section: SectionId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.carved.get().pool().check_process()?;
        let (length, size) = (bytes.len() as u64, self.layout.section(section).size);
        let end = offset.checked_add(length).filter(|end| *end <= size);
        let end = end.ok_or(Error::OutOfBounds {
            offset,
            length,
            size,
        })?;
        self.bytes_mut(section)[offset as usize..end as usize].copy_from_slice(bytes);
        Ok(())
    }

    /// Makes a section smaller: for a compiler that asks for as much as it may need and learns later how much it is. What is
    /// behind the last section of a segment is given back at once; other sections only become smaller. Addresses stay.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
    /// # let memory = CodeMemory::new(Options::default())?;
    /// let mut layout = Layout::new();
    /// let code = layout.add(Protection::ReadExecute, 4096, 16)?;
    /// let mut in_flight = memory.allocate(&Request::new(&layout))?;
    /// in_flight.write(code, 0, &[0xc3])?; // ret
    /// in_flight.shrink(code, 1)?;
    /// assert_eq!(memory.stats().used_bytes, 16);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if it would become larger; [`Error::Forked`] in a child process. Nothing changes then.
    ///
    /// # Panics
    /// If `section` comes from another layout that has more sections.
    pub fn shrink(&mut self, section: SectionId, size: u64) -> Result<()> {
        let Section {
            protection,
            size: before,
            ..
        } = self.layout.section(section);
        if size > before {
            return Err(Error::OutOfBounds {
                offset: 0,
                length: size,
                size: before,
            });
        }
        self.carved.get().pool().check_process()?;
        if protection == Protection::ReadExecute {
            self.fill_behind(section, size);
        }
        self.layout.shrink(section, size);
        let left = self.layout.segment(protection).size;
        self.staging.shrink(protection, left);
        let carved = self.carved.get_mut();
        // SAFETY: it is in flight, so it is not published, and `self` is borrowed, so no slice of its bytes is in use.
        unsafe { carved.shrink(protection, left) };
        Ok(())
    }

    /// Writes the fill pattern behind the first `size` bytes of a section: what is not given back must not stay code.
    fn fill_behind(&mut self, section: SectionId, size: u64) {
        let architecture = self.carved.get().pool().platform().facts().architecture;
        let pattern = architecture.fill_pattern();
        let start = self.address(section).value() + size;
        let behind = &mut self.bytes_mut(section)[size as usize..];
        for (byte, at) in behind.iter_mut().zip(start..) {
            *byte = pattern[at as usize % pattern.len()];
        }
    }

    /// Publishes it: code becomes executable, constants read-only, and every processor sees the bytes.
    ///
    /// # Errors
    /// [`Error::Refused`] if the system refuses; [`Error::Forked`] in a child process. The allocation is abandoned then.
    #[inline]
    pub fn finalize(mut self) -> Result<Allocation> {
        self.finalize_in_place()
    }

    /// The same without moving it, for bindings that have it somewhere: it is to be dropped afterwards, whatever the answer is.
    ///
    /// # Errors
    /// As for [`InFlightAllocation::finalize`].
    ///
    /// # Panics
    /// If that was done before, as everything does then that asks it for something.
    #[doc(hidden)]
    #[inline]
    pub fn finalize_in_place(&mut self) -> Result<Allocation> {
        let pool = self.carved.get().pool();
        // What is not published is given back when it is dropped.
        pool.check_process()?;
        if !pool.publishes_by_writing() {
            self.publish()?;
        }
        let carved = self.carved.land();
        Ok(Allocation { carved })
    }

    fn publish(&self) -> Result<()> {
        let carved = self.carved.get();
        // SAFETY: it is in flight, so it is not published, and the buffers were made for it.
        unsafe { carved.publish(&self.staging) }?;
        let platform = carved.pool().platform();
        for range in carved.executed(&self.layout) {
            // SAFETY: the range is code of this allocation, which is committed, and so mapped, as long as the allocation lives.
            unsafe { platform.synchronize_instructions(&[range]) };
        }
        Ok(())
    }

    /// Publishes many: see [`crate::CodeMemory::finalize_all`].
    pub(crate) fn finalize_all(batch: Vec<Self>) -> Result<Vec<Allocation>> {
        let buffered = batch.iter().map(|one| (one.carved.get(), &one.staging));
        // An error drops the batch, which takes everything back.
        // SAFETY: they are in flight, so none is published, and the buffers of each were made for it.
        unsafe { batch::publish(&buffered) }?;
        let all = batch.iter();
        let executed: Vec<_> = all
            .flat_map(|one| one.carved.get().executed(&one.layout))
            .collect();
        if let Some(first) = batch.first() {
            let platform = first.carved.get().pool().platform();
            // SAFETY: the ranges are code of allocations in the batch, which is committed, and so mapped, as long as they live.
            unsafe { platform.synchronize_instructions(&executed) };
        }
        let land = |mut one: Self| Allocation {
            carved: one.carved.land(),
        };
        Ok(batch.into_iter().map(land).collect())
    }

    /// Gives it back unpublished. Dropping it does the same.
    pub fn abandon(self) {}
}

/// What is carved and counts as in flight.
// Invariant: there until it lands.
#[derive(Debug)]
struct Unpublished(Option<Carved>);

impl Unpublished {
    #[inline]
    fn get(&self) -> &Carved {
        self.0.as_ref().expect("landing takes it")
    }

    #[inline]
    fn get_mut(&mut self) -> &mut Carved {
        self.0.as_mut().expect("landing takes it")
    }

    /// It is published.
    #[inline]
    fn land(&mut self) -> Carved {
        let carved = self.0.take().expect("landing takes it");
        carved.note_landed();
        carved
    }
}

impl Drop for Unpublished {
    #[inline]
    fn drop(&mut self) {
        if let Some(carved) = self.0.take() {
            abandon(carved);
        }
    }
}

/// Not inlined: this is in the way of every allocation, and few take it.
#[inline(never)]
fn abandon(carved: Carved) {
    carved.note_landed();
    drop(carved);
}

/// A published allocation. It keeps its memory alive, also when the [`crate::CodeMemory`] is gone; dropping it frees it.
#[derive(Debug)]
pub struct Allocation {
    carved: Carved,
}

impl Allocation {
    /// Where the segment of this protection is; `None` if it has no bytes. A section is at its offset from here.
    #[must_use]
    pub fn segment_address(&self, protection: Protection) -> Option<Address> {
        self.carved.address(protection)
    }

    /// Where the segment of this protection is and how many bytes it has, those included that fill it up to the next multiple of 16;
    /// `None` if it has none.
    #[must_use]
    pub fn segment(&self, protection: Protection) -> Option<(Address, u64)> {
        let address = self.carved.address(protection)?;
        Some((address, self.carved.size(protection)?))
    }

    /// The block that all of it lies in, which stays where it is as long as this value.
    #[must_use]
    pub fn block(&self) -> Window {
        self.carved.block()
    }

    /// A word of its data, as threads share it; `None` unless the word lies there, aligned.
    #[must_use]
    pub fn word(&self, address: Address) -> Option<&AtomicU64> {
        let start = self.segment_address(Protection::ReadWrite)?;
        self.word_at(address.value().checked_sub(start.value())?)
    }

    /// The word that begins so many bytes behind the start of its data.
    pub(crate) fn word_at(&self, offset: u64) -> Option<&AtomicU64> {
        let end = offset.checked_add(size_of::<u64>() as u64)?;
        if end > self.carved.size(Protection::ReadWrite)? {
            return None;
        }
        let data = self.carved.start(Protection::ReadWrite)?;
        // SAFETY: the offset lies in the data, of which this is the start.
        let word = unsafe { data.add(offset as usize) }.cast::<u64>();
        // SAFETY: the word lies in data of this allocation, which is committed, readable and writable while it lives, and so while
        // `self` is borrowed. No other reference to published data is made.
        word.is_aligned()
            .then(|| unsafe { AtomicU64::from_ptr(word.as_ptr()) })
    }

    /// Gives it back: code is overwritten with instructions that trap, and the space is reused. Nothing may execute it or
    /// refer to it any more. Dropping it does the same.
    pub fn free(self) {}
}
