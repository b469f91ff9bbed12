//! What processors differ in whatever the system is: what code asks about them.

mod model;

pub use model::ProcessorModel;
