//! What the fake platform knows: its address space, its files, what is mapped where.

use super::*;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) reservations: BTreeMap<Address, Heap>,
    pub(super) mapped: BTreeMap<Address, Mapped>,
    pub(super) foreign: Vec<Window>,
    pub(super) files: BTreeMap<u64, FakeFile>,
    pub(super) views: BTreeMap<usize, u64>,
    pub(super) next_file: u64,
    // Where the system puts what nobody placed.
    pub(super) next_place: u64,
    pub(super) calls: Vec<&'static str>,
    pub(super) script: Script,
    pub(super) generation: u32,
    pub(super) unavailable: Vec<Writer>,
    pub(super) unknown_seals: Vec<Seal>,
    // What is sealed in its place: mappings, views.
    pub(super) pinned: Vec<Window>,
    pub(super) pinned_views: Vec<usize>,
    pub(super) refused: Vec<&'static str>,
    // Search that somebody else will be faster with.
    pub(super) races: usize,
    pub(super) random: u64,
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

/// What somebody gets who tries what is sealed.
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

// SAFETY: it owns its memory; whoever gets a pointer into it has obligations of their own.
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
        // SAFETY: the offset is inside the memory.
        unsafe { self.memory.add(offset as usize) }
    }

    pub(super) fn clear(&self, offset: u64, size: u64) {
        assert!(
            offset + size <= self.size(),
            "{size:#x} bytes at {offset:#x} are outside"
        );
        // SAFETY: the range is inside the memory, and the callers say that nobody uses it.
        unsafe { self.at(offset).write_bytes(0, size as usize) };
    }

    pub(super) fn read(&self, offset: u64, size: u64) -> Vec<u8> {
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

    pub(super) fn taken(&self) -> Vec<Window> {
        let own = self
            .reservations
            .iter()
            .filter_map(|(at, heap)| Window::of_range(*at, heap.size()));
        own.chain(self.foreign.iter().copied()).collect()
    }

    pub(super) fn is_taken(&self, wanted: Window) -> bool {
        self.taken()
            .iter()
            .any(|taken| taken.intersect(wanted).is_some())
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

    /// Clears what is private in a range that cuts no mapping.
    pub(super) fn clear_private(&self, at: Address, size: u64) {
        for start in self.mapped_within(at, size) {
            let mapped = self.mapped[&start];
            if mapped.file.is_none() {
                let (base, heap) = self.reservation_of(start, mapped.size);
                heap.clear(start.distance(base), mapped.size);
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
    pub(super) fn copy_in(&self, at: Address, bytes: &[u8]) {
        let (base, heap) = self.reservation_of(at, bytes.len() as u64);
        // SAFETY: the range is inside the reservation, and `bytes` is not.
        unsafe {
            heap.at(at.distance(base))
                .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        };
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
