//! Direct references to things that are fixed outside of the image: the ones that bind where it may lie.
//!
//! They are collected while relocations are gone through and weighed when all are known, because one that cannot be kept may be turned
//! to a stub (`canonical`), and then binds the image no more.

use crate::arch::formula::Origin;
use crate::arch::row::{Far, Row};
use crate::graph::Relocation;
use crate::resolve::{Place, TargetId};

/// A direct reference to something that is fixed elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) row: &'static Row,
    pub(super) addend: i64,
    pub(super) symbol: TargetId,
    /// Where the symbol is.
    pub(super) value: u64,
    /// The section that refers to it, counted over all objects, and where in it.
    pub(super) section: u32,
    pub(super) offset: u64,
}

impl Direct {
    /// The reference, if it is one.
    #[inline]
    pub(super) fn new(
        row: &'static Row,
        relocation: &Relocation,
        section: u32,
        symbol: TargetId,
        place: Place,
    ) -> Option<Self> {
        match place {
            Place::Absolute(value) if row.far == Far::Placement => Some(Self {
                row,
                addend: row.formula.addend(relocation.addend),
                symbol,
                value,
                section,
                offset: relocation.offset,
            }),
            _ => None,
        }
    }

    /// Whether its field can hold the symbol's address. A distance depends on where the image lies.
    pub(super) fn fits_anywhere(&self) -> bool {
        let value = i128::from(self.value) + i128::from(self.addend);
        self.row.formula.origin == Origin::P || self.row.range.contains(value)
    }
}
