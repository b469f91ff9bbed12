//! The linker from outside: real objects from a real compiler, linked and executed.
#![allow(
    missing_docs,
    reason = "the titles of the tests say what they are about"
)]

mod archives;
mod support;
