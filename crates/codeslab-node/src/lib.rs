//! Codeslab for Node.
