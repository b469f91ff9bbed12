//! Code memory for just-in-time compilers, linkers, emulators and hooks.

mod address;
mod allocation;
mod bins;
mod bits;
mod block;
mod blocks;
mod cluster;
mod code_model;
mod error;
#[cfg(test)]
mod fake_tests;
mod layout;
mod manager;
mod mapping;
mod options;
mod page;
mod protection;
mod reservation;
mod shard;
mod shared;
mod slab;
#[cfg(test)]
mod slab_tests;
mod span;
mod stats;
mod sys;
mod writer;

pub use address::{Address, Window};
pub use allocation::{Allocation, InFlightAllocation};
pub use code_model::{Architecture, CodeModel, Reach};
pub use error::{Error, Fact, Limit, Refusal, Result};
pub use layout::{Layout, MAXIMUM_ALIGN, Section, SectionId, Segment};
pub use manager::{CodeMemory, Request, capabilities, process_symbol};
pub use options::{BLOCK_SIZE_VARIABLE, Constants, Options, WRITER_VARIABLE};
pub use page::PageSize;
pub use protection::Protection;
pub use stats::{
    BlockPicture, Capabilities, Configuration, Picture, SlabPicture, SpanPicture, Stats,
    WriterStatus,
};
pub use writer::Writer;
