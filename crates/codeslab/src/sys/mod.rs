//! The operating system and the processor, each behind one contract: [`Platform`] (with [`MemoryFile`]) and [`arch::Processor`].
//!
//! Nothing above calls the system or knows which one it is: it asks the platform of the process ([`current`]). A port to a system is one
//! folder here that exports `platform()`, and its two lines where `native` is chosen; a port to a processor is one file in [`arch`].
//!
//! What a port has to fulfil, and what everything above relies on:
//!
//! - **Reservations** are address space without access. They cost no memory, and the system puts no other allocation there.
//!   `reserve_at` gives exactly the range asked for or refuses with [`Limit::Occupied`](crate::model::error::Limit::Occupied); it never replaces a mapping.
//! - **Ranges** that are reserved or mapped are multiples of [`Facts::granularity`], and every range that is unmapped was mapped
//!   as it is, or is the union of whole ranges that were: some systems (Windows) cannot cut mappings.
//! - **What code is put into** may have to be told when address space is reserved: on macOS, memory that threads switch between writing and
//!   executing takes no reservation's place. So a memory asks the platform for the one that is right for its writer
//!   ([`Platform::for_writer`]), and all of its reservations are that one's.
//! - **Pages** are what `protect` and `discard_private` are about: whole pages, never none, maybe of several neighbouring
//!   mappings. A port whose system takes one mapping at a time goes through them.
//! - **Addresses** outside of [`Facts::addresses`] are never asked for.
//! - **Memory files** are anonymous memory that can be mapped more than once. They are sparse: a byte costs memory when it
//!   is first written. Fresh ones are zero. Several reservations may have parts of one: see [`Facts::file_bytes`].
//! - **What is sealed** stays as it is until the process ends: a mapping in its place, a file at its size. A system that cannot
//!   do that says so when it is asked ([`Platform::probe_seal`]); nothing else depends on it.
//! - **No access right is ever both** writable and executable at one address, in any thread that is not inside
//!   [`Platform::write_keyed`].
//! - **Refusals** name the limit that was met ([`Refusal::limit`]) and leave everything as it was.
//! - Every function may be called from any thread, for different ranges at once.
//!

//! Words in the lists of obligations (`# Safety`), which are not said again at each function:
//!
//! - A range is **reserved** from [`Platform::reserve`] or [`Platform::reserve_at`] until [`Platform::release`], and **mapped** from a
//!   function that maps until one that unmaps. Both are about this platform's functions, and a range lies in one reservation.
//! - The caller **holds** a range if no other thread calls a function of the platform for any byte of it at the same time.
//! - A range, a view or a part of a file is **idle** if no thread reads, writes or executes it, by whichever address, until the
//!   function returns.

#![allow(unsafe_code, reason = "it declares what ports implement")]

use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Limit, Refusal, Result};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::stats::{ProcessLocation, ProcessSymbolKind};
use crate::model::writer::Writer;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

pub(crate) mod address_map;
mod arch;
mod probe;

#[cfg(test)]
pub(crate) mod fake;

// What the ports to systems of one family share.
#[cfg(all(unix, not(miri)))]
mod dynamic_linker;

// A port adds its line and its name to the last one. Miri has no system to call. With `--cfg rehearsal`, Linux has the port to macOS.
#[cfg_attr(
    all(not(any(miri, rehearsal)), target_os = "linux"),
    path = "linux/mod.rs"
)]
#[cfg_attr(all(not(miri), target_os = "macos"), path = "macos/mod.rs")]
#[cfg_attr(all(not(miri), target_os = "windows"), path = "windows/mod.rs")]
#[cfg_attr(all(not(miri), rehearsal), path = "macos/rehearsal/mod.rs")]
#[cfg_attr(
    any(
        miri,
        not(any(target_os = "linux", target_os = "macos", target_os = "windows"))
    ),
    path = "unsupported.rs"
)]
mod native;

// Compiled with the tests everywhere, so that it does not rot unseen.
#[cfg(test)]
mod unsupported;

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
    /// Whether indirect branches arrive in code at landing pads only: see [`Platform::guarded`].
    pub(crate) guards_branches: bool,
}

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

/// An open memory file. Dropping it closes it; what is mapped of it stays mapped. Its functions are about parts of it: `offset` and `size`
/// lie inside the size that it was created with.
pub(crate) trait MemoryFile: fmt::Debug + Send + Sync {
    /// Puts [`Seal::Size`] or [`Seal::Writes`] on it. A file is sealed at most once.
    fn seal(&self, seal: Seal) -> Result<(), Refusal>;

    /// Gives a part its memory, so that a view of it can be touched without fail. What it holds stays.
    fn provide(&self, offset: u64, size: u64) -> Result<(), Refusal>;

    /// Maps a part anywhere outside of reservations: readable and writable, or, if it `is_hidden`, without access until
    /// [`Platform::show`]. [`Platform::unmap_view`] unmaps it.
    fn map_view(&self, offset: u64, size: u64, is_hidden: bool) -> Result<NonNull<u8>, Refusal>;

    /// Maps a part into a reservation, readable or executable.
    ///
    /// # Safety
    /// - The range is reserved and not mapped.
    /// - The caller holds the range.
    unsafe fn map_at(
        &self,
        at: Address,
        offset: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal>;

    /// Writes to a part past all views.
    ///
    /// # Safety
    /// - The part is idle.
    unsafe fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Refusal>;

    /// Gives the memory behind a part back; it reads as zero afterwards.
    ///
    /// # Safety
    /// - The part is idle.
    unsafe fn discard(&self, offset: u64, size: u64) -> Result<(), Refusal>;
}

/// A shared library that is open. Dropping it closes it.
pub(crate) trait OpenLibrary: std::fmt::Debug + Send + Sync {
    /// The address of a symbol that it, or a library that it needs, defines.
    fn symbol(&self, name: &std::ffi::CStr) -> Option<Address>;

    /// The same for one version of a symbol.
    fn symbol_version(&self, name: &std::ffi::CStr, version: &std::ffi::CStr) -> Option<Address>;
}

/// Why a writer does not work, or the file that it was probed with, for a memory to go on with: its start holds what the probe wrote.
pub(crate) type Probed = Result<Option<Box<dyn MemoryFile>>, Refusal>;

/// One operating system.
pub(crate) trait Platform: fmt::Debug + Send + Sync {
    fn facts(&self) -> Facts;

    /// Whether `writer` works in this process, found out by doing what it does, with a memory file of this size if it needs one.
    fn probe(&self, writer: Writer, file_size: u64) -> Probed;

    /// The platform for memories of this writer, where it takes reservations of another kind: `map_keyed` may work on that one only. `None`
    /// where this one does for all.
    fn for_writer(&self, _writer: Writer) -> Option<Arc<dyn Platform>> {
        None
    }

    /// Whether such seals work in this process. Leaves nothing sealed behind.
    fn probe_seal(&self, seal: Seal) -> Result<(), Refusal>;

    /// What is mapped in this process, for looking for gaps. The answer may be old when it is used: claim with
    /// [`Platform::reserve_at`] and look again if another thread was faster.
    fn address_map(&self) -> Result<Box<dyn address_map::AddressMap + '_>, Refusal>;

    /// Reserves `size` bytes wherever the system likes, at a multiple of `align`.
    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal>;

    /// Reserves exactly these bytes.
    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Gives a reservation back, with everything that is mapped in it. If mappings in it are sealed, that is refused, and
    /// what goes back is the private memory.
    ///
    /// # Safety
    /// - `at` and `size` are those of a whole reservation.
    /// - The caller holds the reservation, it is idle, and no later use of it follows.
    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Makes a memory file of `size` bytes.
    fn create_file(&self, size: u64) -> Result<Box<dyn MemoryFile>, Refusal>;

    /// Puts [`Seal::Mappings`] on what [`MemoryFile::map_at`] mapped.
    ///
    /// # Safety
    /// - `at` and `size` are those of one call that mapped, and the range is mapped still.
    /// - The range is never unmapped, replaced or given other rights afterwards, or only by calls whose refusal is no harm.
    unsafe fn seal_mapping(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Puts [`Seal::Mappings`] on what [`MemoryFile::map_view`] gave. It may have been put there before.
    ///
    /// # Safety
    /// - `view` and `size` are those of a view that is mapped.
    /// - The view is never unmapped afterwards.
    unsafe fn seal_view(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal>;

    /// Makes part of a hidden view readable and writable.
    ///
    /// # Safety
    /// - The part is whole granules in a view that was mapped hidden, and stays mapped until the function returns.
    /// - No other thread calls a function of the platform for that part at the same time.
    unsafe fn show(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal>;

    /// Unmaps what [`MemoryFile::map_view`] gave.
    ///
    /// # Safety
    /// - `view` and `size` are those of a whole view that is mapped and not sealed.
    /// - The view is idle, and no pointer into it is used afterwards.
    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64);

    /// Prepares part of a view for being touched: cheaper than a fault for each page. A hint.
    ///
    /// # Safety
    /// - The part lies in a view that stays mapped until the function returns.
    /// - The file has memory for the part already, as after [`MemoryFile::write`] or [`MemoryFile::provide`].
    unsafe fn populate(&self, view: NonNull<u8>, size: u64);

    /// Maps zeroed private memory into a reservation and tells where it is written while it is writable: pointers that
    /// are as far from each other as the addresses are, for all ranges of one reservation.
    ///
    /// # Safety
    /// - The range is reserved and not mapped.
    /// - The caller holds the range.
    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal>;

    /// Maps zeroed private memory that is readable and writable, outside of reservations and of what they may need: for tables, of which
    /// little is used. `size` is whole granules. Refused where the global allocator never clears as much to give it.
    fn map_apart(&self, size: u64) -> Result<NonNull<u8>, Refusal> {
        Err(Refusal::foreseen("map", size, Limit::Unsupported))
    }

    /// Unmaps what [`Platform::map_apart`] gave.
    ///
    /// # Safety
    /// - `start` and `size` are those of one call, whose memory was not unmapped since.
    /// - The memory is idle, and no pointer into it is used afterwards.
    unsafe fn unmap_apart(&self, _start: NonNull<u8>, _size: u64) {}

    /// Changes what private memory may be used for.
    ///
    /// # Safety
    /// - The range was mapped by [`Platform::map_private`].
    /// - The caller holds the range.
    /// - No thread uses the range in a way that `protection` forbids, at the same time or later.
    unsafe fn protect(&self, at: Address, size: u64, protection: Protection)
    -> Result<(), Refusal>;

    /// Writes to this process's own private memory, whatever its protection.
    ///
    /// # Safety
    /// - The range was mapped by [`Platform::map_private`].
    /// - It is idle, and `bytes` lie outside of it.
    unsafe fn write_self(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal>;

    /// Maps zeroed private memory into a reservation that every thread can execute, and none can write by itself: under a protection key
    /// ([`Writer::Pkeys`]), or to be written by switching ([`Writer::MapJit`]). Under a key, only threads that have written to such memory,
    /// and those they start, can be relied on to read it.
    ///
    /// # Safety
    /// - The range is reserved and not mapped.
    /// - The caller holds the range.
    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Writes to what [`Platform::map_keyed`] mapped. This thread may do so until the call returns, and runs nothing else meanwhile.
    ///
    /// # Safety
    /// - The range was mapped by [`Platform::map_keyed`].
    /// - It is idle, and `bytes` lie outside of all such memory.
    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal>;

    /// Gives the memory behind part of private memory back; it reads as zero afterwards.
    ///
    /// # Safety
    /// - The range was mapped by [`Platform::map_private`] or [`Platform::map_keyed`].
    /// - It is idle.
    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Gives the memory behind whole granules of private memory back until [`Platform::recommit_private`]. Where the system does not
    /// take it back otherwise, nothing may read them meanwhile.
    ///
    /// # Safety
    /// - The range was mapped by [`Platform::map_private`] or [`Platform::map_keyed`].
    /// - It is idle, and not used until it is recommitted.
    unsafe fn purge_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is private memory, and idle, by the caller's word.
        unsafe { self.discard_private(at, size) }
    }

    /// Makes purged private memory zeroed memory again, readable and writable if that is what it was.
    ///
    /// # Safety
    /// - The range was purged by [`Platform::purge_private`], whole or in parts.
    /// - The caller holds the range.
    unsafe fn recommit_private(&self, _at: Address, _size: u64) -> Result<(), Refusal> {
        Ok(())
    }

    /// Unmaps part of a reservation, which stays reserved. Private memory in it is gone.
    ///
    /// # Safety
    /// - The range is reserved, and cuts nothing that was mapped by one call.
    /// - The caller holds the range, it is idle, and no use of what was mapped there follows.
    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal>;

    /// Makes fetches of instructions see what was written behind these ranges. What makes other processors notice is done once.
    ///
    /// # Safety
    /// - Each range is mapped, readable or executable, until the function returns: some processors clean caches by reading.
    unsafe fn synchronize_instructions(&self, ranges: &[(Address, u64)]);

    /// Makes every thread of this process execute a full memory barrier, where [`Facts::has_process_barrier`].
    fn process_barrier(&self);

    /// The address of a symbol that the process provides.
    fn process_symbol(&self, name: &std::ffi::CStr) -> Option<Address>;

    /// The address of one version of a symbol. A system whose libraries have no versions has one of each symbol.
    fn process_symbol_version(
        &self,
        name: &std::ffi::CStr,
        _version: &std::ffi::CStr,
    ) -> Option<Address> {
        self.process_symbol(name)
    }

    /// The executable or library that an address lies in, and the symbol. `None` where it lies in neither, or the system does not tell.
    fn process_location(&self, _at: Address) -> Option<ProcessLocation> {
        None
    }

    /// Opens a shared library by its path or name, or says why that is not possible.
    fn open_library(&self, _path: &std::ffi::CStr) -> Result<Box<dyn OpenLibrary>, String> {
        Err("this system opens no shared libraries".to_owned())
    }

    /// What each of these symbols of the process is, by name and address. What a system does not tell is not known.
    fn process_symbol_kinds(&self, symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
        vec![ProcessSymbolKind::Unknown; symbols.len()]
    }

    /// Copies memory of this process, whatever it is, as far as it is mapped: how many bytes that were. It never faults. `None` where the
    /// system has no way to do that.
    fn read_process(&self, _at: Address, _into: &mut [u8]) -> Option<usize> {
        None
    }

    /// This platform with guarded code: an indirect branch that arrives in it at anything but a landing pad faults. `None` where processor
    /// or system has no such thing.
    fn guarded(&self) -> Option<Arc<dyn Platform>> {
        None
    }

    /// A number that cannot be guessed from outside of the process; 0 if the system has none.
    fn random(&self) -> u64;

    /// A number that differs between a process and every process it was forked from.
    fn generation(&self) -> u32;

    /// A word that holds [`Platform::generation`] and that the system changes in a child. Where there is none, callers ask for the
    /// generation each time.
    fn generation_mark(&self) -> Option<&'static AtomicU32> {
        None
    }

    /// Where the system puts what may lie anywhere, if that is known without a call.
    fn usual_place(&self) -> Option<Address> {
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

pub(crate) use arch::Branch;

/// The code of a branch to wherever the word at `pointer` says, on this processor; `None` if it is out of reach.
pub(crate) fn branch_through(at: Address, pointer: Address) -> Option<Branch> {
    <arch::Native as arch::Processor>::branch_through(at, pointer)
}

#[cfg(test)]
mod tests {
    use super::{current, unsupported};
    use crate::model::error::Error;

    #[test]
    fn a_system_without_a_port_is_named_when_a_memory_is_opened() {
        let system = Error::UnsupportedPlatform(std::env::consts::OS);
        assert_eq!(unsupported::platform().unwrap_err(), system);
    }

    #[test]
    fn a_process_has_one_platform_or_says_why_not() {
        match (current(), current()) {
            (Ok(first), Ok(second)) => assert!(std::sync::Arc::ptr_eq(&first, &second)),
            (first, second) => assert_eq!(first.unwrap_err(), second.unwrap_err()),
        }
    }
}
