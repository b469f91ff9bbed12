//! Tells debuggers and profilers which machine code is where, so that they show names and lines in the place of numbers.
//!
//! A program opens [`Tools`] with what it wants told ([`Settings`]) and publishes [`Code`] there: functions that it placed itself, by name,
//! or an object file that was linked, which brings its symbols and its debug information. What is published is taken back when its
//! [`Registration`] is dropped, which comes before the memory is freed.
//!
//! | for | what is written | what it takes |
//! | --- | --- | --- |
//! | `perf report` | a line for each function in `/tmp/perf-PID.map` | a writer whose pages perf takes for those of a JIT: see [`writer_for_tools`] |
//! | `perf inject --jit` | `jit-PID.dump` in `$JITDUMPDIR`, else in the current directory: functions with their code, lines and times | `perf record -k mono` |
//! | gdb, lldb | an ELF file in memory for each unit, in the list that they look at | for breakpoints, the same |
//!
//! ```
//! use codeslab::{CodeMemory, Layout, Options, Protection, Request};
//! use codeslab_debug::{Code, Function, Settings, Tools, writer_for_tools};
//!
//! let settings = Settings { gdb: Some(true), ..Settings::default() };
//! let tools = Tools::open(settings.or_environment(|name| std::env::var(name).ok()))?;
//! // Breakpoints, and names in perf, take private memory.
//! let writer = writer_for_tools(&codeslab::capabilities()?).filter(|_| tools.prefer_private_memory());
//! let memory = CodeMemory::new(Options { writer, ..Options::default() })?;
//!
//! let mut layout = Layout::new();
//! let text = layout.add(Protection::ReadExecute, 64, 16)?;
//! let in_flight = memory.allocate(&Request::new(&layout))?;
//! let address = in_flight.address(text);
//! let code = in_flight.finalize()?;
//! let function = Function { name: "generated".to_owned(), address, size: 64 };
//! // SAFETY: the code stays until after this.
//! let (registration, written) = unsafe { tools.publish(Code::Functions(vec![function])) };
//! written?;
//! // … the code is called, and shows up as `generated` …
//! drop(registration);
//! code.free();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It knows no JavaScript and no linker. What differs between systems is in `sys`, between processors in `arch`.

mod arch;
mod code;
mod elf;
mod error;
mod gdb;
mod jitdump;
mod located;
mod perf_map;
mod settings;
mod symbol_file;
mod sys;
mod tools;

pub use code::{Code, Function, Region};
pub use error::{Error, Result};
pub use settings::{GDB_VARIABLE, JITDUMP_VARIABLE, PERF_VARIABLE, Settings, writer_for_tools};
pub use tools::{Registration, Tools};
