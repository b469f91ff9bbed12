//! [`Macos`] answers [`Platform`]. There are two of it: the platform of the process, whose reservations are address space for anything, and
//! the one for the writer `map-jit`, whose reservations are memory of `MAP_JIT` without access.

use super::access::{Access, Advice, pointer};
use super::address_map::LiveMap;
use super::jit::{self, Way};
use super::memory_file::Shared;
use super::signing::Signing;
use super::{mach, process};
use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Limit, Refusal, Result};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::stats::{ProcessLocation, ProcessSymbolKind};
use crate::model::writer::Writer;
use crate::sys::address_map::AddressMap;
use crate::sys::arch::{self, Native, Processor};
use crate::sys::{Facts, MemoryFile, OpenLibrary, Platform, Probed, Seal, dynamic_linker, probe};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

pub(in crate::sys) fn platform() -> Result<Arc<dyn Platform>> {
    Ok(Arc::new(Macos::new(
        Signing::of_process(),
        Way::of_process(),
    )?))
}

/// A process on macOS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Macos {
    architecture: Architecture,
    page_size: PageSize,
    signing: Signing,
    /// How memory of `MAP_JIT` is written.
    way: Way,
    /// Whether reservations are of `MAP_JIT`.
    is_jit: bool,
}

const NO_SUCH_THING: Limit = Limit::Unsupported;

impl Macos {
    pub(super) fn new(signing: Signing, way: Way) -> Result<Self> {
        const UNKNOWN_PAGES: Error =
            Error::UnsupportedPlatform("a system with an unknown page size");
        Ok(Self {
            architecture: arch::architecture()?,
            page_size: process::page_size().ok_or(UNKNOWN_PAGES)?,
            signing,
            way,
            is_jit: false,
        })
    }

    const fn page(&self) -> u64 {
        self.page_size.bytes()
    }

    /// The parts of private memory that may be used for different things.
    fn parts(at: Address, size: u64) -> Vec<(Address, u64, Access)> {
        let (mut parts, end) = (Vec::new(), at.value() + size);
        let mut next = at.value();
        while next < end {
            let Some(region) = mach::region_from(Address::new(next)) else {
                break;
            };
            let last = region.range.last().value().min(end - 1);
            let first = region.range.first().value().max(next);
            if first < end {
                parts.push((Address::new(first), last - first + 1, region.access));
            }
            next = last + 1;
        }
        parts
    }

    /// Whether private memory with these rights is code in memory of `MAP_JIT`.
    const fn is_keyed(&self, access: Access) -> bool {
        self.is_jit && access.is_executable()
    }

    fn not_keyed(size: u64) -> Refusal {
        Refusal::foreseen("MAP_JIT", size, NO_SUCH_THING)
    }
}

impl Platform for Macos {
    fn facts(&self) -> Facts {
        Facts {
            architecture: self.architecture,
            page_size: self.page_size,
            granularity: self.page(),
            file_bytes: 0,
            addresses: process::addresses(),
            has_process_barrier: false,
            fetches_are_coherent: Native::FETCHES_ARE_COHERENT,
            guards_branches: false,
        }
    }

    fn for_writer(&self, writer: Writer) -> Option<Arc<dyn Platform>> {
        let is_jit = writer == Writer::MapJit;
        (is_jit != self.is_jit).then(|| Arc::new(Self { is_jit, ..*self }) as _)
    }

    fn probe(&self, writer: Writer, file_size: u64) -> Probed {
        match writer {
            Writer::MapJit => self.signing.check_jit()?,
            Writer::Pkeys => return Err(Refusal::foreseen("a protection key", 0, NO_SUCH_THING)),
            _ => self.signing.check_unsigned()?,
        }
        match self.for_writer(writer) {
            Some(other) => probe::probe(&*other, writer, file_size),
            None => probe::probe(self, writer, file_size),
        }
    }

    fn probe_seal(&self, _seal: Seal) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", 0, NO_SUCH_THING))
    }

    fn address_map(&self) -> Result<Box<dyn AddressMap + '_>, Refusal> {
        Ok(Box::new(LiveMap))
    }

    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal> {
        let align = align.max(self.page());
        if self.is_jit {
            jit::reserve(size, align, self.page())
        } else {
            mach::reserve(size, align)
        }
    }

    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        if self.is_jit {
            jit::reserve_at(at, size)
        } else {
            mach::reserve_at(at, size)
        }
    }

    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is a whole reservation, and no thread uses it from now on.
        unsafe { mach::unmap(at, size) }
    }

    fn create_file(&self, size: u64) -> Result<Box<dyn MemoryFile>, Refusal> {
        Ok(Box::new(Shared::create(size, self.page())?))
    }

    unsafe fn seal_mapping(&self, _at: Address, size: u64) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", size, NO_SUCH_THING))
    }

    unsafe fn seal_view(&self, _view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        Err(Refusal::foreseen("a seal", size, NO_SUCH_THING))
    }

    unsafe fn show(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        // SAFETY: the range is part of a view without access, which no thread uses, and whose mappings no other thread changes.
        unsafe { mach::protect(address(view), size, Access::READ_WRITE) }
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64) {
        // SAFETY: the view is whole, and no thread uses it from now on. Should it be refused, the view stays mapped.
        let _ = unsafe { mach::unmap(address(view), size) };
    }

    // No call of the system does that: MADV_WILLNEED reads files ahead.
    unsafe fn populate(&self, _view: NonNull<u8>, _size: u64) {}

    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal> {
        // Where the reservation is of MAP_JIT, this takes its place until the range is decommitted: such pages could be both.
        // SAFETY: the range is reserved and not mapped, so no thread uses it, and the caller holds it.
        unsafe { mach::map_over(at, size, protection.into()) }?;
        Ok(pointer(at))
    }

    unsafe fn protect(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        // SAFETY: the range was mapped by `map_private`; the caller holds it; and no thread uses it otherwise than it may afterwards.
        unsafe { mach::protect(at, size, protection.into()) }
    }

    unsafe fn write_self(&self, _at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        // `mach_vm_write` minds the rights of pages.
        let size = bytes.len() as u64;
        Err(Refusal::foreseen("mach_vm_write", size, NO_SUCH_THING))
    }

    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal> {
        if !self.is_jit {
            return Err(Self::not_keyed(size));
        }
        // SAFETY: the range is reserved, as memory of MAP_JIT, and not mapped, so no thread uses it; the caller holds it.
        unsafe { mach::protect(at, size, self.way.access()) }
    }

    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        if !self.is_jit {
            return Err(Self::not_keyed(bytes.len() as u64));
        }
        // SAFETY: the range was mapped by `map_keyed`, is idle, and `bytes` lie outside of all such memory.
        unsafe { self.way.write(at, bytes, self.page()) }
    }

    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut parts = Self::parts(at, size).into_iter();
        parts.try_for_each(|(at, size, access)| {
            if self.is_keyed(access) {
                // SAFETY: the part is code in memory of MAP_JIT, and idle by the caller's word.
                unsafe { self.way.clear(at, size, self.page()) }?;
                // SAFETY: the part is mapped and idle, and zero, whether the pages are dropped or stay.
                return unsafe { mach::advise(at, size, Advice::Reusable) };
            }
            // SAFETY: the part is private memory in a reservation, which no thread uses and whose content the caller gives up.
            unsafe { mach::map_over(at, size, access) }
        })
    }

    unsafe fn purge_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut parts = Self::parts(at, size).into_iter();
        parts.try_for_each(|(at, size, access)| {
            if self.is_keyed(access) {
                // SAFETY: the part is mapped, and no thread uses it until it is recommitted, which clears it.
                return unsafe { mach::advise(at, size, Advice::Reusable) };
            }
            // SAFETY: the part is private memory in a reservation, which no thread uses and whose content the caller gives up.
            unsafe { mach::map_over(at, size, access) }
        })
    }

    unsafe fn recommit_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let parts = Self::parts(at, size).into_iter();
        let mut keyed = parts.filter(|(_, _, access)| self.is_keyed(*access));
        keyed.try_for_each(|(at, size, _)| {
            // What the system counts; the pages can be used without.
            // SAFETY: the part is mapped, and nothing that it holds is given up.
            let _ = unsafe { mach::advise(at, size, Advice::Reuse) };
            // SAFETY: the part is code in memory of MAP_JIT, which was purged, so it is idle.
            unsafe { self.way.clear(at, size, self.page()) }
        })
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        if self.is_jit {
            // SAFETY: the range is reserved, the caller holds it, and no thread uses what is mapped there, at the same time or later.
            return unsafe { jit::renew(at, size) };
        }
        // SAFETY: the range is reserved, the caller holds it, and no thread uses what is mapped there, at the same time or later.
        unsafe { mach::map_over(at, size, Access::NONE) }
    }

    unsafe fn synchronize_instructions(&self, ranges: &[(Address, u64)]) {
        if Native::FETCHES_ARE_COHERENT {
            // SAFETY: each range is mapped, readable or executable, until this function returns.
            return unsafe { Native::synchronize_instructions(ranges) };
        }
        for (at, size) in ranges {
            // SAFETY: the range is mapped, readable or executable, until this function returns.
            unsafe { mach::invalidate_instructions(*at, *size) };
        }
    }

    fn process_barrier(&self) {}

    fn process_symbol(&self, name: &CStr) -> Option<Address> {
        dynamic_linker::symbol(name)
    }

    fn process_location(&self, at: Address) -> Option<ProcessLocation> {
        dynamic_linker::location(at)
    }

    fn open_library(&self, path: &CStr) -> Result<Box<dyn OpenLibrary>, String> {
        let library = dynamic_linker::Library::open(path)?;
        Ok(Box::new(library))
    }

    fn process_symbol_kinds(&self, symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
        let is_function = |at: Address| {
            let base = dynamic_linker::image_base(at)?;
            // SAFETY: the dynamic linker says that an executable or library begins there; symbols of it are in use, so it stays loaded.
            let instructions = unsafe { mach::instructions_of(base) }?;
            Some(instructions.contains(Window::of_range(at, 1)?))
        };
        let functions = symbols.iter().map(|(_, at)| is_function(*at));
        functions
            .map(|is_function| ProcessSymbolKind::of_function(is_function == Some(true)))
            .collect()
    }

    fn read_process(&self, at: Address, into: &mut [u8]) -> Option<usize> {
        Some(process::read(at, into))
    }

    fn random(&self) -> u64 {
        process::random()
    }

    fn generation(&self) -> u32 {
        // The C library knows it without a call. A child's may be that of an ancestor which has ended, and whose memory it has not got.
        std::process::id()
    }
}

fn address(view: NonNull<u8>) -> Address {
    Address::new(view.as_ptr() as u64)
}
