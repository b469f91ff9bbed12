//! The memory manager: options in, allocations out.

use crate::address::{Address, Window};
use crate::allocation::{Allocation, InFlightAllocation};
use crate::code_model::CodeModel;
use crate::error::{Error, Refusal, Result};
use crate::ground::can_be_sealed;
use crate::handles::{Handle, Handles};
use crate::layout::Layout;
use crate::options::{Options, Sealing};
use crate::protection::Protection;
use crate::shard::{Emptied, Shard};
use crate::shared::Shared;
use crate::stats::{
    Capabilities, Configuration, Found, Picture, SealingStatus, Stats, WriterStatus,
};
use crate::sys::{self, Platform, Seal};
use crate::thread;
use crate::writer::Writer;
use std::sync::{Arc, OnceLock};

/// Bytes of a block where nobody says otherwise.
const DEFAULT_BLOCK_BYTES: u64 = 16 << 20;

/// A manager of code memory. Clones are handles to the same one; it may be used from any thread.
///
/// ```
/// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
/// let memory = CodeMemory::new(Options::default())?;
/// let mut layout = Layout::new();
/// let code = layout.add(Protection::ReadExecute, 64, 16)?;
/// let data = layout.add(Protection::ReadWrite, 4096, 8)?;
/// let in_flight = memory.allocate(&Request::new(&layout))?;
/// // Within reach of each other:
/// assert!(in_flight.address(code).distance(in_flight.address(data)) < 1 << 31);
/// # Ok::<(), codeslab::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CodeMemory {
    inside: Arc<Inside>,
}

#[derive(Debug)]
struct Inside {
    shared: Arc<Shared>,
    handles: Handles,
    // By the numbers of threads, from the first request on that a thread with that number made.
    shards: [OnceLock<Arc<Shard>>; thread::MOST],
}

impl Inside {
    /// The shard that this thread carves from.
    #[inline]
    fn shard(&self) -> &Arc<Shard> {
        let (number, _) = thread::number();
        match self.shards[number].get() {
            Some(shard) => shard,
            None => self.first_shard(number),
        }
    }

    #[cold]
    fn first_shard(&self, number: usize) -> &Arc<Shard> {
        self.shards[number].get_or_init(|| Arc::new(Shard::new(Arc::clone(&self.shared), number)))
    }

    fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.iter().filter_map(OnceLock::get)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // In a child, nothing is given back: its parent runs it. Exec or exit cleans up.
        if self.shared.is_forked() {
            return;
        }
        for shard in &mut self.shards {
            let emptied = shard.take().map(|shard| shard.close());
            emptied.into_iter().for_each(Emptied::retire);
        }
    }
}

/// What was freed until some moment: see [`CodeMemory::grace`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Grace(u64);

impl Grace {
    /// A number that says the same.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The grace with this number.
    #[must_use]
    pub const fn from_value(value: u64) -> Self {
        Self(value)
    }
}

/// What is asked of a [`CodeMemory`]: bytes, and the windows in which all of them have to lie.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    layout: &'a Layout,
    windows: &'a [Window],
}

impl<'a> Request<'a> {
    /// A request for `layout`, anywhere within reach of itself.
    #[must_use]
    pub const fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            windows: &[],
        }
    }

    /// The same, and every byte of it must lie in each of `windows`.
    #[must_use]
    pub const fn within(self, windows: &'a [Window]) -> Self {
        Self { windows, ..self }
    }

    /// What all windows have in common.
    #[inline]
    fn window(&self) -> Result<Window> {
        if self.windows.is_empty() {
            Ok(Window::ANYWHERE)
        } else {
            self.common_window()
        }
    }

    fn common_window(&self) -> Result<Window> {
        let mut common = Window::ANYWHERE;
        for window in self.windows {
            common = common
                .intersect(*window)
                .ok_or_else(|| Error::ConflictingWindows {
                    first: common,
                    second: *window,
                    distance: common
                        .first()
                        .max(window.first())
                        .distance(common.last().min(window.last())),
                })?;
        }
        Ok(common)
    }
}

impl CodeMemory {
    /// Opens a memory. Nothing is reserved before the first allocation.
    ///
    /// # Errors
    /// [`Error::InvalidBlockSize`], [`Error::InvalidEnvironment`], [`Error::UnsupportedCodeModel`],
    /// [`Error::WriterUnavailable`] for a choice that is impossible here; [`Error::UnsupportedPlatform`].
    pub fn new(options: Options) -> Result<Self> {
        let options = options.or_environment(|name| std::env::var(name).ok())?;
        Self::on(sys::current()?, &options)
    }

    /// Opens a memory on a platform.
    pub(crate) fn on(platform: Arc<dyn Platform>, options: &Options) -> Result<Self> {
        let configuration = configure(&*platform, options)?;
        let shared = Arc::new(Shared::new(platform, configuration));
        let shards = [const { OnceLock::new() }; thread::MOST];
        let inside = Arc::new(Inside {
            shared,
            handles: Handles::default(),
            shards,
        });
        Ok(Self { inside })
    }

    /// What it was opened with, after defaults, environment and probes.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.inside.shared.configuration()
    }

    /// Places a request: all of its segments in one block, or nothing.
    ///
    /// # Errors
    /// [`Error::EmptyRequest`], [`Error::TooLarge`], [`Error::InvalidAlignment`], [`Error::ConflictingWindows`] for a request that
    /// cannot be met; [`Error::OutOfReach`] if no address space is free where it has to be; [`Error::Refused`] if the system
    /// refuses; [`Error::Forked`] in a child process. Nothing is taken then.
    #[inline]
    pub fn allocate(&self, request: &Request<'_>) -> Result<InFlightAllocation> {
        let window = request.window()?;
        let tenant = self.inside.shard().allocate(request.layout, window)?;
        InFlightAllocation::new(tenant, request.layout)
    }

    /// Publishes many allocations at once: as [`InFlightAllocation::finalize`] for each, but what it takes to make all processors
    /// notice is done once. They are in the order of the batch.
    ///
    /// # Errors
    /// As for `finalize`. All of them are abandoned then.
    pub fn finalize_all(
        &self,
        batch: impl IntoIterator<Item = InFlightAllocation>,
    ) -> Result<Vec<Allocation>> {
        InFlightAllocation::finalize_all(batch.into_iter().collect())
    }

    /// Keeps an allocation for those who can only hold a number, as long as this memory lives.
    #[must_use]
    pub fn keep(&self, allocation: Allocation) -> Handle {
        if self.is_inherited() {
            // Somebody who is not in this process may hold the lock; freeing what is inherited does nothing anyway.
            return Handle::default();
        }
        self.inside.handles.keep(allocation)
    }

    /// Takes an allocation out that was kept.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if it was freed or taken out already; [`Error::Forked`] in a child process.
    pub fn take(&self, handle: Handle) -> Result<Allocation> {
        self.inside.shared.check_process()?;
        self.inside.handles.take(handle)
    }

    /// Frees an allocation that was kept.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if it was freed or taken out already; [`Error::Forked`] in a child process.
    pub fn free(&self, handle: Handle) -> Result<()> {
        self.take(handle).map(Allocation::free)
    }

    /// Where a segment of an allocation is that was kept; `None` if it has no bytes.
    ///
    /// # Errors
    /// [`Error::StaleHandle`] if it was freed or taken out already; [`Error::Forked`] in a child process.
    pub fn segment_address(
        &self,
        handle: Handle,
        protection: Protection,
    ) -> Result<Option<Address>> {
        self.inside.shared.check_process()?;
        let look = |allocation: &Allocation| allocation.segment_address(protection);
        self.inside.handles.with(handle, look)
    }

    /// Names everything that was freed until now. With [`Options::quarantine`], none of it is used again before
    /// [`CodeMemory::end_grace`].
    #[must_use]
    pub fn grace(&self) -> Grace {
        Grace(self.inside.shared.next_period())
    }

    /// Says that nobody uses any more what was freed before `grace` was taken, or before an earlier one: every thread that
    /// may have been in it has left it since. Its space is used again.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Quarantine, Request};
    /// let memory = CodeMemory::new(Options { quarantine: Quarantine::Intact, ..Options::default() })?;
    /// # let mut layout = Layout::new();
    /// # layout.add(Protection::ReadExecute, 64, 16)?;
    /// let code = memory.allocate(&Request::new(&layout))?.finalize()?;
    /// code.free(); // Nobody finds it any more, but somebody may still be in it.
    /// let grace = memory.grace();
    /// // ... every thread has been at a point where it is in no such code ...
    /// assert_eq!(memory.stats().quarantined_bytes, 64);
    /// memory.end_grace(grace);
    /// assert_eq!(memory.stats().quarantined_bytes, 0);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    pub fn end_grace(&self, grace: Grace) {
        if !self.is_inherited() {
            self.inside
                .shards()
                .for_each(|shard| shard.end_grace(grace.0));
        }
    }

    /// Reserves address space for a block in a window, before somebody else takes it: a library that is loaded later, for example.
    /// It costs no memory. Does nothing where there is room for a block already. [`CodeMemory::trim`] gives it back unless
    /// something is placed there.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Options, Window, process_symbol};
    /// let memory = CodeMemory::new(Options::default())?;
    /// let stderr = process_symbol("stderr").unwrap();
    /// memory.reserve(Window::around(stderr, 1 << 30))?;
    /// assert!(memory.stats().reserved_bytes > 0);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfReach`] if there is no room for the smallest of blocks; [`Error::Refused`] if the system refuses;
    /// [`Error::Forked`] in a child process.
    pub fn reserve(&self, window: Window) -> Result<()> {
        self.inside.shared.reserve(window)
    }

    /// Whether this is a forked child: what it inherited is its parent's, and locks may be held by threads that it has not.
    fn is_inherited(&self) -> bool {
        self.inside.shared.is_forked()
    }

    /// What it holds now: nothing, in a forked child.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        if self.is_inherited() {
            return stats;
        }
        self.inside
            .shards()
            .for_each(|shard| shard.count(&mut stats));
        self.inside.shared.count(&mut stats);
        stats.live = stats.live.saturating_sub(stats.in_flight);
        stats
    }

    /// A picture of its blocks, slabs and spans: of none, in a forked child.
    #[must_use]
    pub fn picture(&self) -> Picture {
        if self.is_inherited() {
            return Picture::default();
        }
        let mut blocks: Vec<_> = self
            .inside
            .shards()
            .flat_map(|shard| shard.pictures())
            .collect();
        blocks.sort_by_key(|block| block.address);
        Picture { blocks }
    }

    /// What an address lies in: any address of an allocation that is neither freed nor given up, or that is freed and stays intact
    /// until its grace ends ([`Quarantine::Intact`](crate::Quarantine::Intact)). Takes no lock and waits for nobody, so
    /// a profiler or an unwinder may ask while others allocate. While that very allocation is made or freed, either answer may come.
    #[must_use]
    pub fn find(&self, address: Address) -> Option<Found> {
        let (start, size, protection) = self.inside.shared.find(address)?;
        Some(Found {
            address: start,
            size,
            protection,
        })
    }

    /// Gives back to the system what is kept for the next allocation: blocks and reservations of which nothing is used.
    pub fn trim(&self) {
        if !self.is_inherited() {
            self.inside.shards().for_each(|shard| shard.trim());
            self.inside.shared.trim();
        }
    }
}

/// What this process can do, with the reason for everything that it cannot.
///
/// # Errors
/// [`Error::UnsupportedPlatform`] where there is no port.
pub fn capabilities() -> Result<Capabilities> {
    let platform = sys::current()?;
    let facts = platform.facts();
    let status = |writer| WriterStatus {
        writer,
        unavailable: platform
            .probe(writer, DEFAULT_BLOCK_BYTES)
            .err()
            .map(|refusal| refusal.to_string()),
    };
    let why_not = |seal| {
        let refused = platform.probe_seal(seal).err();
        refused.map(|refusal| refusal.to_string())
    };
    let model = |model: CodeModel| model.reach(facts.architecture).map(|reach| (model, reach));
    Ok(Capabilities {
        architecture: facts.architecture,
        operating_system: std::env::consts::OS,
        page_size: facts.page_size,
        granularity: facts.granularity,
        writers: Writer::ALL.map(status).into(),
        sealing: SealingStatus {
            writes_unavailable: why_not(Seal::Writes),
            mappings_unavailable: why_not(Seal::Mappings),
        },
        code_models: CodeModel::ALL.into_iter().filter_map(model).collect(),
    })
}

/// The address of a symbol that the process itself provides: its executable and the libraries that it has loaded.
#[must_use]
pub fn process_symbol(name: &str) -> Option<Address> {
    let name = std::ffi::CString::new(name).ok()?;
    sys::current().ok()?.process_symbol(&name)
}

fn configure(platform: &dyn Platform, options: &Options) -> Result<Configuration> {
    let facts = platform.facts();
    let model = options.code_model;
    let reach = model.reach(facts.architecture);
    let reach = reach.ok_or(Error::UnsupportedCodeModel {
        architecture: facts.architecture,
        model,
    })?;
    let (minimum, maximum) = (4 * facts.granularity, reach.largest_block());
    let size = options
        .block_size
        .unwrap_or(DEFAULT_BLOCK_BYTES.clamp(minimum, maximum));
    if !size.is_power_of_two() || size < minimum || size > maximum {
        return Err(Error::InvalidBlockSize {
            size,
            minimum,
            maximum,
        });
    }
    let (writer, sealing) = choose_writer(platform, options, size)?;
    Ok(Configuration {
        block_size: size,
        code_model: model,
        reach,
        writer,
        constants: options.constants,
        quarantine: options.quarantine,
        max_committed: options.max_committed,
        max_mappings: options.max_mappings,
        sealing,
    })
}

/// The writer, and what is sealed with it.
fn choose_writer(
    platform: &dyn Platform,
    options: &Options,
    block_size: u64,
) -> Result<(Writer, Option<Sealing>)> {
    let probe = |writer| {
        platform.probe(writer, block_size)?;
        let sealing = options.sealed.then(|| probe_sealing(platform, writer));
        Ok((writer, sealing.transpose()?))
    };
    if let Some(writer) = options.writer {
        if let Some(reason) = unsuitable(options, writer) {
            return Err(Error::WriterUnavailable {
                writer,
                reason: reason.to_owned(),
            });
        }
        return probe(writer).map_err(|refusal| unavailable(writer, vec![refusal]));
    }
    let mut refusals = Vec::new();
    let suits = |writer: &Writer| unsuitable(options, *writer).is_none();
    for writer in Writer::ALL.into_iter().filter(suits) {
        match probe(writer) {
            Ok(chosen) => return Ok(chosen),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(unavailable(Writer::ALL[0], refusals))
}

/// Why a writer cannot do what the options ask for, on any system.
fn unsuitable(options: &Options, writer: Writer) -> Option<&'static str> {
    if !options.constants.can_be_read(writer) {
        return Some("not every thread could read constants between its code; keep them separate");
    }
    (options.sealed && !can_be_sealed(writer))
        .then_some("it writes to private memory, and only memory files can be sealed")
}

/// What can be sealed with a writer that can be sealed. Mappings need not be: that is told.
fn probe_sealing(platform: &dyn Platform, writer: Writer) -> Result<Sealing, Refusal> {
    let writes = writer == Writer::DualMapping;
    platform.probe_seal(if writes { Seal::Writes } else { Seal::Size })?;
    let mappings = platform.probe_seal(Seal::Mappings).is_ok();
    Ok(Sealing { writes, mappings })
}

/// A writer that is unavailable, or the resource that its probe lacked: that is not the writer's fault.
fn unavailable(writer: Writer, refusals: Vec<Refusal>) -> Error {
    let reason = refusals
        .iter()
        .map(Refusal::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    match refusals.into_iter().find(Refusal::is_lack_of_resources) {
        Some(refusal) => Error::Refused(refusal),
        None => Error::WriterUnavailable { writer, reason },
    }
}
