//! Address space.

pub(crate) mod budget;
pub(crate) mod clusters;
pub(crate) mod gaps;
pub(crate) mod memory_file;
pub(crate) mod reservation;
pub(crate) mod search;
