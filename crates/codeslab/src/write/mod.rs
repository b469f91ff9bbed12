//! Writing.

pub(crate) mod backing;
pub(crate) mod pages;
pub(crate) mod staging;
