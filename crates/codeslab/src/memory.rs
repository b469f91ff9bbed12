//! The memory manager: options in, allocations out.

use crate::allocation::{Allocation, InFlightAllocation};
use crate::model::address::{Address, Window};
#[cfg(doc)]
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::options::Options;
use crate::model::stats::{Configuration, Found, Picture, Stats};
use crate::pool::Pool;
use crate::pool::shard::Shard;
use crate::process;
use crate::request::Request;
use crate::sync::thread_id;
use crate::sys::{self, Platform};
use crate::write::staging;
use std::sync::{Arc, OnceLock};

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
    pool: Arc<Pool>,
    // By the numbers of threads, from the first request on that a thread with that number made.
    shards: [OnceLock<Arc<Shard>>; thread_id::MOST],
}

impl Inside {
    /// The shard that this thread carves from.
    #[inline]
    fn shard(&self) -> &Arc<Shard> {
        let number = thread_id::number();
        self.shards[number].get_or_init(|| Arc::new(Shard::new(Arc::clone(&self.pool), number)))
    }

    fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.iter().filter_map(OnceLock::get)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // In a child, nothing is given back: its parent runs it. Exec or exit cleans up.
        if self.pool.is_forked() {
            return;
        }
        for shard in &mut self.shards {
            if let Some(shard) = shard.take() {
                shard.close();
            }
        }
    }
}

/// A grace period: see [`CodeMemory::begin_grace_period`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GracePeriod(u64);

impl GracePeriod {
    /// A number that says the same.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The grace period with this number.
    #[must_use]
    pub const fn from_value(value: u64) -> Self {
        Self(value)
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

    pub(crate) fn on(platform: Arc<dyn Platform>, options: &Options) -> Result<Self> {
        let guarded = options.branch_protection.then(|| platform.guarded());
        let platform = guarded.flatten().unwrap_or(platform);
        let configured = process::configure(&*platform, options)?;
        let platform = platform.for_writer(configured.0.writer).unwrap_or(platform);
        let pool = Arc::new(Pool::new(platform, configured));
        let shards = [const { OnceLock::new() }; thread_id::MOST];
        let inside = Arc::new(Inside { pool, shards });
        Ok(Self { inside })
    }

    /// What it was opened with, after defaults, environment and probes.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.inside.pool.configuration
    }

    /// Places a request: all of its segments in one block, or nothing.
    ///
    /// # Errors
    /// [`Error::EmptyRequest`], [`Error::TooLarge`], [`Error::InvalidAlignment`], [`Error::ConflictingWindows`] for a request that
    /// cannot be met; [`Error::OutOfReach`] if no address space is free where it has to be; [`Error::Refused`] if the system
    /// refuses; [`Error::Forked`] in a child process. Nothing is taken then.
    #[allow(
        clippy::inline_always,
        reason = "what comes of it is moved once more, word by word and then in pairs, where it is a call"
    )]
    #[inline(always)]
    pub fn allocate(&self, request: &Request<'_>) -> Result<InFlightAllocation> {
        let window = request.window()?;
        let carved = self.inside.shard().allocate(request.layout, window)?;
        InFlightAllocation::new(carved, request.layout, request.at_first)
    }

    /// Places several requests as if they were one: in one block, so that all of them reach each other, and in the windows of all; or none
    /// of them. Each is an allocation by itself then: what is needed for a while only, to finalize the rest for example, is freed
    /// before it. What their alignments leave between them belongs to the one before.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
    /// # let memory = CodeMemory::new(Options::default())?;
    /// # let (mut program, mut setup) = (Layout::new(), Layout::new());
    /// program.add(Protection::ReadExecute, 4096, 16)?;
    /// setup.add(Protection::ReadExecute, 64, 16)?;
    /// let both = memory.allocate_together(&[Request::new(&program), Request::new(&setup)])?;
    /// let mut both = memory.finalize_all(both)?; // … after they were written …
    /// let setup = both.pop().unwrap();
    /// // … and called …
    /// setup.free();
    /// assert_eq!(memory.stats().used_bytes, 4096);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`CodeMemory::allocate`], for all of them together; [`Error::EmptyRequest`] if one of them has no bytes, or there is none.
    pub fn allocate_together(&self, requests: &[Request<'_>]) -> Result<Vec<InFlightAllocation>> {
        let (geometry, shard) = (&self.inside.pool.geometry, self.inside.shard());
        let granule = |protection| geometry.granule(geometry.slab_of(protection));
        let window = Request::common_window(requests)?;
        // Where one would begin where nothing may, they lie a little farther apart.
        let mut padding = 0;
        let parts = loop {
            let (layout, starts) = Request::combine(requests, granule, padding)?;
            let carved = shard.allocate(&layout, window)?;
            match carved.divide(&starts)? {
                Some(parts) => break parts,
                None => padding += 1,
            }
        };
        let parts = parts.into_iter().zip(requests);
        let place = |(carved, request): (_, &Request<'_>)| {
            InFlightAllocation::new(carved, request.layout, request.at_first)
        };
        // All of them before an error is looked at: what is carved counts as in flight until that is told.
        let parts: Vec<_> = parts.map(place).collect();
        parts.into_iter().collect()
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

    /// Begins a grace period for everything that was freed until now. With [`Options::quarantine`], none of it is used again before
    /// [`CodeMemory::end_grace_period`].
    #[must_use]
    pub fn begin_grace_period(&self) -> GracePeriod {
        GracePeriod(self.inside.pool.end_epoch())
    }

    /// Ends a grace period, and all that began before it: every thread that may have been in what was freed by then has left it
    /// since. Its space is used again.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Layout, Options, Protection, Quarantine, Request};
    /// let memory = CodeMemory::new(Options { quarantine: Quarantine::Intact, ..Options::default() })?;
    /// # let mut layout = Layout::new();
    /// # layout.add(Protection::ReadExecute, 64, 16)?;
    /// let code = memory.allocate(&Request::new(&layout))?.finalize()?;
    /// code.free(); // No thread finds it any more, but one may still be in it.
    /// let period = memory.begin_grace_period();
    /// // ... every thread has been at a point where it is in no such code ...
    /// assert_eq!(memory.stats().quarantined_bytes, 64);
    /// memory.end_grace_period(period);
    /// assert_eq!(memory.stats().quarantined_bytes, 0);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    pub fn end_grace_period(&self, period: GracePeriod) {
        if !self.is_inherited() {
            let shards = self.inside.shards();
            shards.for_each(|shard| shard.end_grace_period(period.0));
        }
    }

    /// Whether a grace period has begun that has this number: for bindings that get numbers back.
    #[must_use]
    pub fn has_begun(&self, period: GracePeriod) -> bool {
        period.0 < self.inside.pool.epoch()
    }

    /// Reserves address space for a block in a window, before a library that is loaded later takes it, for example.
    /// It costs no memory. Does nothing where there is room for a block already. [`CodeMemory::trim`] gives it back unless
    /// something is placed there.
    ///
    /// ```
    /// # use codeslab::{CodeMemory, Options, Window, process_symbol};
    /// let memory = CodeMemory::new(Options::default())?;
    /// let malloc = process_symbol("malloc").unwrap();
    /// memory.reserve(Window::around(malloc, 1 << 30))?;
    /// assert!(memory.stats().reserved_bytes > 0);
    /// # Ok::<(), codeslab::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfReach`] if there is no room for the smallest of blocks; [`Error::Refused`] if the system refuses;
    /// [`Error::Forked`] in a child process.
    pub fn reserve(&self, window: Window) -> Result<()> {
        self.inside.pool.reserve(window)
    }

    /// Whether this is a forked child: what it inherited is its parent's, and locks may be held by threads that it has not.
    fn is_inherited(&self) -> bool {
        self.inside.pool.is_forked()
    }

    /// What it holds now: nothing, in a forked child.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        if self.is_inherited() {
            return stats;
        }
        let shards = self.inside.shards();
        shards.for_each(|shard| shard.count(&mut stats));
        self.inside.pool.count(&mut stats);
        stats.live = stats.live.saturating_sub(stats.in_flight);
        stats
    }

    /// A picture of its blocks, slabs and spans: of none, in a forked child.
    #[must_use]
    pub fn picture(&self) -> Picture {
        if self.is_inherited() {
            return Picture::default();
        }
        let shards = self.inside.shards();
        let mut blocks: Vec<_> = shards.flat_map(|shard| shard.pictures()).collect();
        blocks.sort_by_key(|block| block.address);
        Picture { blocks }
    }

    /// What an address lies in: any address of an allocation that is neither freed nor given up, or that is freed and stays intact
    /// until its grace period ends ([`Quarantine::Intact`](crate::Quarantine::Intact)). Takes no lock and never waits, so
    /// a profiler or an unwinder may ask while others allocate. While that very allocation is made or freed, either answer may come.
    #[must_use]
    pub fn find(&self, address: Address) -> Option<Found> {
        self.inside.pool.find(address)
    }

    /// Gives back to the system what is kept for the next allocation: blocks and reservations of which nothing is used.
    pub fn trim(&self) {
        if !self.is_inherited() {
            self.inside.shards().for_each(|shard| shard.trim());
            self.inside.pool.trim();
            staging::trim();
        }
    }
}
