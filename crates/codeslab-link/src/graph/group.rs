//! What a graph says about sections and names that several graphs have: of which a link takes one, and what stands in where it has none.
//!
//! Formats fill this in, and `resolve` reads it when it knows all graphs.

use super::index::{SectionIndex, SymbolIndex};
use std::borrow::Cow;

/// Sections of which a link takes one of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) selection: Selection,
    /// The section that is compared where the selection compares.
    pub(crate) leader: Option<SectionIndex>,
}

impl Group<'_> {
    /// The same with a copy of its name.
    pub(super) fn into_owned(self) -> Group<'static> {
        Group {
            name: own(self.name),
            selection: self.selection,
            leader: self.leader,
        }
    }
}

/// Which group of a name a link takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// Every one: its sections only belong together, and its name is not compared.
    Each,
    /// The first.
    First,
    /// The first; all have to be as long.
    SameSize,
    /// The first; all have to be the same.
    Same,
    /// That with the greatest number, and of several the first.
    Greatest(u64),
}

/// What a name stands for if nothing defines it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Alternate<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) other: Other<'a>,
}

/// Another symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Other<'a> {
    /// One of the same graph.
    Symbol(SymbolIndex),
    /// One that all graphs see.
    Name(Cow<'a, str>),
}

impl Alternate<'_> {
    /// The same with a copy of what it borrows.
    pub(super) fn into_owned(self) -> Alternate<'static> {
        Alternate {
            name: own(self.name),
            other: match self.other {
                Other::Symbol(index) => Other::Symbol(index),
                Other::Name(name) => Other::Name(own(name)),
            },
        }
    }
}

/// A name with a copy of what it borrows.
pub(super) fn own(name: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(name.into_owned())
}
