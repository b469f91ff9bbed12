//! What processors differ in: what code asks about them.

mod model;

pub use model::ProcessorModel;
