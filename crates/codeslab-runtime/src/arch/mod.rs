//! What processors differ in: the call that catches exceptions, and what code asks about them.

#[cfg(target_os = "linux")]
pub(crate) mod catch;
mod model;

pub use model::ProcessorModel;
