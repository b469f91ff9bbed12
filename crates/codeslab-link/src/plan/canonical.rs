//! Addresses of functions of the process, for code that has no room for them.
//!
//! Code that is not position-independent takes a function's address as 32 bits (`mov $free, %edi`). It is linked into
//! executables that lie low, and `ld` gives such a function a *canonical* address: that of a stub in the executable, which
//! then stands for the function wherever the executable asks for its address, so that two ways of asking agree.
//!
//! The same is done here for a whole image. A stub stands only for what is known to be code: what is called somewhere in the
//! link, or what the process itself says is a function. A stub's bytes in place of data would be read without complaint.
//!
//! Source: psABI for AMD64 §3.5.4 and §5.2 "Function Addresses".

use super::bounds::Bounds;
use super::copies::CopiedConstant;
use super::detours::{self, Detours};
use super::direct::Direct;
use super::needs::Needs;
use crate::arch::machine::OperandForm;
use crate::error::Result;
use crate::resolve::Resolution;
use codeslab::Address;
use codeslab_runtime::{ProcessSymbolKind, process_symbol_kinds};

/// Gives a stub's address to the functions that references cannot reach, a detour to instructions, a copy's address to constants, and has
/// the image lie where all others arrive.
///
/// # Errors
/// `WorkBudget` if looking for other ways takes more than the link may.
pub(super) fn bind(
    needs: &mut Needs,
    resolution: &Resolution<'_>,
    mut directs: Vec<Direct>,
) -> Result<Detours> {
    let mut detours = Detours::default();
    let lost = directs.iter().filter(|direct| !direct.fits_anywhere());
    make_canonical(needs, resolution, lost);
    if directs.iter().any(|direct| is_lost(needs, direct)) {
        let form = OperandForm::Address;
        detours::make(needs, resolution, &mut directs, &mut detours, form)?;
    }
    let lost: Vec<&Direct> = directs.iter().filter(|one| is_lost(needs, one)).collect();
    make_copies(needs, resolution, lost)?;
    // What stands for those has to lie low, as may other things; that can be too far for distances.
    if !bounds_with(needs, &directs).is_possible() {
        make_canonical(needs, resolution, directs.iter());
    }
    if !bounds_with(needs, &directs).is_possible() {
        let form = OperandForm::Distance;
        detours::make(needs, resolution, &mut directs, &mut detours, form)?;
    }
    if !bounds_with(needs, &directs).is_possible() {
        make_copies(needs, resolution, directs.iter().collect())?;
    }
    needs.bounds = bounds_with(needs, &directs);
    Ok(detours)
}

/// Whether a reference cannot be made, wherever the image lies.
fn is_lost(needs: &Needs, direct: &Direct) -> bool {
    !direct.fits_anywhere() && !needs.has_stand_in(direct.symbol)
}

fn bounds_with(needs: &Needs, directs: &[Direct]) -> Bounds {
    let mut bounds = needs.bounds;
    for direct in directs {
        let Direct {
            row,
            addend,
            symbol,
            value,
            ..
        } = *direct;
        if needs.has_stand_in(symbol) {
            bounds.note_inside(row, addend, symbol);
        } else {
            bounds.note_outside(row, addend, symbol, value);
        }
    }
    bounds
}

/// Makes those canonical that are functions and that no object defines.
fn make_canonical<'d>(
    needs: &mut Needs,
    resolution: &Resolution<'_>,
    lost: impl Iterator<Item = &'d Direct>,
) {
    let lost = lost.filter(|direct| !resolution.target(direct.symbol).is_defined());
    let is_called = |direct: &&Direct| needs.slots.stub(direct.symbol).is_some();
    let (called, unknown): (Vec<&Direct>, Vec<&Direct>) = lost.partition(is_called);
    for direct in called {
        needs.slots.need_canonical(direct.symbol);
    }
    for (direct, kind) in kinds_of(resolution, unknown) {
        if kind == ProcessSymbolKind::Function {
            needs.slots.need_canonical(direct.symbol);
        }
    }
}

/// Copies those that are constants of the process and that no object defines.
fn make_copies(
    needs: &mut Needs,
    resolution: &Resolution<'_>,
    mut lost: Vec<&Direct>,
) -> Result<()> {
    lost.retain(|direct| {
        !resolution.target(direct.symbol).is_defined() && !needs.has_stand_in(direct.symbol)
    });
    for (direct, kind) in kinds_of(resolution, lost) {
        if let ProcessSymbolKind::Constant { size } = kind {
            let copy = CopiedConstant::of(resolution, direct.symbol, (direct.value, size))?;
            needs
                .copies
                .extend(copy.map(|copy| (direct.symbol.0, copy)));
        }
    }
    Ok(())
}

/// What the process says of symbols that references are to, once for each symbol.
fn kinds_of<'d>(
    resolution: &Resolution<'_>,
    mut directs: Vec<&'d Direct>,
) -> Vec<(&'d Direct, ProcessSymbolKind)> {
    if directs.is_empty() {
        return Vec::new();
    }
    // Many references may be to one symbol, which is asked about once.
    directs.sort_unstable_by_key(|direct| direct.symbol.0);
    directs.dedup_by_key(|direct| direct.symbol.0);
    let name = |direct: &&Direct| resolution.name_of(direct.symbol);
    let names: Vec<String> = directs.iter().map(name).collect();
    let address = |direct: &&Direct| Address::new(direct.value);
    let addresses = directs.iter().map(address);
    let symbols: Vec<(&str, Address)> = names.iter().map(String::as_str).zip(addresses).collect();
    let kinds = process_symbol_kinds(&symbols);
    directs.into_iter().zip(kinds).collect()
}
