//! Memory for `cranelift-jit`, which executes the address at which it wrote and takes one allocation after another until all of
//! them are finalized.
//!
//! That is what [`codeslab::Writer::Protect`] does: bytes are written in their place, and the pages then become executable or constant. Rights
//! change by the page, so code and constants of one group, which is all between two calls of `finalize`, are packed into chunks of
//! whole pages; chunks double in size while a group grows, and what a group leaves of its last chunks is given back when it is
//! finalized. Data stays writable, so each data object is an allocation of its own.
#![allow(
    unsafe_code,
    reason = "Cranelift writes through pointers, and says by an unsafe method that all of it is over"
)]

use crate::domain::Domain;
use crate::error::Error;
use crate::module::has_landing_pads;
use codeslab::{
    Allocation, CodeMemory, InFlightAllocation, Layout, Options, Protection, SectionId, Window,
    Writer,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_jit::{BranchProtection, JITMemoryKind, JITMemoryProvider};
use cranelift_module::{ModuleError, ModuleResult};
use std::io;
use std::mem::{self, ManuallyDrop};

/// Bytes of the first chunk of a group, and of the largest that are more than one allocation asks for.
const CHUNKS: (u64, u64) = (4 << 10, 1 << 20);

/// Memory for a `cranelift_jit::JITModule`: everything of it in reach of everything else of it, packed, and freed with
/// `JITModule::free_memory`.
///
/// ```
/// use codeslab_cranelift::MemoryProvider;
/// use cranelift_jit::{JITBuilder, JITModule};
///
/// let mut builder = JITBuilder::new(cranelift_module::default_libcall_names())?;
/// builder.memory_provider(Box::new(MemoryProvider::new()?));
/// let module = JITModule::new(builder);
/// // … define, finalize, call, and when nothing of it is executed any more:
/// // SAFETY: nothing was compiled.
/// unsafe { module.free_memory() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As with Cranelift's own providers, what is finalized stays for good if the module is dropped without `free_memory`.
#[derive(Debug)]
pub struct MemoryProvider {
    domain: Domain,
    // Whether landing pads are guarded, as far as the embedder said.
    guards: Option<bool>,
    // What is written now, by protection, and the chunks of the same group before it.
    current: [Option<Chunk>; 3],
    full: Vec<Chunk>,
    next_size: [u64; 3],
    // Not dropped with the rest: functions may still be called, and `free_memory` is what says that they are not.
    finalized: ManuallyDrop<Vec<Allocation>>,
}

impl MemoryProvider {
    /// A memory of its own, for a compiler that makes no landing pads, which is Cranelift's default.
    ///
    /// # Errors
    /// [`Error::Memory`] if no memory can be opened that is written in its place.
    pub fn new() -> Result<Self, Error> {
        Self::with_options(Options::default())
    }

    /// A memory of its own that guards indirect branches if this compiler makes landing pads for them.
    ///
    /// # Errors
    /// As those of [`MemoryProvider::new`].
    pub fn for_isa(isa: &dyn TargetIsa) -> Result<Self, Error> {
        Self::with_options(Options {
            branch_protection: has_landing_pads(isa),
            ..Options::default()
        })
    }

    /// A memory of its own with these options, of which `writer` is [`Writer::Protect`] if none is said.
    ///
    /// # Errors
    /// [`Error::NotInPlace`] for another writer; [`Error::Memory`] if the memory cannot be opened.
    pub fn with_options(mut options: Options) -> Result<Self, Error> {
        let guards = Some(options.branch_protection);
        options.writer.get_or_insert(Writer::Protect);
        let memory = CodeMemory::new(options)?;
        let provider = Self::with_memory(memory, &[])?;
        Ok(Self { guards, ..provider })
    }

    /// In a memory that others use, too, and in each of some windows.
    ///
    /// # Errors
    /// [`Error::NotInPlace`] if the writer of the memory is not [`Writer::Protect`].
    pub fn with_memory(memory: CodeMemory, within: &[Window]) -> Result<Self, Error> {
        let writer = memory.configuration().writer;
        if writer != Writer::Protect {
            return Err(Error::NotInPlace { writer });
        }
        Ok(Self {
            domain: Domain::new(memory, within.to_vec()),
            guards: None,
            current: [None, None, None],
            full: Vec::new(),
            next_size: [CHUNKS.0; 3],
            finalized: ManuallyDrop::default(),
        })
    }

    /// The memory: for statistics and lookups.
    #[must_use]
    pub const fn memory(&self) -> &CodeMemory {
        self.domain.memory()
    }

    fn place(&mut self, size: u64, align: u64, protection: Protection) -> Result<*mut u8, Error> {
        let slot = index(protection);
        let taken = self.current[slot].as_mut();
        if let Some(bytes) = taken.and_then(|chunk| chunk.take(size, align)) {
            return Ok(bytes);
        }
        let wanted = if protection == Protection::ReadWrite {
            size
        } else {
            size.max(self.next_size[slot])
        };
        let mut chunk = Chunk::new(&mut self.domain, wanted, align, protection)?;
        let bytes = chunk.take(size, align);
        self.next_size[slot] = (self.next_size[slot] * 2).min(CHUNKS.1);
        self.full.extend(self.current[slot].replace(chunk));
        Ok(bytes.expect("it was made for this"))
    }

    /// Publishes the group.
    fn publish(&mut self, branch_protection: BranchProtection) -> Result<(), Error> {
        let is_compiled = branch_protection == BranchProtection::BTI;
        let is_guarded = self.memory().configuration().branch_protection;
        if self.guards.unwrap_or(is_guarded || is_compiled) != is_compiled
            || is_guarded && !is_compiled
        {
            return Err(Error::BranchProtection { is_compiled });
        }
        let full = mem::take(&mut self.full);
        let current = mem::take(&mut self.current).into_iter().flatten();
        self.next_size = [CHUNKS.0; 3];
        let group = full.into_iter().chain(current).map(Chunk::close);
        let group = group.collect::<codeslab::Result<Vec<_>>>()?;
        let published = self.memory().finalize_all(group)?;
        self.finalized.extend(published);
        Ok(())
    }
}

const fn index(protection: Protection) -> usize {
    match protection {
        Protection::ReadExecute => 0,
        Protection::ReadOnly => 1,
        Protection::ReadWrite => 2,
    }
}

impl JITMemoryProvider for MemoryProvider {
    fn allocate(&mut self, size: usize, align: u64, kind: JITMemoryKind) -> io::Result<*mut u8> {
        let protection = match kind {
            JITMemoryKind::Executable => Protection::ReadExecute,
            JITMemoryKind::ReadOnly => Protection::ReadOnly,
            JITMemoryKind::Writable => Protection::ReadWrite,
        };
        self.place((size as u64).max(1), align, protection)
            .map_err(io::Error::other)
    }

    unsafe fn free_memory(&mut self) {
        self.full.clear();
        self.current = [None, None, None];
        self.finalized.clear();
        self.domain.weigh_anchor();
    }

    fn finalize(&mut self, branch_protection: BranchProtection) -> ModuleResult<()> {
        self.publish(branch_protection)
            .map_err(|error| ModuleError::Backend(anyhow::Error::new(error)))
    }
}

/// Bytes that several allocations of one protection share.
#[derive(Debug)]
struct Chunk {
    in_flight: InFlightAllocation,
    section: SectionId,
    start: *mut u8,
    size: u64,
    used: u64,
}

// SAFETY: what `start` points to belongs to the allocation in flight, which may be sent; nothing else refers to it here.
unsafe impl Send for Chunk {}

impl Chunk {
    fn new(
        domain: &mut Domain,
        size: u64,
        align: u64,
        protection: Protection,
    ) -> codeslab::Result<Self> {
        let mut layout = Layout::new();
        let section = layout.add(protection, size, align)?;
        let mut in_flight = domain.allocate(&layout)?;
        let start = in_flight.bytes_mut(section).as_mut_ptr();
        let runs_at = in_flight.address(section).value();
        assert_eq!(start.addr() as u64, runs_at, "the writer writes in place");
        Ok(Self {
            in_flight,
            section,
            start,
            size,
            used: 0,
        })
    }

    /// The next bytes of it, if there is room.
    fn take(&mut self, size: u64, align: u64) -> Option<*mut u8> {
        // The address counts: an allocation before may have asked for less alignment.
        if !align.is_power_of_two() {
            return None;
        }
        let first = self.start.addr() as u64 + self.used;
        let offset = self.used + (first.checked_next_multiple_of(align)? - first);
        let end = offset.checked_add(size).filter(|end| *end <= self.size)?;
        self.used = end;
        Some(self.start.wrapping_add(offset as usize))
    }

    /// Gives back what is not used.
    fn close(mut self) -> codeslab::Result<InFlightAllocation> {
        if self.used < self.size {
            self.in_flight.shrink(self.section, self.used)?;
        }
        Ok(self.in_flight)
    }
}
