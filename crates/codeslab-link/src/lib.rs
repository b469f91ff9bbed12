#![forbid(unsafe_code)]
//! The linker.
