//! A whole platform on the heap. Its failures are scripted, its address space is made up, and it checks its callers: a
//! function called with a range that the contract forbids panics, which is what tests want.
//!
//! Executable addresses and writable pointers have nothing to do with each other here. It cuts no mapping in two, as Windows
//! would not, and its granularity may be larger than its page.
#![allow(
    unsafe_code,
    reason = "it hands out pointers into its own heap memory, as a platform does"
)]

mod script;
mod state;

use super::address_map::{AddressMap, Snapshot};
use super::{Facts, MemoryFile, Platform, Seal};
use crate::model::address::{Address, Window};
use crate::model::architecture::Architecture;
use crate::model::error::{Limit, Refusal};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::writer::Writer;
use std::alloc::{Layout as HeapLayout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use script::Script;
use state::{FakeFile, Heap, Mapped, State};

/// The fake platform.
#[derive(Debug)]
pub(crate) struct Fake {
    facts: Facts,
    state: Mutex<State>,
    watcher: Mutex<Watcher>,
}

/// What a test does at the beginning of every call.
#[derive(Clone, Default)]
struct Watcher(Option<Arc<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watcher").field(&self.0.is_some()).finish()
    }
}

impl Platform for Fake {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn probe(&self, writer: Writer, _file_size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("probe", 0)?;
        if state.unavailable.contains(&writer) {
            return Err(Refusal::foreseen("probe", 0, Limit::Policy));
        }
        Ok(())
    }

    fn probe_seal(&self, seal: Seal) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("probe_seal", 0)?;
        if state.unknown_seals.contains(&seal) {
            return Err(Refusal::foreseen("probe_seal", 0, Limit::Unsupported));
        }
        Ok(())
    }

    fn address_map(&self) -> Result<Box<dyn AddressMap + '_>, Refusal> {
        let mut state = self.call();
        state.enter("address_map", 0)?;
        Ok(Box::new(Snapshot::new(state.taken())))
    }

    fn reserve(&self, size: u64, align: u64) -> Result<Address, Refusal> {
        let mut state = self.call();
        state.enter("reserve", size)?;
        let place = (1..1_000).find_map(|_| {
            state.next_place = (state.next_place - size) & !(align - 1);
            let at = Address::new(state.next_place);
            (!state.is_taken(Window::of_range(at, size)?)).then_some(at)
        });
        let at = place.ok_or(Refusal {
            call: "reserve",
            errno: 12,
            size,
            limit: Limit::AddressSpace,
        })?;
        state.reservations.insert(at, Heap::new(size));
        Ok(at)
    }

    fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        assert_eq!(
            at.value() % self.facts.granularity,
            0,
            "{at} is not a multiple of the granularity"
        );
        let mut state = self.call();
        state.enter("reserve_at", size)?;
        let wanted = Window::of_range(at, size).expect("a range");
        assert!(self.facts.addresses.contains(wanted), "{wanted} is nowhere");
        if state.races > 0 {
            state.races -= 1;
            state.foreign.push(wanted);
        }
        if state.is_taken(wanted) {
            return Err(Refusal {
                call: "reserve_at",
                errno: 17,
                size,
                limit: Limit::Occupied,
            });
        }
        state.reservations.insert(at, Heap::new(size));
        Ok(())
    }

    unsafe fn release(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("release", size)?;
        let pinned = state.check_pinned("release", at, size);
        if pinned.is_err() {
            state.clear_private(at, size);
            return pinned;
        }
        for mapped in state.mapped_within(at, size) {
            state.mapped.remove(&mapped);
        }
        let heap = state.reservations.remove(&at).expect("a reservation");
        assert_eq!(heap.size(), size, "a reservation is released whole");
        Ok(())
    }

    fn create_file(&self, size: u64) -> Result<MemoryFile, Refusal> {
        let mut state = self.call();
        state.enter("create_file", size)?;
        let name = state.next_file;
        state.next_file += 1;
        state.files.insert(
            name,
            FakeFile {
                heap: Heap::new(size),
                open: true,
                seal: None,
            },
        );
        Ok(MemoryFile(name))
    }

    fn seal_file(&self, file: MemoryFile, seal: Seal) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("seal_file", 0)?;
        assert_ne!(seal, Seal::Mappings, "files are not mappings");
        assert!(
            !state.unknown_seals.contains(&seal),
            "{seal:?} was probed first"
        );
        let file = state.files.get_mut(&file.0).expect("a file");
        assert_eq!(file.seal, None, "a file is sealed once");
        file.seal = Some(seal);
        Ok(())
    }

    fn provide(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("provide", size)?;
        assert!(
            offset + size <= state.files[&file.0].heap.size(),
            "the file ends before that"
        );
        Ok(())
    }

    fn close_file(&self, file: MemoryFile) {
        let mut state = self.call();
        let file = state.files.get_mut(&file.0).expect("a file");
        assert!(file.open, "a file is closed once");
        file.open = false;
    }

    unsafe fn map_file(
        &self,
        at: Address,
        size: u64,
        file: MemoryFile,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        assert_eq!(
            (at.value() | size | offset) % self.facts.granularity,
            0,
            "not a multiple of the granularity"
        );
        assert_ne!(
            protection,
            Protection::ReadWrite,
            "files are written through views"
        );
        let mut state = self.call();
        state.enter("map_file", size)?;
        assert!(
            offset + size <= state.files[&file.0].heap.size(),
            "the file ends before the mapping"
        );
        state.insert(
            at,
            Mapped {
                size,
                file: Some((file.0, offset)),
                protection,
                keyed: false,
            },
        );
        Ok(())
    }

    unsafe fn seal_mapping(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("seal_mapping", size)?;
        let range = Window::of_range(at, size).expect("a range");
        let mapped = state.mapped.get(&at).expect("a mapping");
        assert!(
            mapped.size == size && mapped.file.is_some(),
            "{range} was mapped as one"
        );
        state.pinned.push(range);
        Ok(())
    }

    fn map_view(&self, size: u64, file: MemoryFile, offset: u64) -> Result<NonNull<u8>, Refusal> {
        let mut state = self.call();
        state.enter("map_view", size)?;
        state.files[&file.0].check_writable("map_view", size)?;
        let heap = &state.files[&file.0].heap;
        assert!(
            offset + size <= heap.size(),
            "the file ends before the view"
        );
        let view = heap.at(offset);
        assert!(
            state.views.insert(view.as_ptr() as usize, size).is_none(),
            "one view of a range at a time"
        );
        Ok(view)
    }

    unsafe fn seal_view(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("seal_view", size)?;
        let at = view.as_ptr() as usize;
        assert_eq!(state.views.get(&at), Some(&size), "a view is sealed whole");
        if !state.pinned_views.contains(&at) {
            state.pinned_views.push(at);
        }
        Ok(())
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64) {
        let at = view.as_ptr() as usize;
        assert!(
            !self.call().pinned_views.contains(&at),
            "what is sealed stays"
        );
        let known = self.call().views.remove(&(view.as_ptr() as usize));
        assert_eq!(known, Some(size), "a view is unmapped whole");
    }

    fn populate(&self, _view: NonNull<u8>, _size: u64) {
        drop(self.call());
    }

    fn write_file(&self, file: MemoryFile, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("write_file", bytes.len() as u64)?;
        state.files[&file.0].check_writable("write_file", bytes.len() as u64)?;
        let heap = &state.files[&file.0].heap;
        assert!(
            offset + bytes.len() as u64 <= heap.size(),
            "the file ends before the write"
        );
        // SAFETY: the range is inside the file, and `bytes` is not (it is the caller's).
        unsafe {
            heap.at(offset)
                .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        };
        Ok(())
    }

    unsafe fn discard_file(&self, file: MemoryFile, offset: u64, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("discard_file", size)?;
        state.files[&file.0].check_writable("discard_file", size)?;
        state.files[&file.0].heap.clear(offset, size);
        Ok(())
    }

    unsafe fn map_private(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<NonNull<u8>, Refusal> {
        assert_eq!(
            (at.value() | size) % self.facts.granularity,
            0,
            "not a multiple of the granularity"
        );
        let mut state = self.call();
        state.enter("map_private", size)?;
        state.insert(
            at,
            Mapped {
                size,
                file: None,
                protection,
                keyed: false,
            },
        );
        let (base, heap) = state.reservation_of(at, size);
        Ok(heap.at(at.distance(base)))
    }

    unsafe fn protect(
        &self,
        at: Address,
        size: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        assert_eq!(
            (at.value() | size) % self.facts.page_size.bytes(),
            0,
            "not a multiple of the page size"
        );
        let mut state = self.call();
        state.enter("protect", size)?;
        // Rights may change for part of a mapping, page by page, on every system.
        let mut done = 0;
        while done < size {
            let here = Address::new(at.value() + done);
            let (start, whole) = state
                .mapped
                .range(..=here)
                .next_back()
                .map(|(at, mapped)| (*at, *mapped))
                .expect("mapped");
            assert!(
                whole.file.is_none() && here.distance(start) < whole.size,
                "{here} is not private memory"
            );
            assert!(!whole.keyed, "{here} keeps its rights");
            done += state.split_private(start, whole, here, size - done, protection);
        }
        Ok(())
    }

    unsafe fn write_self(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("write_self", bytes.len() as u64)?;
        assert!(
            !state.is_keyed(at, bytes.len() as u64),
            "{at} is written by nothing but write_keyed"
        );
        state.copy_in(at, bytes);
        Ok(())
    }

    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal> {
        assert_eq!(
            (at.value() | size) % self.facts.granularity,
            0,
            "not a multiple of the granularity"
        );
        let mut state = self.state();
        state.enter("map_keyed", size)?;
        state.insert(
            at,
            Mapped {
                size,
                file: None,
                protection: Protection::ReadExecute,
                keyed: true,
            },
        );
        Ok(())
    }

    unsafe fn write_keyed(&self, at: Address, bytes: &[u8]) -> Result<(), Refusal> {
        let mut state = self.state();
        state.enter("write_keyed", bytes.len() as u64)?;
        assert!(
            state.is_keyed(at, bytes.len() as u64),
            "{at} was not mapped by map_keyed"
        );
        state.copy_in(at, bytes);
        Ok(())
    }

    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("discard_private", size)?;
        let (base, heap) = state.reservation_of(at, size);
        heap.clear(at.distance(base), size);
        Ok(())
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("decommit", size)?;
        state.check_pinned("decommit", at, size)?;
        state.clear_private(at, size);
        for start in state.mapped_within(at, size) {
            state.mapped.remove(&start);
        }
        Ok(())
    }

    fn process_barrier(&self) {}

    fn synchronize_instructions(&self, _ranges: &[(Address, u64)]) {
        self.call().calls.push("synchronize_instructions");
    }

    fn process_symbol(&self, _name: &CStr) -> Option<Address> {
        None
    }

    fn random(&self) -> u64 {
        self.call().random
    }

    fn generation(&self) -> u32 {
        self.state().generation
    }
}
