//! A JIT linker: real object files and archives, linked straight into [`codeslab::CodeMemory`] and ready to be called.
//!
//! ```no_run
//! use codeslab::{CodeMemory, Options};
//! use codeslab_link::{Input, LinkOptions, link};
//!
//! let bytes = std::fs::read("libz.a")?;
//! let memory = CodeMemory::new(Options::default())?;
//! let inputs = [Input::File { name: "libz.a", bytes: &bytes }];
//! let linked = link(&memory, &inputs, &LinkOptions::default())?;
//! // zlib has no constructors, which would have to be run by `Linked::start`.
//! let image = linked.into_image().expect("there is nothing to run");
//! let crc32 = image.address("crc32").expect("zlib has it");
//! // Cast `crc32` to the type that it was compiled with and call it while `image` lives.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An assembler builds a graph instead, in memory:
//!
//! ```
//! use codeslab::{CodeMemory, Options, Protection};
//! use codeslab_link::{Content, Definition, Graph, GraphSection, Input, LinkOptions, Symbol, link};
//!
//! // A function that returns 42.
//! let code: &[u8] = if cfg!(target_arch = "x86_64") {
//!     &[0xb8, 42, 0, 0, 0, 0xc3]
//! } else {
//!     &[0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6]
//! };
//! let mut graph = Graph::new("answers", codeslab::architecture()?);
//! let code = Content::Bytes(code.into());
//! let text = graph.add_section(GraphSection::new(".text", Protection::ReadExecute, 16, code))?;
//! graph.add_symbol(Symbol::new("answer", Definition::Section { section: text, offset: 0 }))?;
//!
//! let memory = CodeMemory::new(Options::default())?;
//! let linked = link(&memory, &[Input::Graph(&graph)], &LinkOptions::default())?;
//! let image = linked.into_image().expect("there is nothing to run");
//! let address = image.address("answer").expect("it is defined").value() as usize;
//! // SAFETY: it is a function of this type, and the image lives until it returned.
//! let answer: extern "C" fn() -> u32 = unsafe { std::mem::transmute(address) };
//! assert_eq!(answer(), 42);
//! image.free();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Job by job
//!
//! | to | take |
//! |---|---|
//! | link an object or an archive | [`link`] with [`Input::File`] |
//! | link a file often | [`ParsedFile`] |
//! | link what an assembler made | [`Graph`] |
//! | run constructors | [`Linked::start`] |
//! | bind to shared libraries and to images that were linked before | [`LinkOptions::libraries`] with [`Input::Path`], [`Input::Loaded`] |
//! | provide symbols | [`LinkOptions::externals`] |
//! | replace functions while threads run them | [`LinkOptions::replaceable`], [`Image::replace`] |
//! | know what a link takes before it takes it | [`estimate`], [`inspect`] |
//! | tell debuggers and profilers | [`LinkOptions::keep_objects`], and the crate `codeslab-debug` |
//!
//! Nothing is written to files and no system linker is needed. Code goes where every reference that it makes arrives:
//! within reach of its own data, of the process's data that it names directly, and of the low addresses that code without
//! position independence asks for. Everything that can be refused is refused before memory is taken, and an error later on
//! gives the memory back.
//!
//! # What it links
//!
//! ELF, Mach-O and COFF objects for x86-64, though the last not with the others, because their functions are called in different ways; ELF
//! and Mach-O for 64-bit Arm; archives of GNU, BSD and Microsoft, files for several machines, import libraries; [`Graph`]s that an assembler builds in memory. Weak, local, common
//! and absolute symbols, with visibility and versions, COMDAT groups, zero-filled and mergeable sections (as they are, unmerged), GOT
//! entries and stubs. Libraries may also be images that were linked before and shared libraries ([`Exports`]), and paths, linker scripts
//! and thin archives name files that are read ([`Files`]). Sections that nothing needs can be left out, names wrapped and assigned.
//! Where code takes the address of a function of the process in 32 bits, a stub's address stands for it in the image.
//!
//! Thread-local variables of all models: the process's dynamic linker gives every thread its copy ([`codeslab_runtime::ThreadLocals`]).
//! Indirect functions: their resolvers run when the image is started, before anything else of it.
//!
//! # What it takes
//!
//! Work and memory are in proportion to the bytes that a link is given, whatever they say: [`Work::limit`] has the numbers, and an input
//! that asks for more than files of its size ever need is refused ([`Error::WorkBudget`]). [`link_counted`] tells what a link took.
//!
//! # What it does not do
//!
//! - Nothing is merged or optimised at link time.
//! - Stacks that code is executed on, and intermediate code of compilers (`-flto`), are refused by name.
//!
//! # Order
//!
//! A file imports only from those before it: `error`, `budget`, `arch`, `graph`, `exports`, `kept`, `input`, `unwind`, `format`,
//! `gather`, `inspect`, `resolve`, `plan`, `apply`, `detour`, `program`, `symbols`, `located`, `image`, `replaceable`, `link`;
//! `tests/it/tidy.rs` has all of them in order. A machine is a folder in `arch`, an object format a folder in `format`.

#[cfg(test)]
mod apple_tests;
mod apply;
mod arch;
mod budget;
mod destination;
mod detour;
mod error;
mod exports;
#[cfg(test)]
mod fake_tests;
mod format;
mod function_table;
mod gather;
mod graph;
mod image;
mod input;
mod inspect;
mod kept;
mod link;
mod located;
mod names;
mod placed;
mod plan;
mod program;
mod replaceable;
mod resolve;
mod similar;
mod symbols;
mod thread_local;
mod unwind;

pub use budget::Work;
pub use codeslab_runtime as runtime;
pub use error::{Error, Feature, Missing, Reference, Resource, Result};
pub use exports::{Exports, ImageSymbol, Keep};
pub use graph::{
    Binding, Content, Definition, Graph, GraphSection, Moment, Priority, Purpose, Relocation,
    RelocationKind, SectionIndex, Symbol, SymbolIndex, SymbolKind, Visibility,
};
pub use image::{Image, Linked};
pub use input::{Files, Input, LinkOptions, Replaceable};
pub use inspect::{Inspected, inspect};
pub use kept::ParsedFile;
pub use link::{Estimate, estimate, link, link_counted};
pub use located::Location;
pub use placed::{PlacedFunction, PlacedObject};
pub use similar::Similar;
