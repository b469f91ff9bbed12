//! Where an image may lie so that every direct reference arrives.
//!
//! Two kinds of reference bind it: distances from the image to something that is fixed elsewhere, such as `stderr`, and
//! addresses of things in the image that are kept in few bits. Both say that some address of the image lies in an interval; it is asked
//! for of every byte, since what lies where is not known yet. Which references are direct, and how far each spans, their rows say; the
//! intersection of all intervals becomes the window that the memory manager is asked for.

use crate::arch::encoding::Range;
use crate::arch::formula::Origin;
use crate::arch::row::{Far, Row};
use crate::error::{Error, Result};
use crate::resolve::{Resolution, TargetId};
use codeslab::{Address, Window};

/// The tightest ends so far, and which symbol they are for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    lowest: Option<Bound>,
    highest: Option<Bound>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    at: u64,
    symbol: TargetId,
}

impl Bounds {
    /// Takes one reference to something in the image into account.
    pub(super) fn note_inside(&mut self, row: &Row, addend: i64, symbol: TargetId) {
        // A distance within the image is for the memory manager to keep.
        if row.far == Far::Placement && row.formula.origin == Origin::Zero {
            // least <= S + A <= greatest
            let addend = i128::from(addend);
            let Range { least, greatest } = reach(row);
            self.narrow(least - addend, greatest - addend, symbol);
        }
    }

    /// Takes one reference to something that is fixed at `value` into account.
    pub(super) fn note_outside(&mut self, row: &Row, addend: i64, symbol: TargetId, value: u64) {
        if row.far == Far::Placement && row.formula.origin == Origin::P {
            // least <= S + A - P <= greatest
            let target = i128::from(value) + i128::from(addend);
            let Range { least, greatest } = reach(row);
            self.narrow(target - greatest, target - least, symbol);
        }
    }

    /// Requires that `first <= address <= last`.
    fn narrow(&mut self, first: i128, last: i128, symbol: TargetId) {
        // An addend can lead out of the address space; no placement helps then either.
        let (Ok(first), Ok(last)) = (
            u64::try_from(first.max(0)),
            u64::try_from(last.min(u64::MAX.into())),
        ) else {
            return;
        };
        if first > 0 && self.lowest.is_none_or(|bound| bound.at < first) {
            self.lowest = Some(Bound { at: first, symbol });
        }
        if last < u64::MAX && self.highest.is_none_or(|bound| bound.at > last) {
            self.highest = Some(Bound { at: last, symbol });
        }
    }

    /// Whether there are addresses between the ends.
    pub(super) fn is_possible(&self) -> bool {
        let (lowest, highest) = self.ends();
        lowest <= highest
    }

    fn ends(&self) -> (u64, u64) {
        let lowest = self.lowest.map_or(0, |bound| bound.at);
        let highest = self.highest.map_or(u64::MAX, |bound| bound.at);
        (lowest, highest)
    }

    /// Where the image has to lie, and the symbols that say so.
    pub(super) fn window(self, resolution: &Resolution<'_>) -> Result<(Window, Vec<String>)> {
        let (lowest, highest) = self.ends();
        let mut symbols: Vec<String> = [self.lowest, self.highest]
            .into_iter()
            .flatten()
            .map(|bound| resolution.name_of(bound.symbol))
            .collect();
        let (lowest, highest) = (Address::new(lowest), Address::new(highest));
        match Window::new(lowest, highest) {
            Some(window) => {
                symbols.dedup();
                Ok((window, symbols))
            }
            None => Err(Error::ConflictingSymbols {
                first: symbols.first().cloned().unwrap_or_default(),
                lowest,
                second: symbols.get(1).cloned().unwrap_or_default(),
                highest,
                distance: lowest.distance(highest),
            }),
        }
    }
}

/// The distances that surely fit. Each row has its own: on many machines branches span less than data.
fn reach(row: &Row) -> Range {
    let rounding = row.formula.rounding();
    Range {
        least: row.range.least + rounding,
        greatest: row.range.greatest - rounding,
    }
}
