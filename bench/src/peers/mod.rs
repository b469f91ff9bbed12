//! What others have published for the same work, measured by the same scenarios as far as they can do them.
#![allow(
    unsafe_code,
    reason = "the peers hand out raw pointers; codeslab does not"
)]

pub(crate) mod arena;
pub(crate) mod jit_allocator2;
