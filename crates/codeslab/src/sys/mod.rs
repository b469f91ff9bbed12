//! The operating system. To port codeslab, add one file here that implements [`Platform`], and the lines that choose
//! it as `native`.
//!
//! What a port has to fulfil, and what everything above relies on:
//!
//! - **Reservations** are address space without access. They cost no memory, and nobody else's allocation lands in them.
//!   `reserve_at` gives exactly the range asked for or refuses with [`Limit::Occupied`]; it never replaces a mapping.
//! - **Ranges** that are reserved or mapped are multiples of [`Facts::granularity`], and every range that is unmapped was mapped
//!   as it is, or is the union of whole ranges that were: a system whose mappings can't be cut (Windows: placeholders are split
//!   and replaced exactly, views of sections are unmapped whole) needs no bookkeeping beyond its own.
//! - **Pages** are what `protect` and `discard_private` are about: whole pages, never none, maybe of several neighbouring
//!   mappings. A port whose system takes one mapping at a time goes through them.
//! - **Places** outside of [`Facts::addresses`] are never asked for.
//! - **Memory files** are anonymous memory that can be mapped more than once. They are sparse: a byte costs memory when it
//!   is first written. Fresh ones are zero. Several reservations may have parts of one: see [`Facts::file_bytes`].
//! - **What is sealed** stays as it is until the process ends: a mapping in its place, a file at its size. A system that cannot
//!   do that says so when it is asked ([`Platform::probe_seal`]); nothing else depends on it.
//! - **No access right is ever both** writable and executable at one address, in any thread that is not inside
//!   [`Platform::write_keyed`].
//! - **Refusals** name the limit that was met ([`Limit`]) and leave everything as it was.
//! - Every function may be called from any thread, for different ranges at once.
//!
//! Executable addresses are numbers ([`Address`]), writable ones pointers. On the fake platform they have nothing to do with
//! each other, so code above that mixed them up would not survive its tests.

#![allow(
    unsafe_code,
    reason = "it declares what ports implement; it calls nothing"
)]

use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

pub(crate) mod address_map;

#[cfg(test)]
pub(crate) mod fake;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use linux as native;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod unsupported;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use unsupported as native;

/// What does not change while the process runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) architecture: Architecture,
    pub(crate) page_size: PageSize,
    /// Reservations and mappings begin and end at multiples of this many bytes. A multiple of the page size.
    pub(crate) granularity: u64,
    /// Bytes of a memory file of which several reservations have parts; 0 where each has to have its own, because the system
    /// does not take parts of a file back.
    pub(crate) file_bytes: u64,
    /// Where user programs may have memory.
    pub(crate) addresses: Window,
    /// Whether [`Platform::process_barrier`] does anything.
    pub(crate) has_process_barrier: bool,
    /// Whether fetches of instructions see what was written without [`Platform::synchronize_instructions`], once the compiler is
    /// kept from moving the stores.
    pub(crate) fetches_are_coherent: bool,
}

/// Names a memory file of a platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemoryFile(pub(crate) u64);

/// What can be made impossible until the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seal {
    /// That a memory file changes its size.
    Size,
    /// That, and that it is written otherwise than through the views there are. Its memory does not go back either.
    Writes,
    /// That mappings and views are unmapped, replaced, or given other rights.
    Mappings,
}

/// One operating system. See the module for what holds for all of its functions.
pub(crate) trait Platform: fmt::Debug + Send + Sync {
    fn facts(&self) -> Facts;

    /// Whether `writer` works in this process, found out by doing what it does,
    /// with memory files of this size if it needs any.
    fn probe(&self, writer: Writer, file_size: u64) -> Result<(), Refusal>;

    /// Whether such seals work in this process. Leaves nothing sealed behind.
    fn probe_seal(&self, seal: Seal) -> Result<(), Refusal>;

    /// What is mapped in this process, for looking for gaps. The answer may be old when it is used: claim with
    /// [`Platform::reserve_at`] and look again if somebody else was faster.
    fn address_map(&self) -> Result<Box<dyn address_map::AddressMap + '_>, Refusal>;

    /// Reserves `size` bytes wherever the system likes, at a multiple of `align`.
    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal>;

    /// Reserves exactly these bytes.
    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Gives a reservation back, whole, with everything that is mapped in it. If mappings in it are sealed, that is refused, and
    /// what goes back is the private memory.
    ///
    /// # Safety
    /// `at` and `size` are those of a reservation, and nobody uses it any more.
    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Makes a memory file of `size` bytes.
    fn create_file(&self, size: u64) -> Result<MemoryFile, Refusal>;

    /// Puts [`Seal::Size`] or [`Seal::Writes`] on a memory file.
    fn seal_file(&self, file: MemoryFile, seal: Seal) -> Result<(), Refusal>;

    /// Gives part of a file its memory, so that a view of it can be touched without fail.
    fn provide(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal>;

    /// Closes a memory file. What is mapped of it stays.
    fn close_file(&self, file: MemoryFile);

    /// Maps part of a file into a reservation, readable or executable.
    ///
    /// # Safety
    /// The range is reserved, not mapped, and the caller's.
    unsafe fn map_file(
        &self,
        at: Address,
        size: u64,
        file: MemoryFile,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal>;

    /// Puts [`Seal::Mappings`] on what [`Platform::map_file`] mapped.
    ///
    /// # Safety
    /// The range was mapped as it is, and whoever owns it does without unmapping it.
    unsafe fn seal_mapping(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Maps part of a file readable and writable, anywhere outside of reservations.
    fn map_view(&self, size: u64, file: MemoryFile, offset: u64) -> Result<NonNull<u8>, Refusal>;

    /// Puts [`Seal::Mappings`] on what [`Platform::map_view`] gave. It may have been put there before.
    ///
    /// # Safety
    /// `view` and `size` are those of a view, and whoever owns it does without unmapping it.
    unsafe fn seal_view(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal>;

    /// Unmaps what [`Platform::map_view`] gave, whole.
    ///
    /// # Safety
    /// `view` and `size` are those of a view, and nobody uses it any more.
    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64);

    /// Prepares part of a view, which the file has memory for already, for being touched: cheaper than a fault for each
    /// page. A hint.
    fn populate(&self, view: NonNull<u8>, size: u64);

    /// Writes to a file past all views.
    fn write_file(&self, file: MemoryFile, offset: u64, bytes: &[u8]) -> Result<(), Refusal>;

    /// Gives the memory behind part of a file back; it reads as zero afterwards.
    ///
    /// # Safety
    /// Nobody uses that part through any mapping.
    unsafe fn discard_file(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal>;

    /// Maps zeroed private memory into a reservation and tells where it is written while it is writable: places that
    /// are as far from each other as the addresses are, for all ranges of one reservation.
    ///
    /// # Safety
    /// The range is reserved, not mapped, and the caller's.
    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal>;

    /// Changes what private memory may be used for.
    ///
    /// # Safety
    /// The range is private memory, and nobody relies on what it could be used for until now.
    unsafe fn protect(&self, at: Address, size: u64, protection: Protection)
    -> Result<(), Refusal>;

    /// Writes to this process's own private memory, whatever its protection.
    ///
    /// # Safety
    /// The range is private memory, and nobody uses it.
    unsafe fn write_self(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal>;

    /// Maps zeroed private memory into a reservation that every thread can execute, and none can write by itself. Only
    /// threads that have written to such memory, and those they start, can be relied on to read it.
    ///
    /// # Safety
    /// The range is reserved, not mapped, and the caller's.
    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Writes to what [`Platform::map_keyed`] mapped. This thread has the right to do so until the call returns, and runs
    /// nothing else meanwhile.
    ///
    /// # Safety
    /// The range was mapped so, nobody uses it, and `bytes` lie elsewhere.
    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal>;

    /// Gives the memory behind part of private memory back; it reads as zero afterwards.
    ///
    /// # Safety
    /// The range is private memory, and nobody uses it.
    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Unmaps part of a reservation, which stays reserved. Private memory in it is gone.
    ///
    /// # Safety
    /// The range is reserved, begins and ends where mapped ranges do, and nobody uses it any more.
    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Makes fetches of instructions see what was written behind these ranges of addresses: what has to be done for each is done
    /// for each, and what it takes to make other processors notice is done once.
    fn synchronize_instructions(&self, ranges: &[(Address, u64)]);

    /// Makes every thread of this process execute a full memory barrier, where [`Facts::has_process_barrier`].
    fn process_barrier(&self);

    /// The address of a symbol that the process provides.
    fn process_symbol(&self, name: &std::ffi::CStr) -> Option<Address>;

    /// A number that nobody can guess; 0 if the system has none.
    fn random(&self) -> u64;

    /// A number that differs between a process and every process it was forked from.
    fn generation(&self) -> u32;

    /// A word that holds [`Platform::generation`] and that the system changes in a child. Without one, whoever wants to know calls.
    fn generation_mark(&self) -> Option<&'static AtomicU32> {
        None
    }
}

/// The platform of this process.
pub(crate) fn current() -> Result<Arc<dyn Platform>> {
    static PLATFORM: OnceLock<Arc<dyn Platform>> = OnceLock::new();
    if let Some(platform) = PLATFORM.get() {
        return Ok(Arc::clone(platform));
    }
    let platform = native::platform()?;
    Ok(Arc::clone(PLATFORM.get_or_init(|| platform)))
}

impl Refusal {
    /// A refusal that is not the answer of a call but was seen coming.
    pub(crate) const fn foreseen(call: &'static str, size: u64, limit: Limit) -> Self {
        Self {
            call,
            errno: 0,
            size,
            limit,
        }
    }

    pub(crate) const fn is_occupied(&self) -> bool {
        matches!(self.limit, Limit::Occupied)
    }
}

/// What `Error` a system without a port gives.
#[allow(dead_code, reason = "used where there is no port")]
pub(crate) fn unsupported() -> Error {
    Error::UnsupportedPlatform(std::env::consts::OS)
}
