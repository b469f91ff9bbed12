//! Values that everything else speaks in.

pub(crate) mod address;
pub(crate) mod architecture;
pub(crate) mod error;
pub(crate) mod layout;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod protection;
pub(crate) mod stats;
pub(crate) mod writer;
