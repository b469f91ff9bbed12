//! Linux. [`Linux`] answers [`Platform`]; what it asks the system stands in one file for each subject.
//!
//! What a reader must know about Linux:
//! - A process may have `vm.max_map_count` mappings (65,530 by default); the call that would exceed it fails with ENOMEM, as
//!   do those that meet `RLIMIT_AS` or run out of memory.
//! - `MAP_FIXED_NOREPLACE` needs Linux 4.17; older kernels take it for a hint, so the address that comes back is compared.
//! - mseal (Linux 6.10) closes mappings to munmap, mremap, mprotect, and to mmap in their place. There is no way back.
//!   Sealed neighbours still merge.
#![allow(unsafe_code, reason = "this folder is where the system is called")]

mod address_map;
mod barrier;
mod descriptors;
mod fork;
mod keys;
mod limits;
mod memory_file;
mod mm;
mod process;
mod seals;

// The port to macOS runs here as well, in the unit tests.
#[cfg(test)]
#[path = "../macos/rehearsal/mod.rs"]
mod rehearsal;

use super::address_map::AddressMap;
use super::arch::{self, Native, Processor};
use super::{Facts, MemoryFile, Platform, Probed, Seal, dynamic_linker, probe};
use crate::model::address::Address;
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use memory_file::Memfd;
use mm::{Access, Advice, Source, pointer};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

pub(super) fn platform() -> Result<Arc<dyn Platform>> {
    Ok(Arc::new(Linux::new()?))
}

#[derive(Debug)]
struct Linux {
    architecture: Architecture,
    page_size: PageSize,
    generation: fork::Generation,
    barriers: barrier::Barriers,
    maps: address_map::KeptMaps,
    /// Whether code is mapped so that indirect branches arrive at landing pads only.
    is_guarded: bool,
}

impl Linux {
    fn new() -> Result<Self> {
        const UNKNOWN_PAGES: Error =
            Error::UnsupportedPlatform("a system with an unknown page size");
        Ok(Self {
            architecture: arch::architecture()?,
            page_size: process::page_size().ok_or(UNKNOWN_PAGES)?,
            generation: fork::Generation::new()?,
            barriers: barrier::Barriers::prepare(),
            maps: address_map::KeptMaps::default(),
            is_guarded: false,
        })
    }
}

impl Platform for Linux {
    fn facts(&self) -> Facts {
        Facts {
            architecture: self.architecture,
            page_size: self.page_size,
            granularity: self.page_size.bytes(),
            file_bytes: 1 << 30,
            addresses: process::addresses(),
            has_process_barrier: self.barriers.has_memory(),
            fetches_are_coherent: Native::FETCHES_ARE_COHERENT,
            guards_branches: self.is_guarded,
        }
    }

    fn probe(&self, writer: Writer, file_size: u64) -> Probed {
        match writer {
            Writer::MapJit => Err(Refusal::foreseen("MAP_JIT", 0, Limit::Unsupported)),
            _ => probe::probe(self, writer, file_size),
        }
    }

    fn probe_seal(&self, seal: Seal) -> Result<(), Refusal> {
        seals::probe(self, seal)
    }

    fn address_map(&self) -> Result<Box<dyn AddressMap + '_>, Refusal> {
        address_map::of_process(&self.maps, self.generation())
    }

    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal> {
        let slack = align.saturating_sub(self.page_size.bytes());
        let too_large = Refusal::foreseen("mmap", size, Limit::AddressSpace);
        let padded = size.checked_add(slack).ok_or(too_large)?;
        let start = mm::map(None, padded, Access::NONE, Source::Private)?;
        let aligned = Address::new(start.value().next_multiple_of(align));
        let head = aligned.distance(start);
        let end = Address::new(aligned.value() + size);
        // SAFETY: the head is part of what was mapped just now, and its address was told to no other code. Should unmapping fail, it
        // merely stays reserved.
        let _ = unsafe { mm::unmap(start, head) };
        // SAFETY: the tail is part of what was mapped just now, and its address was told to no other code.
        let _ = unsafe { mm::unmap(end, slack - head) };
        Ok(aligned)
    }

    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        mm::map_if_free(at, size, Access::NONE, Source::Private)
    }

    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is a whole reservation, which `reserve` or `reserve_at` mapped, and no thread uses it from now on.
        let released = unsafe { mm::unmap(at, size) };
        if released.is_err() {
            // SAFETY: the range is still mapped, and no thread uses it or relies on what it holds. Of mapped files this drops nothing
            // but page tables.
            let _ = unsafe { mm::advise(at, size, Advice::Discard) };
        }
        released
    }

    fn create_file(&self, size: u64) -> Result<Box<dyn MemoryFile>, Refusal> {
        Ok(Box::new(Memfd::create(size, self.is_guarded)?))
    }

    unsafe fn seal_mapping(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range was mapped as it is and is still mapped, and its owner does not rely on changing it later.
        unsafe { mm::seal(at, size) }
    }

    unsafe fn seal_view(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        // SAFETY: the view is mapped, and its owner does not unmap it later.
        unsafe { mm::seal(address(view), size) }
    }

    unsafe fn show(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is part of a view without access, which no thread uses, and whose mappings no other thread changes.
        unsafe { mm::protect(address(view), size, Access::READ_WRITE) }
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64) {
        // SAFETY: the view is whole and mapped by `map_view`, and no thread uses it from now on. Should it be refused, the view stays mapped.
        let _ = unsafe { mm::unmap(address(view), size) };
    }

    /// By reading, which maps what the file has for up to 64 KiB around, writable. (`MADV_POPULATE_READ` takes twice as long: it looks at each
    /// page once more, and notes that it was used.)
    unsafe fn populate(&self, view: NonNull<u8>, size: u64) {
        const AROUND: u64 = 64 << 10;
        let start = address(view).value();
        let mut at = start;
        while at < start + size {
            // SAFETY: the byte is in the view, which can be read and stays mapped, and the file has memory for it.
            unsafe {
                view.as_ptr()
                    .wrapping_add((at - start) as usize)
                    .read_volatile()
            };
            at = (at + 1).next_multiple_of(AROUND);
        }
    }

    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal> {
        let access = Access::of(protection, self.is_guarded);
        // SAFETY: the range is reserved and not mapped, which is private memory without access, so no thread uses it; the caller holds
        // it, so no thread changes its mappings.
        unsafe { mm::protect(at, size, access) }?;
        Ok(pointer(at))
    }

    /// The heap of glibc is no place for it: it is cleared there, all of it, once the program has freed something as large.
    fn map_apart(&self, size: u64) -> Result<NonNull<u8>, Refusal> {
        let hint = Some(memory_file::far_away(size));
        mm::map(hint, size, Access::READ_WRITE, Source::Private).map(pointer)
    }

    unsafe fn unmap_apart(&self, start: NonNull<u8>, size: u64) {
        // SAFETY: the range was mapped by `map_apart`, and no thread uses it from now on. Should it be refused, it stays mapped.
        let _ = unsafe { mm::unmap(address(start), size) };
    }

    unsafe fn protect(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        let access = Access::of(protection, self.is_guarded);
        // SAFETY: the range was mapped by `map_private`, so it is reserved private memory; the caller holds it; and no thread uses it
        // otherwise than it may afterwards.
        unsafe { mm::protect(at, size, access) }
    }

    unsafe fn write_self(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the range was mapped by `map_private`, no thread uses it, and `bytes` lie outside of it.
        unsafe { process::write_memory(at, bytes) }
    }

    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is reserved and not mapped, and the caller holds it, so no other thread changes its mappings.
        unsafe { keys::map(at, size) }
    }

    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the range was mapped by `map_keyed`; no thread uses it, and `bytes` lie outside of what is under the key.
        unsafe { keys::write(at, bytes) }
    }

    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is mapped private memory, which no thread uses and whose content the caller gives up.
        unsafe { mm::advise(at, size, Advice::Discard) }
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is reserved, the caller holds it, and no thread uses what is mapped there now, at the same time or later.
        unsafe { mm::map_over(at, size, Access::NONE, Source::Private) }
    }

    unsafe fn synchronize_instructions(&self, ranges: &[(Address, u64)]) {
        // SAFETY: each range is mapped, readable or executable, until this function returns.
        unsafe { Native::synchronize_instructions(ranges) };
        self.barriers.instructions();
    }

    fn process_barrier(&self) {
        self.barriers.memory();
    }

    fn process_symbol(&self, name: &CStr) -> Option<Address> {
        dynamic_linker::symbol(name)
    }

    fn process_symbol_version(&self, name: &CStr, version: &CStr) -> Option<Address> {
        dynamic_linker::symbol_version(name, version)
    }

    fn read_process(&self, at: Address, into: &mut [u8]) -> Option<usize> {
        process::read(at, into)
    }

    fn guarded(&self) -> Option<Arc<dyn Platform>> {
        /// One for all memories: it keeps a descriptor.
        static GUARDED: OnceLock<Arc<Linux>> = OnceLock::new();
        let make = || {
            Arc::new(Self {
                maps: address_map::KeptMaps::default(),
                is_guarded: true,
                ..*self
            })
        };
        process::has_guarded_pages().then(|| Arc::clone(GUARDED.get_or_init(make)) as _)
    }

    fn random(&self) -> u64 {
        process::random()
    }

    fn generation(&self) -> u32 {
        self.generation.number()
    }

    fn generation_mark(&self) -> Option<&'static AtomicU32> {
        self.generation.mark()
    }

    /// Where it put the page of the mark.
    fn usual_place(&self) -> Option<Address> {
        let mark = self.generation.mark()?;
        Some(Address::new(std::ptr::from_ref(mark) as u64))
    }
}

fn address(view: NonNull<u8>) -> Address {
    Address::new(view.as_ptr() as u64)
}
