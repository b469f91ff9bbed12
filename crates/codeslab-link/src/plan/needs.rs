//! What the relocations ask for: GOT entries, stubs, and a place for the image.
//!
//! Every relocation of every section is looked at once. What it needs follows from its row and from where its target is; whether an
//! entry or a stub will be used is not known yet, so every one that may be is counted.

use super::bounds::Bounds;
use super::copies::CopiedConstant;
use super::direct::Direct;
use super::slots::Slots;
use super::thread_local::ThreadEntries;
use crate::arch::formula::Term;
use crate::arch::row::{Far, Row};
use crate::error::{Error, Result};
use crate::graph::{GraphSection, Purpose, Relocation};
use crate::resolve::{Object, Place, Resolution, TargetId};
use std::collections::BTreeMap;

/// What the relocations ask for.
pub(super) struct Needs {
    pub(super) slots: Slots,
    pub(super) bounds: Bounds,
    pub(super) thread_entries: ThreadEntries,
    /// By target.
    pub(super) copies: BTreeMap<u32, CopiedConstant>,
    has_got: bool,
}

impl Needs {
    /// What all of them ask for together, but for the place that direct references to fixed things ask for: those are given back.
    pub(super) fn of(resolution: &Resolution<'_>) -> Result<(Self, Vec<Direct>)> {
        let mut needs = Self {
            slots: Slots::new(resolution.targets.len()),
            bounds: Bounds::default(),
            thread_entries: ThreadEntries::default(),
            copies: BTreeMap::new(),
            has_got: false,
        };
        let targets = resolution.targets.iter().zip(0..);
        for (_, id) in targets.filter(|(target, _)| matches!(target.place, Place::Indirect { .. }))
        {
            needs.slots.need_indirect(TargetId(id));
        }
        for &id in &resolution.replaceable {
            needs.slots.need_indirect(id);
        }
        let mut directs = Vec::new();
        for (object, section, number) in resolution.live_sections() {
            let ids = resolution.targets_of(object);
            for relocation in section.relocations() {
                let id = ids[relocation.symbol.0 as usize];
                if needs.is_noted(resolution, relocation, id) {
                    continue;
                }
                let direct = needs.note(resolution, object, (section, number), relocation)?;
                directs.extend(direct);
            }
        }
        Ok((needs, directs))
    }

    /// Whether something in the image stands for a target that lies elsewhere.
    pub(super) fn has_stand_in(&self, id: TargetId) -> bool {
        self.slots.is_canonical(id) || self.copies.contains_key(&id.0)
    }

    /// Entries of the GOT. One that is only counted from has one entry, so that it is somewhere.
    pub(super) fn entry_count(&self) -> u32 {
        self.slots.entry_count().max(self.has_got.into())
    }

    /// Takes a relocation into account if it is of the kind that nearly all are: about the address or distance of something in a section.
    #[inline]
    fn is_noted(
        &mut self,
        resolution: &Resolution<'_>,
        relocation: &Relocation,
        id: TargetId,
    ) -> bool {
        let plain = relocation.kind.plain();
        let is_in_section = matches!(resolution.target(id).place, Place::Section { .. });
        let is_noted = is_in_section && plain.is_usual;
        if is_noted && plain.binds_image {
            self.bounds.note_inside(plain.row, relocation.addend, id);
        }
        is_noted
    }

    /// Takes one relocation into account, but for what has to wait until all of them are known.
    fn note(
        &mut self,
        resolution: &Resolution<'_>,
        object: &Object<'_>,
        (section, number): (&GraphSection<'_>, u32),
        relocation: &Relocation,
    ) -> Result<Option<Direct>> {
        let row = relocation.kind.row();
        let id = resolution.target_of(object, relocation);
        let place = resolution.target(id).place;
        self.has_got |= row.formula.needs_got() || place == Place::Got;
        if place == Place::Discarded {
            return check_discarded(row, object, section, relocation).map(|()| None);
        }
        if row.formula.is_thread_local() || place.is_thread_local() {
            let entries = &mut self.thread_entries;
            return entries
                .note(object, section, relocation, id, place)
                .map(|()| None);
        }
        if row.formula.needs_entry() {
            self.slots.need_entry(id);
        } else if row.far == Far::Stub && !place.is_in_image() {
            self.slots.need_entry(id);
            self.slots.need_stub(id);
        } else if let Some(direct) = Direct::new(row, relocation, number, id, place) {
            return Ok(Some(direct));
        } else if place.is_in_image() {
            self.bounds.note_inside(row, relocation.addend, id);
        }
        Ok(None)
    }
}

/// What describes code covers sections that are left out, too, and is never looked up for them. Anything else is an error.
fn check_discarded(
    row: &Row,
    object: &Object<'_>,
    section: &GraphSection<'_>,
    relocation: &Relocation,
) -> Result<()> {
    if row.formula.term == Term::Nothing
        || section.purpose == Purpose::UnwindTable
        || section.may_lose
    {
        return Ok(());
    }
    Err(Error::DiscardedSection {
        reference: Box::new(object.graph.reference(section, relocation)),
    })
}
