//! What a dynamic linker and the runtimes of languages do for an image once its bytes are there.
//!
//! `codeslab-link` places code and relocates it; it runs nothing. A [`Program`] says what there is to run and to know: initialisers,
//! finalisers, unwind tables, and the handle by which the C library knows what the image registered. [`Running::start`] runs it, and dropping a
//! [`Running`] ends it: finalisers run once, and the memory goes back after them. An image that is still there when the process exits is
//! finalised then and its memory stays, as after `dlopen`. [`PROVIDED`] are the functions that images find here because no shared library
//! exports them, or because the library's own would forget that an image can go. A [`SharedLibrary`] is what images are bound to besides each
//! other. [`guarded`] calls foreign code whose exceptions would
//! otherwise end the process.
//!
//! `codeslab-link` does all of this for what it links. An embedder with a linker of its own begins an image like this:
//!
//! ```
//! use codeslab::{CodeMemory, Layout, Options, Protection, Request};
//! use codeslab_runtime::{Program, Running};
//!
//! let memory = CodeMemory::new(Options::default())?;
//! let mut layout = Layout::new();
//! layout.add(Protection::ReadExecute, 64, 16)?;
//! let allocation = memory.allocate(&Request::new(&layout))?.finalize()?;
//! // Addresses in the allocation: of initialisers and finalisers, and of unwind tables. This image has none.
//! let program = Program::default();
//! // SAFETY: there is nothing to run.
//! let running = unsafe { Running::start(program, allocation, Vec::new()) }.expect("nothing throws");
//! assert_eq!(memory.stats().live, 1);
//! drop(running); // Finalisers run, and the memory goes back.
//! assert_eq!(memory.stats().live, 0);
//! # Ok::<(), codeslab::Error>(())
//! ```
//!
//! # Order
//!
//! A file imports only from those before it: `program`, `storage`, `arch`, `error`, `symbol`, `sys`, `process`, `thread_local`, `keys`, `image`, `threads`, `running`, `provided`. What an operating
//! system and its C library have to do for all this is one folder in `sys`; what processors differ in, a file in `arch`.

mod arch;
mod error;
mod image;
mod keys;
mod process;
mod program;
mod provided;
mod running;
mod storage;
mod symbol;
mod sys;
mod thread_local;
mod threads;

pub use arch::ProcessorModel;
pub use error::{Error, Exception, Result};
pub use image::Keep;
pub use process::{SharedLibrary, process_location, process_symbol_kinds};
pub use program::{Convention, Direction, FunctionEntry, FunctionTable, Indirect, Program, Step};
pub use provided::{PROVIDED, Provided, Stand, provided};
pub use running::Running;
pub use storage::{Question, Template, Variable};
pub use symbol::{ProcessLocation, ProcessSymbolKind};
pub use sys::{CONVENTION, guarded, loads};
pub use thread_local::ThreadLocals;
