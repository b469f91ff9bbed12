//! What processors differ in: the call that catches exceptions, what code asks about them, and the numbers that dynamic linkers have for them.

#[cfg(target_os = "linux")]
pub(crate) mod catch;
pub(crate) mod elf;
mod model;

pub use model::ProcessorModel;
