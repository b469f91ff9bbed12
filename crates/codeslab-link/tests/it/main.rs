//! The linker from outside: real objects from a real compiler, linked and executed.

mod arbitrary;
mod archives;
mod assembled;
mod compiled;
mod damaged;
mod graphs;
mod memories;
mod reach;
mod refused;
mod support;
mod symbols;
