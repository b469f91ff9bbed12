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
//! folder in `sys`.

mod error;
mod program;
mod running;
mod sys;

pub use error::{Error, Result};
pub use program::{Direction, Program, Step};
pub use running::Running;
