//! What a code memory holds, counted and drawn.

use crate::model::address::Address;
use crate::model::architecture::{Architecture, CodeModel, Reach};
use crate::model::options::{Constants, Quarantine, Sealing};
use crate::model::page::PageSize;
use crate::model::protection::Protection;
use crate::model::writer::Writer;

/// What a code memory holds. While other threads work, the figures of different shards are of different instants.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Blocks that exist.
    pub blocks: u64,
    /// Clusters: groups of blocks that all reach each other.
    pub clusters: u64,
    /// Bytes of address space reserved from the system.
    pub reserved_bytes: u64,
    /// Bytes of it that can hold something.
    pub committed_bytes: u64,
    /// Bytes of it that in-flight and published allocations occupy, alignment included.
    pub used_bytes: u64,
    /// Bytes that are freed and wait for the end of a grace period: see [`crate::Options::quarantine`].
    pub quarantined_bytes: u64,
    /// Mappings that the system keeps for this memory, writable views included, as far as they follow from its layout: the
    /// writer `protect` leaves more, one for each run of pages with the same rights.
    pub mappings: u64,
    /// Allocations being written.
    pub in_flight: u64,
    /// Allocations that are published.
    pub live: u64,
    /// Bytes of metadata, outside of the managed memory.
    pub metadata_bytes: u64,
}

/// What an address lies in: see [`crate::CodeMemory::find`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Where the segment begins.
    pub address: Address,
    /// Bytes of the segment, rounding to the granule included.
    pub size: u64,
    /// What it may be used for, as far as pages tell: constants that lie with code are code.
    pub protection: Protection,
}

/// A code memory, drawn: see [`crate::CodeMemory::picture`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Picture {
    /// Blocks by ascending address.
    pub blocks: Vec<BlockPicture>,
}

/// One block.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BlockPicture {
    /// Where it begins.
    pub address: Address,
    /// Bytes of address space.
    pub size: u64,
    /// Which cluster it belongs to.
    pub cluster: u64,
    /// Its slabs by ascending address; what lies between them is reserved only.
    pub slabs: Vec<SlabPicture>,
}

/// A run of a block with one protection.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SlabPicture {
    /// Where it begins.
    pub address: Address,
    /// Bytes, a multiple of the page size.
    pub size: u64,
    /// What it may be used for.
    pub protection: Protection,
    /// What is carved from it, by ascending address; what lies between is free.
    pub spans: Vec<SpanPicture>,
}

/// Bytes carved from a slab for one segment of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SpanPicture {
    /// Where it begins.
    pub address: Address,
    /// Bytes, rounding to the granule included.
    pub size: u64,
}

/// What this process can do: see [`crate::capabilities`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Capabilities {
    /// What the process executes.
    pub architecture: Architecture,
    /// The operating system's name, as in `std::env::consts::OS`.
    pub operating_system: &'static str,
    /// The system's page size.
    pub page_size: PageSize,
    /// The alignment of a reservation, in bytes.
    pub granularity: u64,
    /// Every writer in the order in which they are tried, with the result of its probe.
    pub writers: Vec<WriterStatus>,
    /// What [`crate::Options::sealed`] can do here.
    pub sealing: SealingStatus,
    /// The code models of the architecture with their reach.
    pub code_models: Vec<(CodeModel, Reach)>,
}

/// Whether memory can be sealed here: see [`Sealing`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SealingStatus {
    /// Why memory files cannot be closed to other writers, or `None` if they can.
    pub writes_unavailable: Option<String>,
    /// Why mappings cannot be kept as they are, or `None` if they can.
    pub mappings_unavailable: Option<String>,
}

/// Whether a writer works here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WriterStatus {
    /// Which.
    pub writer: Writer,
    /// Why it does not, or `None` if it does.
    pub unavailable: Option<String>,
}

/// What a code memory was opened with, after defaults, environment and probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Configuration {
    /// Bytes of address space of a block.
    pub block_size: u64,
    /// The code model.
    pub code_model: CodeModel,
    /// How far a reference may span.
    pub reach: Reach,
    /// How far a branch may span, where that is less.
    pub branch_reach: Reach,
    /// The writer in use.
    pub writer: Writer,
    /// Where constants go.
    pub constants: Constants,
    /// What becomes of freed memory before it is used again.
    pub quarantine: Quarantine,
    /// Bytes that it has committed at most.
    pub max_committed: Option<u64>,
    /// Mappings that it has at most.
    pub max_mappings: Option<u64>,
    /// What is sealed; `None` if that was not asked for.
    pub sealing: Option<Sealing>,
    /// Whether nothing in flight can be executed, and no view shows constants: always, but for [`Writer::DualMapping`] without
    /// [`Options::hardened`](crate::Options::hardened).
    pub hardened: bool,
    /// Whether pages without access lie between the slabs of a block and at its ends.
    pub guard_pages: bool,
    /// Whether code is guarded: indirect branches arrive at landing pads only.
    pub branch_protection: bool,
}
