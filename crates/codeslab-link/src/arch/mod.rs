//! Machines: what a linker has to know about the code of each.
//!
//! No formula, number or instruction of a machine stands outside of this room. It relies on `error` only; graphs name their
//! relocations by what stands here, and `plan` and `apply` ask it what a relocation needs and how its field is written.

pub(crate) mod formula;
pub(crate) mod x86_64;
