//! Windows. [`Windows`] answers [`Platform`]; what it asks the system stands in one file for each subject:
//!
//! | file          | what it is about                                                                      |
//! | ------------- | ------------------------------------------------------------------------------------- |
//! | `mm`          | the calls: `VirtualAlloc2`, `MapViewOfFile3`, `VirtualFree`, …, with types instead of flags   |
//! | `tiles`       | one reservation: placeholders that are split, replaced, and joined again               |
//! | `store`       | all reservations, views and memory files, and what is mapped where                     |
//! | `memory_file` | memory files: sections; where views go                                                |
//! | `plain`       | reservations on systems without placeholders                                          |
//! | `address_map` | what is mapped: `VirtualQuery`                                                          |
//! | `limits`      | which limit an error means                                                            |
//! | `exports`     | which library an address lies in, and what that exports there                          |
//! | `process`     | page size, addresses, symbols, random numbers, barriers                               |
//! | `shared_library` | libraries that are opened by name                                                  |
//!
//! What a reader must know about Windows:
//! - Mappings begin at multiples of 64 KiB, and cannot be cut: a view is unmapped whole, and what takes the place of reserved address
//!   space takes the place of a whole *placeholder* (Windows 10 1803), which can be split and joined beforehand. Older systems can put a view
//!   nowhere without giving the place up first, for any thread to take. There, memory is private, and the writer is `protect`.
//! - Memory counts against the commit limit (memory and paging files together, or a job's) when it is committed, not when it is touched.
//! - Pages of a section cannot be given back while it is open or mapped. Private pages can.
//! - What a section is mapped for bounds what `VirtualProtect` can make of the view: one for reading never becomes writable.
//! - There are no forks, no seals, and no keys.
//!
//! <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualalloc2>
#![allow(unsafe_code, reason = "this folder is where the system is called")]

mod address_map;
mod exports;
mod limits;
mod memory_file;
mod mm;
mod plain;
mod process;
mod shared_library;
mod store;
#[cfg(test)]
mod tests;
mod tiles;

use super::address_map::AddressMap;
use super::arch::{self, Native, Processor};
use super::{Facts, MemoryFile, OpenLibrary, Platform, Probed, Seal, probe};
use crate::model::address::Address;
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::protection::Protection;
use crate::model::stats::{ProcessLocation, ProcessSymbolKind};
use crate::model::writer::Writer;
use memory_file::SectionFile;
use mm::{Access, Free, Placeholders, Requirements};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;
use store::Store;

pub(super) fn platform() -> Result<Arc<dyn Platform>> {
    Ok(Arc::new(Windows::new(Placeholders::of_system())?))
}

/// A process on Windows.
#[derive(Debug)]
struct Windows {
    architecture: Architecture,
    sizes: process::Sizes,
    // None before Windows 10 1803.
    store: Option<Arc<Store>>,
}

impl Windows {
    fn new(placeholders: Option<Placeholders>) -> Result<Self> {
        const UNKNOWN_PAGES: Error =
            Error::UnsupportedPlatform("a system with an unknown page size");
        let sizes = process::sizes().ok_or(UNKNOWN_PAGES)?;
        let store = placeholders.map(|calls| Arc::new(Store::new(calls, sizes.granularity)));
        Ok(Self {
            architecture: arch::architecture()?,
            sizes,
            store,
        })
    }

    /// The parts of private memory of which each can be changed by one call.
    fn private_parts(&self, at: Address, size: u64) -> Vec<(Address, u64)> {
        match &self.store {
            Some(store) => store.private_parts(at, size),
            None => vec![(at, size)],
        }
    }
}

const NO_SUCH_THING: Limit = Limit::Unsupported;

impl Platform for Windows {
    fn facts(&self) -> Facts {
        Facts {
            architecture: self.architecture,
            page_size: self.sizes.page_size,
            granularity: self.sizes.granularity,
            file_bytes: 0,
            addresses: self.sizes.addresses,
            has_process_barrier: true,
            fetches_are_coherent: Native::FETCHES_ARE_COHERENT,
            guards_branches: false,
        }
    }

    fn probe(&self, writer: Writer, file_size: u64) -> Probed {
        probe::probe(self, writer, file_size)
    }

    fn probe_seal(&self, _seal: Seal) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", 0, NO_SUCH_THING))
    }

    fn address_map(&self) -> Result<Box<dyn AddressMap + '_>, Refusal> {
        let granularity = self.sizes.granularity;
        Ok(Box::new(address_map::LiveMap { granularity }))
    }

    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal> {
        let align = align.max(self.sizes.granularity);
        match &self.store {
            Some(store) => store.reserve(size, Requirements { lowest: 0, align }),
            None => plain::reserve(size, align),
        }
    }

    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        match &self.store {
            Some(store) => store.reserve_at(at, size),
            None => mm::reserve_plain(at, size).map(drop),
        }
    }

    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal> {
        match &self.store {
            // SAFETY: it is a whole reservation, which no thread uses from now on.
            Some(store) => unsafe { store.release(at) },
            // SAFETY: it is a whole reservation, which no thread uses from now on.
            None => unsafe { mm::free(at, size, Free::Release) },
        }
    }

    fn create_file(&self, size: u64) -> Result<Box<dyn MemoryFile>, Refusal> {
        let store = self.store.as_ref();
        let store = store.ok_or(Refusal::foreseen("MapViewOfFile3", size, NO_SUCH_THING))?;
        Ok(Box::new(SectionFile::create(store)))
    }

    unsafe fn seal_mapping(&self, _at: Address, size: u64) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", size, NO_SUCH_THING))
    }

    unsafe fn seal_view(&self, _view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", size, NO_SUCH_THING))
    }

    unsafe fn show(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        match &self.store {
            Some(store) => store.show(address(view), size),
            None => Err(Refusal::foreseen("a view", size, NO_SUCH_THING)),
        }
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, _size: u64) {
        if let Some(store) = &self.store {
            // SAFETY: the view is whole, and no thread uses it from now on. Should it be refused, its address space stays reserved.
            let _ = unsafe { store.release(address(view)) };
        }
    }

    // A view shows pages that are in memory, so what touching them costs is little.
    unsafe fn populate(&self, _view: NonNull<u8>, _size: u64) {}

    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal> {
        let access = Access::from(protection);
        match &self.store {
            Some(store) => store.commit(at, size, access),
            // SAFETY: the range is part of a reservation, without memory, and the caller holds it.
            None => unsafe { mm::commit_plain(at, size, access) },
        }?;
        let start = NonNull::new(at.value() as *mut u8);
        start.ok_or(Refusal::foreseen("VirtualAlloc2", size, Limit::Unknown))
    }

    unsafe fn protect(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let mut parts = self.private_parts(at, size).into_iter();
        // SAFETY: each part is private memory of one allocation, which the caller holds and no thread uses otherwise than it may afterwards.
        parts.try_for_each(|(at, size)| unsafe { mm::protect(at, size, protection.into()) })
    }

    unsafe fn write_self(&self, _at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        // WriteProcessMemory makes the pages writable and executable for a moment.
        let size = bytes.len() as u64;
        Err(Refusal::foreseen("WriteProcessMemory", size, NO_SUCH_THING))
    }

    unsafe fn map_keyed(&self, _at: Address, size: u64) -> Result<(), Refusal> {
        Err(Refusal::foreseen("keyed memory", size, NO_SUCH_THING))
    }

    unsafe fn write_keyed(&self, _at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        Err(Refusal::foreseen("a protection key", size, NO_SUCH_THING))
    }

    unsafe fn discard_private(&self, _at: Address, size: u64) -> Result<(), Refusal> {
        // Pages without memory would have to be given some at once, which may be refused when nothing can be undone.
        Err(Refusal::foreseen("MEM_RESET", size, NO_SUCH_THING))
    }

    unsafe fn purge_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut parts = self.private_parts(at, size).into_iter();
        // SAFETY: each part is private memory that the caller holds and no thread uses until it is recommitted.
        parts.try_for_each(|(at, size)| unsafe { mm::free(at, size, Free::Decommit) })
    }

    unsafe fn recommit_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // The writer `protect` is the only one to private memory here, and what it purges is not published, so it was writable.
        let access = Access::READ_WRITE;
        let mut parts = self.private_parts(at, size).into_iter();
        // SAFETY: each part is private memory without pages, which the caller holds.
        let committed =
            parts.try_for_each(|(at, size)| unsafe { mm::commit_plain(at, size, access) });
        if committed.is_err() {
            // SAFETY: the pages were purged, so no thread uses them.
            let _ = unsafe { self.purge_private(at, size) };
        }
        committed
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        match &self.store {
            // SAFETY: the range cuts no mapping, the caller holds it, and no thread uses what is mapped there now.
            Some(store) => unsafe { store.clear(at, size) },
            // SAFETY: the range is private memory, which no thread uses from now on, or reserved.
            None => unsafe { mm::free(at, size, Free::Decommit) },
        }
    }

    unsafe fn synchronize_instructions(&self, ranges: &[(Address, u64)]) {
        if Native::FETCHES_ARE_COHERENT {
            // SAFETY: each range is mapped, readable or executable, until this function returns.
            return unsafe { Native::synchronize_instructions(ranges) };
        }
        for (at, size) in ranges {
            process::flush_instructions(*at, *size);
        }
    }

    fn process_barrier(&self) {
        process::barrier();
    }

    fn process_symbol(&self, name: &CStr) -> Option<Address> {
        process::symbol(name)
    }

    fn process_location(&self, at: Address) -> Option<ProcessLocation> {
        exports::location(at)
    }

    fn read_process(&self, at: Address, into: &mut [u8]) -> Option<usize> {
        Some(process::read(at, into))
    }

    fn open_library(&self, path: &CStr) -> Result<Box<dyn OpenLibrary>, String> {
        let library = shared_library::Library::open(path)?;
        Ok(Box::new(library))
    }

    fn process_symbol_kinds(&self, symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
        let functions = symbols.iter().map(|(_, at)| process::is_function(*at));
        functions.map(ProcessSymbolKind::of_function).collect()
    }

    fn random(&self) -> u64 {
        process::random()
    }

    fn generation(&self) -> u32 {
        // There are no forks.
        1
    }
}

fn address(view: NonNull<u8>) -> Address {
    Address::new(view.as_ptr() as u64)
}
