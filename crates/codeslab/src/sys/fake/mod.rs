//! A whole platform on the heap, for tests on any machine. Its failures are scripted, its address space is made up, and it checks its
//! callers: a function called with a range that the contract forbids panics, which is what tests want.
//!
//! Executable addresses and writable pointers have nothing to do with each other here. It cuts no mapping in two, as Windows
//! would not, and its granularity may be larger than its page. `file` has its memory files, `state` what it knows, `script` what tests
//! tell it and ask it. Used by the tests of every layer above (`fake_tests`), and a good first read before writing a port.
#![allow(
    unsafe_code,
    reason = "it hands out pointers into its own heap memory, as a platform does"
)]

mod file;
mod script;
mod state;

use super::address_map::{AddressMap, Snapshot};
use super::{Facts, MemoryFile, Platform, Probed, Seal};
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

use file::OpenFile;
pub(crate) use script::Script;
use state::{FakeFile, Heap, Mapped, State};

/// The fake platform.
#[derive(Debug)]
pub(crate) struct Fake {
    facts: Facts,
    system: Arc<System>,
}

/// What the platform and its open files share.
#[derive(Debug)]
struct System {
    state: Mutex<State>,
    watcher: Mutex<Watcher>,
}

impl System {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: before anything of the fake is locked, so a watcher may call it as well.
    fn call(&self) -> MutexGuard<'_, State> {
        let Watcher(watcher) = self.watcher().clone();
        if let Some(watcher) = watcher {
            watcher();
        }
        self.state()
    }

    fn watcher(&self) -> MutexGuard<'_, Watcher> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    fn guarded(&self) -> Option<Arc<dyn Platform>> {
        let facts = Facts {
            guards_branches: true,
            ..self.facts
        };
        let system = Arc::clone(&self.system);
        Some(Arc::new(Self { facts, system }))
    }

    fn probe(&self, writer: Writer, _file_size: u64) -> Probed {
        let mut state = self.call();
        state.enter("probe", 0)?;
        if state.unavailable.contains(&writer) {
            return Err(Refusal::foreseen("probe", 0, Limit::Policy));
        }
        Ok(None)
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
        state.check_size("reserve", size)?;
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
        state.check_size("reserve_at", size)?;
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
            // SAFETY: the reservation is idle by the caller's word.
            unsafe { state.clear_private(at, size) };
            return pinned;
        }
        for mapped in state.mapped_within(at, size) {
            state.mapped.remove(&mapped);
        }
        let heap = state.reservations.remove(&at).expect("a reservation");
        assert_eq!(heap.size(), size, "a reservation is released whole");
        Ok(())
    }

    fn create_file(&self, size: u64) -> Result<Box<dyn MemoryFile>, Refusal> {
        let mut state = self.call();
        state.enter("create_file", size)?;
        state.check_size("create_file", size)?;
        let name = state.next_file;
        state.next_file += 1;
        let file = FakeFile {
            heap: Heap::new(size),
            open: true,
            seal: None,
        };
        state.files.insert(name, file);
        let granularity = self.facts.granularity;
        Ok(Box::new(OpenFile::new(&self.system, name, granularity)))
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

    unsafe fn show(&self, view: NonNull<u8>, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("show", size)?;
        let at = view.as_ptr() as usize;
        let (start, whole) = state.views.range(..=at).next_back().expect("a view");
        let end = start + *whole as usize;
        assert!(
            at + size as usize <= end,
            "{size:#x} bytes leave their view"
        );
        state.shown.push((at, size));
        Ok(())
    }

    unsafe fn unmap_view(&self, view: NonNull<u8>, size: u64) {
        let at = view.as_ptr() as usize;
        let whole = at..at + size as usize;
        self.call().shown.retain(|(part, _)| !whole.contains(part));
        assert!(
            !self.call().pinned_views.contains(&at),
            "what is sealed stays"
        );
        let known = self.call().views.remove(&(view.as_ptr() as usize));
        assert_eq!(known, Some(size), "a view is unmapped whole");
    }

    unsafe fn populate(&self, view: NonNull<u8>, size: u64) {
        let state = self.call();
        let at = view.as_ptr() as usize;
        let (start, whole) = state.views.range(..=at).next_back().expect("a view");
        assert!(
            at + size as usize <= start + *whole as usize,
            "{size:#x} bytes leave their view"
        );
    }

    fn map_apart(&self, size: u64) -> Result<NonNull<u8>, Refusal> {
        let mut state = self.call();
        state.enter("map_apart", size)?;
        state.check_size("map_apart", size)?;
        let heap = Heap::new(size);
        let start = heap.at(0);
        state.apart.insert(start.as_ptr() as usize, heap);
        Ok(start)
    }

    unsafe fn unmap_apart(&self, start: NonNull<u8>, size: u64) {
        let known = self.call().apart.remove(&(start.as_ptr() as usize));
        let known = known.map(|heap| heap.size());
        assert_eq!(known, Some(size), "what is apart is unmapped whole");
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
        // SAFETY: the private memory is idle, and `bytes` lie outside of it, by the caller's word.
        unsafe { state.copy_in(at, bytes) };
        Ok(())
    }

    unsafe fn map_keyed(&self, at: Address, size: u64) -> Result<(), Refusal> {
        assert_eq!(
            (at.value() | size) % self.facts.granularity,
            0,
            "not a multiple of the granularity"
        );
        let mut state = self.call();
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
        let mut state = self.call();
        state.enter("write_keyed", bytes.len() as u64)?;
        assert!(
            state.is_keyed(at, bytes.len() as u64),
            "{at} was not mapped by map_keyed"
        );
        // SAFETY: the keyed memory is idle, and `bytes` lie outside of it, by the caller's word.
        unsafe { state.copy_in(at, bytes) };
        Ok(())
    }

    unsafe fn discard_private(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("discard_private", size)?;
        let (base, heap) = state.reservation_of(at, size);
        // SAFETY: the private memory is idle by the caller's word.
        unsafe { heap.clear(at.distance(base), size) };
        Ok(())
    }

    unsafe fn decommit(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let mut state = self.call();
        state.enter("decommit", size)?;
        state.check_pinned("decommit", at, size)?;
        // SAFETY: the range is idle by the caller's word.
        unsafe { state.clear_private(at, size) };
        for start in state.mapped_within(at, size) {
            state.mapped.remove(&start);
        }
        Ok(())
    }

    fn process_barrier(&self) {}

    unsafe fn synchronize_instructions(&self, ranges: &[(Address, u64)]) {
        let mut state = self.call();
        state.calls.push("synchronize_instructions");
        for (at, size) in ranges {
            assert!(state.is_mapped(*at, *size), "{size:#x} bytes at {at}");
        }
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

    fn usual_place(&self) -> Option<Address> {
        self.state().usual_place
    }
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.system.state()
    }

    fn call(&self) -> MutexGuard<'_, State> {
        self.system.call()
    }
}
