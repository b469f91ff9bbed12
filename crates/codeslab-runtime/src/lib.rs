//! What a dynamic linker and the runtimes of languages do for an image once its bytes are there.
//!
//! `codeslab-link` places code and relocates it; it runs nothing. A [`Program`] says what there is to run: initialisers, finalisers, and
//! the handle by which the C library knows what the image registered. [`Running::start`] runs it, and dropping a [`Running`] ends it:
//! finalisers run once, and the memory goes back after them. An image that is still there when the process exits is finalised then and
//! its memory stays, as after `dlopen`.
//!
//! # Order
//!
//! A file imports only from those before it: `error`, `program`, `sys`, `running`. What an operating system has to do for all this is one
//! folder in `sys`; what processors differ in, a file in `arch`.

mod arch;
mod error;
mod program;
mod running;
mod sys;
mod thread_local;

pub use arch::ProcessorModel;
pub use error::{Error, Result};
pub use program::{Direction, Indirect, Program, Step};
pub use running::Running;
pub use thread_local::{Question, Template, ThreadLocals, Variable};
