//! Code memory for just-in-time compilers, linkers, emulators and hooks.
//!
//! Machine code reaches its constants, its data and its callees through short displacements: ±2 GiB on x86-64. A
//! [`CodeMemory`] reserves blocks of address space smaller than that, carves the code, the constants and the data of one
//! request out of one block, and places the block where the request says ([`Request::within`]).
//!
//! ```
//! use codeslab::{CodeMemory, Layout, Options, Protection, Request};
//!
//! // Sizes first: from here on nothing grows,
//! let mut layout = Layout::new();
//! let text = layout.add(Protection::ReadExecute, 7, 16)?;
//! let counter = layout.add(Protection::ReadWrite, 4, 4)?;
//!
//! // then addresses: from here on nothing changes its place,
//! let memory = CodeMemory::new(Options::default())?;
//! let mut in_flight = memory.allocate(&Request::new(&layout))?;
//! let displacement = in_flight.address(counter).offset_from(in_flight.address(text)) - 6;
//!
//! // then bytes: inc dword ptr [rip + displacement]; ret
//! in_flight.write(text, 0, &[0xff, 0x05])?;
//! in_flight.write(text, 2, &i32::try_from(displacement).unwrap().to_le_bytes())?;
//! in_flight.write(text, 6, &[0xc3])?;
//!
//! // and then it can be executed, and no longer be written.
//! let allocation = in_flight.finalize()?;
//! allocation.free();
//! # Ok::<(), codeslab::Error>(())
//! ```
//!
//! # Job by job
//!
//! | to | take |
//! |---|---|
//! | place near something in the process, or below 2 GiB | [`Request::within`], as below |
//! | free a part before the rest, and have all of it in reach | [`CodeMemory::allocate_together`] |
//! | publish many at once | [`CodeMemory::finalize_all`], as below |
//! | assemble first and learn the size then | [`InFlightAllocation::shrink`] |
//! | replace code that threads run | [`Slot`] |
//! | free code that threads may be in | [`Options::quarantine`], [`CodeMemory::end_grace_period`] |
//! | tell what an address lies in | [`CodeMemory::find`], as below |
//! | have the user choose a writer | [`Options::or_environment`], of which [`CodeMemory::new`] makes use |
//!
//! Code that calls a function of the process by a displacement of 32 bits has to lie near it:
//!
//! ```
//! # use codeslab::{CodeMemory, Layout, Options, Protection, Request, Window, process_symbol};
//! # let memory = CodeMemory::new(Options::default())?;
//! # let mut layout = Layout::new();
//! # let text = layout.add(Protection::ReadExecute, 64, 16)?;
//! if let Some(malloc) = process_symbol("malloc") {
//!     let near = [Window::around(malloc, 1 << 30)];
//!     let in_flight = memory.allocate(&Request::new(&layout).within(&near))?;
//!     assert!(in_flight.address(text).distance(malloc) <= 1 << 30);
//! }
//! # Ok::<(), codeslab::Error>(())
//! ```
//!
//! A compiler that has many functions ready places and publishes them together, which costs the search for room and the processors'
//! agreement once:
//!
//! ```
//! # use codeslab::{CodeMemory, Layout, Options, Protection, Request};
//! # let memory = CodeMemory::new(Options::default())?;
//! # let mut layout = Layout::new();
//! # layout.add(Protection::ReadExecute, 64, 16)?;
//! let in_flight = memory.allocate_together(&[Request::new(&layout); 100])?;
//! let functions = memory.finalize_all(in_flight)?; // … after they were written …
//!
//! // A profiler has an address, and asks what it lies in.
//! let inside = functions[7].segment_address(Protection::ReadExecute).unwrap().checked_add(5).unwrap();
//! let found = memory.find(inside).unwrap();
//! assert_eq!((found.protection, found.size), (Protection::ReadExecute, 64));
//! drop(functions);
//! assert_eq!(memory.find(inside), None);
//! # Ok::<(), codeslab::Error>(())
//! ```
//!
//! # What holds always
//!
//! - Within one request every address reaches every other, and nothing lies outside of the request's windows.
//! - No byte is writable and executable through one address, for any thread, whichever [`Writer`] is in use; except, with
//!   [`Writer::Pkeys`] and [`Writer::MapJit`], for the thread that is copying it there.
//! - An error leaves everything as it was: a request is met whole or not at all.
//! - All of it may be used from any thread.
//!
//! What it does not do: it parses no objects and applies no relocations (`codeslab-link` does), it moves nothing that it has
//! placed, and it does not know whether a thread still executes what you free.

mod allocation;
mod block;
#[cfg(test)]
mod fake_tests;
#[cfg(all(test, loom))]
mod loom_tests;
mod memory;
mod model;
mod pool;
mod process;
mod request;
mod slab;
mod slot;
mod space;
mod sync;
mod sys;
mod write;

pub use allocation::{Allocation, InFlightAllocation};
pub use memory::{CodeMemory, GracePeriod};
pub use model::address::{Address, Window};
pub use model::architecture::{Architecture, CodeModel, Reach};
pub use model::error::{Error, Fact, Limit, Refusal, Result};
pub use model::layout::{Layout, MAXIMUM_ALIGN, Section, SectionId, Segment};
pub use model::options::{
    BLOCK_SIZE_VARIABLE, Constants, Options, Quarantine, Sealing, WRITER_VARIABLE,
};
pub use model::page::PageSize;
pub use model::protection::Protection;
pub use model::stats::{
    BlockPicture, Capabilities, Configuration, Found, Picture, SealingStatus, SlabPicture,
    SpanPicture, Stats, WriterStatus,
};
pub use model::writer::Writer;
pub use process::{
    architecture, capabilities, process_barrier, process_symbol, process_symbol_version,
    read_process,
};
pub use request::Request;
pub use slot::Slot;
