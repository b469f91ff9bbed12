//! What processors differ in: what code asks about them, and the numbers that dynamic linkers have for them.

pub(crate) mod elf;
mod model;

pub use model::ProcessorModel;
