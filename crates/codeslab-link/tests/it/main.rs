//! The linker from outside: real objects from a real compiler, linked and executed.

mod arbitrary;
mod archives;
mod assembled;
mod builtin;
mod canonical;
mod chosen;
mod coff;
mod compiled;
mod cpp;
mod damaged;
mod direct;
mod elf_symbols;
mod graphs;
mod indirect;
mod life;
mod loaded;
mod memories;
mod placed;
mod proportion;
mod reach;
mod refused;
mod support;
mod symbols;
mod thread_local;
mod tidy;
mod unwinding;
