//! The linker from outside: real objects from a real compiler, linked and executed.
//!
//! Most files have objects of this machine's compiler, which are of no use on Windows; those of `coff` are for every system
//! on x86-64, and those of `macho` are of LLVM's.

#[cfg(all(unix, target_arch = "aarch64"))]
mod aarch64;
#[cfg(unix)]
mod arbitrary;
#[cfg(unix)]
mod archives;
#[cfg(unix)]
mod assembled;
#[cfg(unix)]
mod builtin;
#[cfg(unix)]
mod canonical;
mod checks;
#[cfg(unix)]
mod chosen;
#[cfg(target_arch = "x86_64")]
mod coff;
#[cfg(unix)]
mod compiled;
#[cfg(unix)]
mod cpp;
#[cfg(unix)]
mod damaged;
#[cfg(unix)]
mod direct;
#[cfg(unix)]
mod elf_symbols;
#[cfg(unix)]
mod gaps;
#[cfg(unix)]
mod graphs;
#[cfg(all(unix, target_arch = "aarch64"))]
mod guarded;
#[cfg(unix)]
mod indirect;
#[cfg(unix)]
mod kept;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod life;
#[cfg(unix)]
mod loaded;
#[cfg(unix)]
mod located;
#[cfg(unix)]
mod macho;
#[cfg(unix)]
mod memories;
#[cfg(unix)]
mod placed;
#[cfg(unix)]
mod proportion;
#[cfg(unix)]
mod reach;
#[cfg(unix)]
mod refused;
#[cfg(unix)]
mod replaceable;
mod support;
#[cfg(unix)]
mod symbols;
#[cfg(unix)]
mod thread_local;
#[cfg(unix)]
mod tidy;
#[cfg(unix)]
mod unwinding;
