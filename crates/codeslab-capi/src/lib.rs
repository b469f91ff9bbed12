//! Codeslab for C and C++: what `codeslab.h` declares.
//!
//! Every function is `run`: arguments are looked at, a handle is looked up, one function of the crates below is called, and what it says
//! is written where C wants it. An error becomes a number and is kept for the thread with its facts; a panic becomes one, too. Nothing that
//! C does with a handle is undefined: handles are numbers with a generation, and the objects stay in a table here.
//!
//! What it relies on is what a header can ask for: pointers are null or point to what is said. Embedders in C, C++ and whatever can call
//! C use it, and `adapters/llvm` does.
//!
//! ```
//! use codeslab_capi as c;
//! use std::mem::MaybeUninit;
//!
//! let mut memory = MaybeUninit::uninit();
//! // SAFETY: null stands for defaults.
//! let status = unsafe { c::codeslab_open(std::ptr::null(), Some(&mut memory)) };
//! assert_eq!(status, c::CODESLAB_OK);
//! // SAFETY: it was opened.
//! let memory = unsafe { memory.assume_init() };
//! assert_eq!(c::codeslab_close(memory), c::CODESLAB_OK);
//! assert_eq!(c::codeslab_close(memory), c::CODESLAB_STALE_HANDLE);
//! ```
#![allow(
    non_camel_case_types,
    reason = "names of types are those of the header"
)]
#![allow(
    clippy::doc_markdown,
    reason = "the header's comments are made of what stands here, and C has no such marks"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "what callers promise stands at the head of the header, once for all functions"
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]

mod argument;
mod failure;
mod finalizing;
mod linking;
mod looking;
mod memory;
mod object;
mod placing;
mod process;
mod slots;
mod status;
mod table;

pub use failure::*;
pub use linking::*;
pub use looking::*;
pub use memory::*;
pub use placing::*;
pub use process::*;
pub use slots::*;
pub use status::*;
