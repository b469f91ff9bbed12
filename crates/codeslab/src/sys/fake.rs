//! A whole platform on the heap. Its failures are scripted, its address space is made up, and it checks its callers: a
//! function called with a range that the contract forbids panics, which is what tests want.
//!
//! Executable addresses and writable pointers have nothing to do with each other here. It cuts no mapping in two, as Windows
//! would not, and its granularity may be larger than its page.
#![allow(
    unsafe_code,
    reason = "it hands out pointers into its own heap memory, as a platform does"
)]

use super::gaps::{AddressMap, Snapshot};
use super::{Facts, MemoryFile, Platform, Seal};
use crate::address::{Address, Window};
use crate::code_model::Architecture;
use crate::error::{Limit, Refusal};
use crate::page::PageSize;
use crate::protection::Protection;
use crate::writer::Writer;
use std::alloc::{Layout as HeapLayout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

#[derive(Debug, Default)]
struct State {
    reservations: BTreeMap<Address, Heap>,
    mapped: BTreeMap<Address, Mapped>,
    foreign: Vec<Window>,
    files: BTreeMap<u64, FakeFile>,
    views: BTreeMap<usize, u64>,
    next_file: u64,
    // Where the system puts what nobody placed.
    next_place: u64,
    calls: Vec<&'static str>,
    script: Script,
    generation: u32,
    unavailable: Vec<Writer>,
    unknown_seals: Vec<Seal>,
    // What is sealed in its place: mappings, views.
    pinned: Vec<Window>,
    pinned_views: Vec<usize>,
    refused: Vec<&'static str>,
    // Claims that somebody else will be faster with.
    races: usize,
    random: u64,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Script {
    /// None.
    #[default]
    Nothing,
    /// The one with this index, counted from the moment the script is set.
    Call(usize, Limit),
    /// Every one from that index on.
    From(usize, Limit),
}

#[derive(Clone, Copy, Debug)]
struct Mapped {
    size: u64,
    file: Option<(u64, u64)>,
    protection: Protection,
    // Written by nothing but `write_keyed`.
    keyed: bool,
}

#[derive(Debug)]
struct FakeFile {
    heap: Heap,
    open: bool,
    seal: Option<Seal>,
}

impl FakeFile {
    fn check_writable(&self, call: &'static str, size: u64) -> Result<(), Refusal> {
        if self.seal == Some(Seal::Writes) {
            return Err(sealed(call, size));
        }
        Ok(())
    }
}

/// What somebody gets who tries what is sealed.
fn sealed(call: &'static str, size: u64) -> Refusal {
    Refusal {
        call,
        errno: 1,
        size,
        limit: Limit::Policy,
    }
}

/// Zeroed heap memory.
#[derive(Debug)]
struct Heap {
    memory: NonNull<u8>,
    layout: HeapLayout,
}

// SAFETY: it owns its memory; whoever gets a pointer into it has obligations of their own.
unsafe impl Send for Heap {}

impl Heap {
    fn new(size: u64) -> Self {
        // No more alignment than the heap has anyway: it knows zeroed memory then, and does not touch it.
        let layout = HeapLayout::from_size_align(size as usize, 16).expect("a size that fits");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        Self {
            memory: NonNull::new(memory).expect("heap memory"),
            layout,
        }
    }

    fn size(&self) -> u64 {
        self.layout.size() as u64
    }

    fn at(&self, offset: u64) -> NonNull<u8> {
        assert!(
            offset < self.size(),
            "{offset:#x} is outside of {:#x} bytes",
            self.size()
        );
        // SAFETY: the offset is inside the memory.
        unsafe { self.memory.add(offset as usize) }
    }

    fn clear(&self, offset: u64, size: u64) {
        assert!(
            offset + size <= self.size(),
            "{size:#x} bytes at {offset:#x} are outside"
        );
        // SAFETY: the range is inside the memory, and the callers say that nobody uses it.
        unsafe { self.at(offset).write_bytes(0, size as usize) };
    }

    fn read(&self, offset: u64, size: u64) -> Vec<u8> {
        assert!(
            offset + size <= self.size(),
            "{size:#x} bytes at {offset:#x} are outside"
        );
        // SAFETY: the range is inside the memory. Tests read when nobody writes.
        unsafe { std::slice::from_raw_parts(self.at(offset).as_ptr(), size as usize) }.to_vec()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl Fake {
    /// A fake with pages and mapping granularity of these many bytes.
    pub(crate) fn new(page_bytes: u64, granularity: u64) -> Self {
        let page_size = PageSize::new(page_bytes).expect("a page size");
        let addresses =
            Window::new(Address::new(0x1_0000), Address::new(0x7fff_ffff_ffff)).expect("a window");
        let facts = Facts {
            architecture: Architecture::X86_64,
            page_size,
            granularity,
            // As on Windows, where granularity and page differ.
            file_bytes: if granularity == page_bytes {
                512 << 20
            } else {
                0
            },
            addresses,
            has_process_barrier: false,
            fetches_are_coherent: false,
        };
        let state = State {
            next_place: 0x7000_0000_0000,
            generation: 1,
            ..State::default()
        };
        Self {
            facts,
            state: Mutex::new(state),
            watcher: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: before anything of the fake is locked, so whoever watches may call it as well.
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

    /// Does this at the beginning of every call from now on.
    pub(crate) fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        *self.watcher() = Watcher(Some(Arc::new(watcher)));
    }

    /// No longer does so.
    pub(crate) fn unwatch(&self) {
        *self.watcher() = Watcher(None);
    }

    /// Sets what fails from now on, and forgets which calls there were.
    pub(crate) fn script(&self, script: Script) {
        let mut state = self.state();
        state.script = script;
        state.calls.clear();
    }

    /// The calls since the last script was set.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// Fills part of the address space with somebody else's memory.
    pub(crate) fn occupy(&self, window: Window) {
        self.state().foreign.push(window);
    }

    /// Where the system puts the next reservation that nobody placed; further ones follow below.
    pub(crate) fn place_next_at(&self, at: Address) {
        self.state().next_place = at.value();
    }

    /// Makes the probe of `writer` fail.
    pub(crate) fn forbid(&self, writer: Writer) {
        self.state().unavailable.push(writer);
    }

    /// Makes the system one that does not know this seal.
    pub(crate) fn unlearn(&self, seal: Seal) {
        self.state().unknown_seals.push(seal);
    }

    /// Whether what is mapped at `at` is sealed in its place.
    pub(crate) fn is_pinned(&self, at: Address) -> bool {
        let byte = Window::of_range(at, 1).expect("an address");
        self.state().meets_pinned(byte)
    }

    /// How many views are sealed in their places.
    pub(crate) fn pinned_views(&self) -> usize {
        self.state().pinned_views.len()
    }

    /// The seals of the files that are open.
    pub(crate) fn seals(&self) -> Vec<Option<Seal>> {
        let state = self.state();
        let open = state.files.values().filter(|file| file.open);
        open.map(|file| file.seal).collect()
    }

    /// Makes every call of this function fail.
    pub(crate) fn refuse(&self, call: &'static str) {
        self.state().refused.push(call);
    }

    /// Lets this function work again.
    pub(crate) fn permit(&self, call: &'static str) {
        self.state().refused.retain(|refused| *refused != call);
    }

    /// Lets somebody else be faster with the next claims.
    pub(crate) fn race(&self, claims: usize) {
        self.state().races = claims;
    }

    /// What is random from now on.
    pub(crate) fn randomize(&self, random: u64) {
        self.state().random = random;
    }

    /// Continues as if in a forked child.
    pub(crate) fn fork(&self) {
        self.state().generation += 1;
    }

    /// What executing or reading at `at` would see.
    pub(crate) fn read(&self, at: Address, size: u64) -> Vec<u8> {
        let state = self.state();
        let (start, mapped) = state
            .mapped
            .range(..=at)
            .next_back()
            .expect("something is mapped there");
        let offset = at.distance(*start);
        assert!(offset < mapped.size, "{at} is not mapped");
        if let Some((file, file_offset)) = mapped.file {
            state.files[&file].heap.read(file_offset + offset, size)
        } else {
            let (base, heap) = state
                .reservations
                .range(..=at)
                .next_back()
                .expect("a reservation");
            heap.read(at.distance(*base), size)
        }
    }

    /// What memory at `at` may be used for; `None` if nothing is mapped.
    pub(crate) fn protection(&self, at: Address) -> Option<Protection> {
        let state = self.state();
        let (start, mapped) = state.mapped.range(..=at).next_back()?;
        (at.distance(*start) < mapped.size).then_some(mapped.protection)
    }

    /// How many reservations, open files and views there are.
    pub(crate) fn holdings(&self) -> (usize, usize, usize) {
        let state = self.state();
        (
            state.reservations.len(),
            state.files.values().filter(|file| file.open).count(),
            state.views.len(),
        )
    }
}

impl State {
    fn enter(&mut self, call: &'static str, size: u64) -> Result<(), Refusal> {
        let index = self.calls.len();
        self.calls.push(call);
        if self.refused.contains(&call) {
            return Err(Refusal {
                call,
                errno: 22,
                size,
                limit: Limit::Unknown,
            });
        }
        match self.script {
            Script::Call(failing, limit) if failing == index => Err(Refusal {
                call,
                errno: 12,
                size,
                limit,
            }),
            Script::From(failing, limit) if failing <= index => Err(Refusal {
                call,
                errno: 12,
                size,
                limit,
            }),
            _ => Ok(()),
        }
    }

    fn taken(&self) -> Vec<Window> {
        let own = self
            .reservations
            .iter()
            .filter_map(|(at, heap)| Window::of_range(*at, heap.size()));
        own.chain(self.foreign.iter().copied()).collect()
    }

    fn is_taken(&self, wanted: Window) -> bool {
        self.taken()
            .iter()
            .any(|taken| taken.intersect(wanted).is_some())
    }

    /// The reservation that holds all of a range.
    fn reservation_of(&self, at: Address, size: u64) -> (Address, &Heap) {
        let (base, heap) = self
            .reservations
            .range(..=at)
            .next_back()
            .expect("the range is reserved");
        assert!(
            at.distance(*base) + size <= heap.size(),
            "{size:#x} bytes at {at} leave their reservation"
        );
        (*base, heap)
    }

    /// The mapped ranges that meet a range; each must lie inside it.
    fn mapped_within(&self, at: Address, size: u64) -> Vec<Address> {
        let wanted = Window::of_range(at, size).expect("a range");
        let met = self.mapped.iter().filter_map(|(start, mapped)| {
            let range = Window::of_range(*start, mapped.size)?;
            range.intersect(wanted).map(|_| {
                assert!(wanted.contains(range), "{wanted} cuts the mapping {range}");
                *start
            })
        });
        met.collect()
    }

    fn meets_pinned(&self, range: Window) -> bool {
        self.pinned
            .iter()
            .any(|pinned| pinned.intersect(range).is_some())
    }

    /// Refuses to change what is sealed in its place.
    fn check_pinned(&self, call: &'static str, at: Address, size: u64) -> Result<(), Refusal> {
        if self.meets_pinned(Window::of_range(at, size).expect("a range")) {
            return Err(sealed(call, size));
        }
        Ok(())
    }

    /// Clears what is private in a range that cuts no mapping.
    fn clear_private(&self, at: Address, size: u64) {
        for start in self.mapped_within(at, size) {
            let mapped = self.mapped[&start];
            if mapped.file.is_none() {
                let (base, heap) = self.reservation_of(start, mapped.size);
                heap.clear(start.distance(base), mapped.size);
            }
        }
    }

    fn insert(&mut self, at: Address, mapped: Mapped) {
        assert!(
            self.mapped_within(at, mapped.size).is_empty(),
            "{at} is mapped already"
        );
        self.reservation_of(at, mapped.size);
        self.mapped.insert(at, mapped);
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

impl State {
    /// Copies bytes into private memory.
    fn copy_in(&self, at: Address, bytes: &[u8]) {
        let (base, heap) = self.reservation_of(at, bytes.len() as u64);
        // SAFETY: the range is inside the reservation, and `bytes` is not.
        unsafe {
            heap.at(at.distance(base))
                .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        };
    }

    /// Whether a range is under the key. All of it must be, or nothing.
    fn is_keyed(&self, at: Address, size: u64) -> bool {
        let wanted = Window::of_range(at, size).expect("a range");
        let met = self.mapped.iter().filter(|(start, mapped)| {
            Window::of_range(**start, mapped.size)
                .is_some_and(|range| range.intersect(wanted).is_some())
        });
        let keyed: Vec<bool> = met.map(|(_, mapped)| mapped.keyed).collect();
        assert!(
            keyed.windows(2).all(|pair| pair[0] == pair[1]),
            "{wanted} is only partly under the key"
        );
        keyed.contains(&true)
    }

    /// Gives the part of `whole` from `here` on, at most `size` bytes, another protection. Tells how many bytes that were.
    fn split_private(
        &mut self,
        start: Address,
        whole: Mapped,
        here: Address,
        size: u64,
        protection: Protection,
    ) -> u64 {
        let before = here.distance(start);
        let part = size.min(whole.size - before);
        let after = whole.size - before - part;
        self.mapped.remove(&start);
        let pieces = [
            (0, before, whole.protection),
            (before, part, protection),
            (before + part, after, whole.protection),
        ];
        for (offset, size, protection) in pieces {
            if size > 0 {
                self.mapped.insert(
                    Address::new(start.value() + offset),
                    Mapped {
                        size,
                        file: None,
                        protection,
                        keyed: false,
                    },
                );
            }
        }
        part
    }
}
