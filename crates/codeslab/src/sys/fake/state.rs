//! What the fake platform knows: its address space, its files, what is mapped where.

use super::*;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) reservations: BTreeMap<Address, Heap>,
    pub(super) mapped: BTreeMap<Address, Mapped>,
    pub(super) foreign: Vec<Window>,
    // Taken, too, and not in the address map.
    pub(super) unseen: Vec<Window>,
    pub(super) files: BTreeMap<u64, FakeFile>,
    pub(super) views: BTreeMap<usize, u64>,
    // The parts of views that can be written.
    pub(super) shown: Vec<(usize, u64)>,
    pub(super) apart: BTreeMap<usize, Heap>,
    pub(super) next_file: u64,
    // Where the system puts the next reservation that may lie anywhere.
    pub(super) next_place: u64,
    pub(super) usual_place: Option<Address>,
    pub(super) calls: Vec<&'static str>,
    pub(super) script: Script,
    pub(super) generation: u32,
    pub(super) unavailable: Vec<Writer>,
    pub(super) unknown_seals: Vec<Seal>,
    // Mappings and views that are sealed.
    pub(super) pinned: Vec<Window>,
    pub(super) pinned_views: Vec<usize>,
    pub(super) refused: Vec<&'static str>,
    // How many of the next claims another thread will be faster with.
    pub(super) races: usize,
    pub(super) random: u64,
    // The most bytes of a reservation or a file.
    pub(super) most: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    pub(super) size: u64,
    pub(super) file: Option<(u64, u64)>,
    pub(super) protection: Protection,
    // Written by nothing but `write_keyed`.
    pub(super) keyed: bool,
}

#[derive(Debug)]
pub(super) struct FakeFile {
    pub(super) heap: Heap,
    pub(super) open: bool,
    pub(super) seal: Option<Seal>,
}

impl FakeFile {
    pub(super) fn check_writable(&self, call: &'static str, size: u64) -> Result<(), Refusal> {
        if self.seal == Some(Seal::Writes) {
            return Err(sealed(call, size));
        }
        Ok(())
    }
}

/// What a call gets that tries to change what is sealed.
pub(super) fn sealed(call: &'static str, size: u64) -> Refusal {
    Refusal {
        call,
        errno: 1,
        size,
        limit: Limit::Policy,
    }
}

/// Zeroed heap memory.
#[derive(Debug)]
pub(super) struct Heap {
    pub(super) memory: NonNull<u8>,
    pub(super) layout: HeapLayout,
}

// SAFETY: it owns its memory, which is not bound to a thread, and its own functions that touch that memory are `unsafe`.
unsafe impl Send for Heap {}

impl Heap {
    pub(super) fn new(size: u64) -> Self {
        // No more alignment than the heap has anyway: it knows zeroed memory then, and does not touch it.
        let layout = HeapLayout::from_size_align(size as usize, 16).expect("a size that fits");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        Self {
            memory: NonNull::new(memory).expect("heap memory"),
            layout,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.layout.size() as u64
    }

    pub(super) fn at(&self, offset: u64) -> NonNull<u8> {
        assert!(
            offset < self.size(),
            "{offset:#x} is outside of {:#x} bytes",
            self.size()
        );
        // SAFETY: the offset is inside the memory, which is one allocation.
        unsafe { self.memory.add(offset as usize) }
    }

    /// Zeroes part of it.
    ///
    /// # Safety
    /// - No thread uses that part at the same time, and no reference to it exists.
    pub(super) unsafe fn clear(&self, offset: u64, size: u64) {
        self.check(offset, size);
        // SAFETY: the range is inside the memory, no thread uses it, and no reference to it exists.
        unsafe { self.at(offset).write_bytes(0, size as usize) };
    }

    /// Copies bytes into it.
    ///
    /// # Safety
    /// - No thread uses that part at the same time, and no reference to it exists.
    /// - `bytes` lie outside of it.
    pub(super) unsafe fn write(&self, offset: u64, bytes: &[u8]) {
        self.check(offset, bytes.len() as u64);
        let from = NonNull::from(bytes).cast();
        // SAFETY: the range is inside the memory and as long as `bytes`, which lie outside of it; no thread uses it and no reference
        // to it exists.
        unsafe { self.at(offset).copy_from_nonoverlapping(from, bytes.len()) };
    }

    /// A copy of part of it.
    ///
    /// # Safety
    /// - No thread writes to that part at the same time.
    pub(super) unsafe fn read(&self, offset: u64, size: u64) -> Vec<u8> {
        self.check(offset, size);
        // SAFETY: the range is inside the memory, which was zeroed when it was allocated, and no thread writes to it meanwhile.
        unsafe { std::slice::from_raw_parts(self.at(offset).as_ptr(), size as usize) }.to_vec()
    }

    fn check(&self, offset: u64, size: u64) {
        assert!(
            offset + size <= self.size(),
            "{size:#x} bytes at {offset:#x} are outside of {:#x}",
            self.size()
        );
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout, and nothing else frees it.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl State {
    pub(super) fn enter(&mut self, call: &'static str, size: u64) -> Result<(), Refusal> {
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

    /// Refuses a reservation or a file that is larger than the system has address space for.
    pub(super) fn check_size(&self, call: &'static str, size: u64) -> Result<(), Refusal> {
        if size <= self.most {
            return Ok(());
        }
        Err(Refusal {
            call,
            errno: 12,
            size,
            limit: Limit::AddressSpace,
        })
    }

    pub(super) fn taken(&self) -> Vec<Window> {
        let own = self
            .reservations
            .iter()
            .filter_map(|(at, heap)| Window::of_range(*at, heap.size()));
        own.chain(self.foreign.iter().copied()).collect()
    }

    pub(super) fn is_taken(&self, wanted: Window) -> bool {
        let taken = self.taken();
        let mut all = taken.iter().chain(&self.unseen);
        all.any(|taken| taken.intersect(wanted).is_some())
    }

    /// The reservation that holds all of a range.
    pub(super) fn reservation_of(&self, at: Address, size: u64) -> (Address, &Heap) {
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
    pub(super) fn mapped_within(&self, at: Address, size: u64) -> Vec<Address> {
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

    pub(super) fn meets_pinned(&self, range: Window) -> bool {
        self.pinned
            .iter()
            .any(|pinned| pinned.intersect(range).is_some())
    }

    /// Refuses to change what is sealed in its place.
    pub(super) fn check_pinned(
        &self,
        call: &'static str,
        at: Address,
        size: u64,
    ) -> Result<(), Refusal> {
        if self.meets_pinned(Window::of_range(at, size).expect("a range")) {
            return Err(sealed(call, size));
        }
        Ok(())
    }

    /// Clears the private memory in a range that cuts no mapping.
    ///
    /// # Safety
    /// - No thread uses that memory at the same time, and no reference to it exists.
    pub(super) unsafe fn clear_private(&self, at: Address, size: u64) {
        for start in self.mapped_within(at, size) {
            let mapped = self.mapped[&start];
            if mapped.file.is_none() {
                let (base, heap) = self.reservation_of(start, mapped.size);
                // SAFETY: the mapping lies in the range, which no thread uses and to which no reference exists.
                unsafe { heap.clear(start.distance(base), mapped.size) };
            }
        }
    }

    pub(super) fn insert(&mut self, at: Address, mapped: Mapped) {
        assert!(
            self.mapped_within(at, mapped.size).is_empty(),
            "{at} is mapped already"
        );
        self.reservation_of(at, mapped.size);
        self.mapped.insert(at, mapped);
    }
}

impl State {
    /// Copies bytes into private memory.
    ///
    /// # Safety
    /// - No thread uses that memory at the same time, and no reference to it exists.
    /// - `bytes` lie outside of it.
    pub(super) unsafe fn copy_in(&self, at: Address, bytes: &[u8]) {
        let (base, heap) = self.reservation_of(at, bytes.len() as u64);
        // SAFETY: no thread uses the memory, no reference to it exists, and `bytes` lie outside of it.
        unsafe { heap.write(at.distance(base), bytes) };
    }

    /// Whether all of a range is mapped.
    pub(super) fn is_mapped(&self, at: Address, size: u64) -> bool {
        let mut next = at;
        while next.value() < at.value() + size {
            let below = self.mapped.range(..=next).next_back();
            let Some((start, mapped)) = below.filter(|(at, one)| next.distance(**at) < one.size)
            else {
                return false;
            };
            next = Address::new(start.value() + mapped.size);
        }
        true
    }

    /// Whether a range is under the key. All of it must be, or nothing.
    pub(super) fn is_keyed(&self, at: Address, size: u64) -> bool {
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
    pub(super) fn split_private(
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
