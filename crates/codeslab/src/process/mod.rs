//! The process that code is placed into: what it can do, and what it and the libraries that it opens have.

mod capabilities;
mod shared_library;

pub(crate) use capabilities::configure;
pub use capabilities::{
    architecture, capabilities, process_barrier, process_location, process_symbol,
    process_symbol_kinds, process_symbol_version, read_process,
};
pub use shared_library::SharedLibrary;
