//! Windows itself.
