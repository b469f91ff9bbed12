//! The ends of images on musl, whose `__cxa_finalize` does nothing: codeslab has the list.
//!
//! Source: musl's `src/exit/atexit.c` (<https://git.musl-libc.org/cgit/musl>).

pub(crate) use crate::sys::listed::{finalize_registered, own_cxa_atexit, register_for_image};
