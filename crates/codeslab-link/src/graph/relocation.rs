//! Relocations of a graph: fields that depend on where things are placed.
//!
//! A type of relocation belongs to one machine and one object format, and goes by the name that the documents of those two give it.
//! Graphs hold types and never numbers, so what reads a graph need not know which format it came from. The rows behind the types
//! stand in `arch`.

use super::index::SymbolIndex;
use crate::arch::{RowId, plain::Plain, row::Row};
use codeslab::Architecture;
use std::fmt;
use std::ops::Deref;
use std::slice;

/// A type of relocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelocationKind(RowId);

impl RelocationKind {
    /// The type with this name, such as `R_X86_64_PC32`: names say which machine and which object format they are from.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// Every type that can be applied, of every machine.
    pub fn all() -> impl Iterator<Item = Self> {
        RowId::all().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The number that stands for it in object files of its format.
    #[must_use]
    pub fn number(self) -> u32 {
        self.row().number
    }

    /// The machine that it is a type of.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        self.row().architecture
    }

    /// The bytes of its field, or of the instruction that the field is part of.
    #[must_use]
    pub fn size(self) -> u64 {
        self.row().encoding.size()
    }

    pub(crate) const fn of(row: RowId) -> Self {
        Self(row)
    }

    #[inline]
    pub(crate) fn row(self) -> &'static Row {
        self.0.row()
    }

    #[inline]
    pub(crate) fn plain(self) -> &'static Plain {
        self.0.plain()
    }
}

impl fmt::Debug for RelocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RelocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field that depends on where things are placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Bytes from the start of the section.
    pub offset: u64,
    /// How the field is computed and written.
    pub kind: RelocationKind,
    /// S.
    pub symbol: SymbolIndex,
    /// A.
    pub addend: i64,
}

/// The relocations of a section. That of a function's unwind information is one, as many sections have: it lies where a list would be
/// named.
#[derive(Clone, Debug)]
pub(crate) enum Relocations {
    One(Relocation),
    Many(Vec<Relocation>),
}

impl Default for Relocations {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Relocations {
    /// All of these.
    #[inline]
    pub(super) fn of(mut all: impl Iterator<Item = Relocation>) -> Self {
        match all.size_hint().1 {
            Some(1) => all.next().map(Self::One).unwrap_or_default(),
            most => {
                let mut many = Vec::with_capacity(most.unwrap_or_default());
                many.extend(all);
                Self::Many(many)
            }
        }
    }

    /// Appends one.
    pub(super) fn push(&mut self, relocation: Relocation) {
        self.append(Self::One(relocation));
    }

    /// Appends others.
    pub(super) fn append(&mut self, others: Self) {
        match self {
            Self::Many(many) if many.is_empty() => *self = others,
            Self::Many(many) => many.extend(others.iter()),
            Self::One(one) => {
                let mut many = vec![*one];
                many.extend(others.iter());
                *self = Self::Many(many);
            }
        }
    }
}

impl Deref for Relocations {
    type Target = [Relocation];

    #[inline]
    fn deref(&self) -> &[Relocation] {
        match self {
            Self::One(one) => slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl PartialEq for Relocations {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Relocations {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relocations_are_the_same_however_they_were_added() {
        let kind = RelocationKind::all().next().unwrap();
        let one = |offset| Relocation {
            offset,
            kind,
            symbol: SymbolIndex(0),
            addend: 0,
        };
        let all: Vec<_> = (0..4).map(one).collect();
        for first in 0..=all.len() {
            let (before, after) = all.split_at(first);
            let mut relocations = Relocations::default();
            for relocation in before {
                relocations.push(*relocation);
            }
            relocations.append(Relocations::of(after.iter().copied()));
            assert_eq!(*relocations, *all);
            assert_eq!(relocations, Relocations::Many(all.clone()));
        }
        let mut two = Relocations::One(one(0));
        two.append(Relocations::One(one(1)));
        assert_eq!(*two, all[..2]);
    }
}
