//! Addresses of functions of the process, for code that has no room for them.
//!
//! Code that is not position-independent takes a function's address as 32 bits (`mov $free, %edi`). It is linked into
//! executables that lie low, and `ld` gives such a function a *canonical* address: that of a stub in the executable, which
//! then stands for the function wherever the executable asks for its address, so that two ways of asking agree.
//!
//! The same is done here for a whole image. A stub stands only for what is known to be code: what is called somewhere in the
//! link, or what the process itself says is a function. A stub's bytes in place of data would be read without complaint.
//!
//! Source: psABI §3.5.4 and §5.2 "Function Addresses".

use super::Needs;
use super::bounds::Bounds;
use crate::arch::formula::{Beyond, Formula, Row};
use crate::process;
use crate::resolve::{Place, Resolution, TargetId};

/// A direct 32-bit reference to something that is fixed elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) row: &'static Row,
    pub(super) addend: i64,
    pub(super) symbol: TargetId,
    /// Where the symbol is.
    pub(super) value: u64,
}

impl Direct {
    /// The reference, if it is one.
    #[inline]
    pub(super) fn new(
        row: &'static Row,
        addend: i64,
        symbol: TargetId,
        place: Place,
    ) -> Option<Self> {
        let is_direct = row.beyond == Beyond::Placement
            && matches!(row.formula, Formula::Absolute | Formula::Relative);
        match place {
            Place::Absolute(value) if is_direct => Some(Self {
                row,
                addend,
                symbol,
                value,
            }),
            _ => None,
        }
    }

    /// Whether its field can hold the symbol's address. A distance depends on where the image lies.
    fn fits_anywhere(&self) -> bool {
        let value = i128::from(self.value) + i128::from(self.addend);
        self.row.formula == Formula::Relative || self.row.values.contains(value)
    }
}

impl Needs {
    /// Gives a stub's address to the functions that references cannot reach, and has the image lie where all others arrive.
    pub(super) fn settle_directs(&mut self, resolution: &Resolution<'_>, directs: &[Direct]) {
        let lost = directs.iter().filter(|direct| !direct.fits_anywhere());
        self.make_canonical(resolution, lost);
        // The stubs for those have to lie low, as may other things; that can be too far for distances.
        if !self.bounds_with(directs).is_possible() {
            self.make_canonical(resolution, directs.iter());
        }
        self.bounds = self.bounds_with(directs);
    }

    fn bounds_with(&self, directs: &[Direct]) -> Bounds {
        let mut bounds = self.bounds;
        for direct in directs {
            let Direct {
                row,
                addend,
                symbol,
                value,
            } = *direct;
            if self.slots[symbol.0 as usize].is_canonical() {
                bounds.note_inside(row, addend, symbol);
            } else {
                bounds.note_outside(row, addend, symbol, value);
            }
        }
        bounds
    }

    /// Makes those canonical that are functions of somebody else.
    fn make_canonical<'d>(
        &mut self,
        resolution: &Resolution<'_>,
        lost: impl Iterator<Item = &'d Direct>,
    ) {
        let lost = lost.filter(|direct| !resolution.target(direct.symbol).is_defined());
        let is_called =
            |direct: &&Direct| self.slots[direct.symbol.0 as usize].stub_offset().is_some();
        let (called, unknown): (Vec<&Direct>, Vec<&Direct>) = lost.partition(is_called);
        for direct in called {
            self.need_canonical(direct.symbol);
        }
        if unknown.is_empty() {
            return;
        }
        let name = |direct: &Direct| resolution.name_of(direct.symbol);
        let named = unknown.iter().map(|direct| (name(direct), direct.value));
        let functions = process::functions(named);
        for direct in unknown {
            if functions.contains(&name(direct)) {
                self.need_canonical(direct.symbol);
            }
        }
    }
}
