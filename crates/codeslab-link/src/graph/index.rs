//! How the parts of a graph name each other: sections and symbols by number, in the order in which they were added.

/// Names a section of a [`Graph`](crate::Graph), in the order in which sections were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SectionIndex(pub u32);

/// Names a symbol of a [`Graph`](crate::Graph), in the order in which symbols were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolIndex(pub u32);
