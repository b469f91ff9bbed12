//! Code that can be replaced while threads run it: a stable entry, behind which is whatever it was pointed to last.
//!
//! A slot is a branch through a word of data beside it. The branch is code like any other and never changes, so nothing that executes is
//! ever written; replacing is one atomic store, which each thread sees at once or at its next call. What a slot pointed to before may
//! still be running, and when it is not the embedder knows: see [`crate::CodeMemory::begin_grace_period`].

use crate::allocation::Allocation;
use crate::memory::CodeMemory;
use crate::model::address::{Address, Window};
use crate::model::error::{Error, Result};
use crate::model::layout::Layout;
use crate::model::protection::Protection;
use crate::request::Request;
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering};

/// An address to call and to branch to, whose code can be replaced at any time. Dropping it frees it.
///
/// ```
/// # use codeslab::{Address, CodeMemory, Layout, Options, Protection, Request, Slot};
/// # let memory = CodeMemory::new(Options::default())?;
/// let place = |code: &[u8]| {
///     let mut layout = Layout::new();
///     let text = layout.add(Protection::ReadExecute, code.len() as u64, 16)?;
///     let mut in_flight = memory.allocate(&Request::new(&layout))?;
///     in_flight.write(text, 0, code)?;
///     Ok::<_, codeslab::Error>((in_flight.address(text), in_flight.finalize()?))
/// };
/// let (one, _first) = place(&[0xb8, 1, 0, 0, 0, 0xc3])?; // mov eax, 1; ret
/// let (two, _second) = place(&[0xb8, 2, 0, 0, 0, 0xc3])?; // mov eax, 2; ret
/// let slot = Slot::new(&memory, one, &[])?;
/// let entry = slot.address(); // Callers call this, or branch to it.
/// assert_eq!(slot.replace(two), one);
/// assert_eq!((slot.address(), slot.target()), (entry, two));
/// # Ok::<(), codeslab::Error>(())
/// ```
#[derive(Debug)]
pub struct Slot {
    // Invariant: a segment of data whose first word is where the code of its segment of code branches to.
    allocation: Allocation,
    entry: Address,
}

impl Slot {
    /// A slot that branches to `target`, placed in `windows`, for callers that have to reach it.
    ///
    /// # Errors
    /// Those of [`CodeMemory::allocate`] and [`crate::InFlightAllocation::finalize`]; [`Error::UnsupportedPlatform`] on a processor
    /// without a port.
    pub fn new(memory: &CodeMemory, target: Address, windows: &[Window]) -> Result<Self> {
        let mut layout = Layout::new();
        let size = size_of::<sys::Branch>() as u64;
        let entry = layout.add(Protection::ReadExecute, size, size)?;
        let word = layout.add(Protection::ReadWrite, size_of::<u64>() as u64, 8)?;
        let mut in_flight = memory.allocate(&Request::new(&layout).within(windows))?;
        let (at, pointer) = (in_flight.address(entry), in_flight.address(word));
        // Blocks are smaller than the reach of code, but for memories whose code model has none.
        let branch = sys::branch_through(at, pointer).ok_or(Error::TooLarge {
            size: at.distance(pointer),
            limit: 1 << 31,
        })?;
        in_flight.write(word, 0, &target.value().to_ne_bytes())?;
        in_flight.write(entry, 0, &branch)?;
        let allocation = in_flight.finalize()?;
        Ok(Self {
            allocation,
            entry: at,
        })
    }

    /// What callers call and branch to: the same as long as it lives.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.entry
    }

    /// Where a call that begins now arrives.
    #[must_use]
    pub fn target(&self) -> Address {
        Address::new(self.word().load(Ordering::Acquire))
    }

    /// Has calls that begin from now on arrive at `target`, and says where they did before. Threads may still be there.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn replace(&self, target: Address) -> Address {
        // Sequentially consistent: a thread that looks afterwards who is running what was replaced must not look before.
        Address::new(self.word().swap(target.value(), Ordering::SeqCst))
    }

    /// The memory that it owns.
    #[must_use]
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    fn word(&self) -> &AtomicU64 {
        self.allocation.word_at(0).expect("a slot has a word")
    }
}
