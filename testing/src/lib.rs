//! What tests, examples and benchmarks share, and no user of codeslab ever builds.
//!
//! [`archive()`] makes static libraries for the linker to chew on: real ones, whose C source ships inside crates, built by the
//! C compiler that the README asks for. So they are the same on every machine, whatever its packages, and a cross compiler
//! makes them for another target. [`system_archive`] finds one that a package of the system adds, where it is installed.
//! [`skip()`] is for a test that this machine lacks something for: `npm test` names and counts it. [`run_alone`] gives a test
//! a process of its own. [`sources`] reads the tree
//! itself, for tests of what may stand where. [`hostile`] makes small files that are meant to take a linker long, and [`count_heap`]
//! says how much memory something takes; `assert_ends_where_it_began` is about what a process has of Windows.
//!
//! It relies on `cargo metadata` for where the sources are. The linker's tests call it; the scripts, for the JavaScript
//! tests, the demo and the benchmarks, run the program `inputs`.

mod apple;
mod archive;
mod child;
mod compiler;
mod counting;
mod cross;
mod error;
pub mod hostile;
mod library;
mod skip;
mod source;
mod tree;
#[cfg(windows)]
mod usage;

pub use apple::{apple_object, llvm_program};
pub use archive::{archive, system_archive};
pub use child::{assert_passed, is_child, run_alone, run_child};
pub use compiler::Compiler;
pub use counting::{CountingAllocator, Heap, count_heap};
pub use cross::{CrossCompiler, compile_c};
pub use error::Error;
pub use library::Library;
pub use skip::{package_skip, skip};
pub use tree::{Source, document, repository, sources};
#[cfg(windows)]
pub use usage::{Usage, assert_ends_where_it_began, runs};
