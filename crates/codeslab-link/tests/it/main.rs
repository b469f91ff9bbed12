//! The linker from outside: real objects from a real compiler, linked and executed.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod arbitrary;
mod archives;
mod assembled;
mod builtin;
mod canonical;
mod chosen;
mod compiled;
mod cpp;
mod damaged;
mod direct;
mod elf_symbols;
mod graphs;
mod indirect;
mod kept;
mod life;
mod loaded;
mod located;
mod memories;
mod placed;
mod proportion;
mod reach;
mod refused;
mod replaceable;
mod support;
mod symbols;
mod thread_local;
mod tidy;
mod unwinding;
