//! What tests tell the fake platform, and ask it.

use super::*;

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
            guards_branches: false,
        };
        let state = State {
            next_place: 0x7000_0000_0000,
            usual_place: None,
            generation: 1,
            most: u64::MAX,
            ..State::default()
        };
        let system = System {
            state: Mutex::new(state),
            watcher: Mutex::default(),
        };
        Self {
            facts,
            system: Arc::new(system),
        }
    }

    /// Does this at the beginning of every call from now on.
    pub(crate) fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        *self.system.watcher() = Watcher(Some(Arc::new(watcher)));
    }

    /// No longer does so.
    pub(crate) fn unwatch(&self) {
        *self.system.watcher() = Watcher(None);
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

    /// Fills part of the address space with memory of other code in the process.
    pub(crate) fn occupy(&self, window: Window) {
        self.state().foreign.push(window);
    }

    /// The same with memory that the address map does not show.
    pub(crate) fn occupy_unseen(&self, window: Window) {
        self.state().unseen.push(window);
    }

    /// Where the system puts the next reservation that may lie anywhere; further ones follow below.
    pub(crate) fn place_next_at(&self, at: Address) {
        self.state().next_place = at.value();
    }

    /// Makes the system one that tells where it puts things without being asked.
    pub(crate) fn tell_place(&self, at: Address) {
        self.state().usual_place = Some(at);
    }

    /// Makes the system one that has only so many bytes for a reservation or a file. Miri looks at each byte of the heap.
    pub(crate) fn shrink(&self, most: u64) {
        self.state().most = most;
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

    /// Lets another thread be faster with the next claims.
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

    /// What executing or reading at `at` would see. Tests ask between calls: no thread of theirs writes meanwhile.
    pub(crate) fn read(&self, at: Address, size: u64) -> Vec<u8> {
        let state = self.state();
        let (start, mapped) = state
            .mapped
            .range(..=at)
            .next_back()
            .expect("something is mapped there");
        let offset = at.distance(*start);
        assert!(offset < mapped.size, "{at} is not mapped");
        let (heap, offset) = if let Some((file, file_offset)) = mapped.file {
            (&state.files[&file].heap, file_offset + offset)
        } else {
            let (base, heap) = state.reservation_of(at, size);
            (heap, at.distance(base))
        };
        // SAFETY: no thread of a test writes to memory that the test reads.
        unsafe { heap.read(offset, size) }
    }

    /// Whether what is executed or read at `at` can be written through a view.
    pub(crate) fn is_shown(&self, at: Address) -> bool {
        let state = self.state();
        let mapped = state.mapped.range(..=at).next_back();
        let Some((
            start,
            Mapped {
                file: Some((file, offset)),
                ..
            },
        )) = mapped
        else {
            return false;
        };
        let byte = state.files[file].heap.at(offset + at.distance(*start));
        let mut shown = state.shown.iter();
        shown
            .any(|(part, size)| (*part..*part + *size as usize).contains(&(byte.as_ptr() as usize)))
    }

    /// Bytes that are mapped apart, in how many pieces.
    pub(crate) fn apart(&self) -> (u64, usize) {
        let state = self.system.state();
        let bytes = state.apart.values().map(Heap::size).sum();
        (bytes, state.apart.len())
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
