//! What is needed and where it may lie: the layout and the window. After this no size changes.
//!
//! GOT entries and stubs are counted for every symbol that might need one, because whether it does depends on where the
//! image lies, and that depends on how much is needed.

mod bounds;
mod canonical;

use crate::arch::formula::{Beyond, Formula, Row};
use crate::arch::linked::{GOT_ENTRY_SIZE, STUB_SIZE};
use crate::error::{Error, Result};
use crate::graph::{Content, Relocation, Section};
use crate::resolve::{Object, Place, Resolution, TargetId};
use bounds::Bounds;
use canonical::Direct;
use codeslab::{Layout, Protection, SectionId, Window};

/// The layout of the image, and which part of it is for what.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    /// Where all of it has to lie.
    pub(crate) window: Window,
    /// The symbols that the window is for, lower end first.
    pub(crate) window_symbols: Vec<String>,
    /// By section, counted over all objects; `None` for those that are left out.
    pub(crate) sections: Vec<Option<SectionId>>,
    /// Memory for common symbols.
    pub(crate) commons: Vec<(TargetId, SectionId)>,
    pub(crate) got: Option<SectionId>,
    pub(crate) stubs: Option<SectionId>,
    /// By target.
    pub(crate) slots: Vec<Slots>,
}

/// The GOT entry and the stub of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slots {
    got: u32,
    stub: u32,
    /// Where the function is for which the stub stands, if the stub's address is the target's; then only the stub may know.
    function: u32,
}

impl Slots {
    const UNUSED: u32 = u32::MAX;
    const NONE: Self = Self {
        got: Self::UNUSED,
        stub: Self::UNUSED,
        function: Self::UNUSED,
    };

    /// Bytes from the start of the GOT to its entry.
    pub(crate) fn got_offset(self) -> Option<u64> {
        (self.got != Self::UNUSED).then(|| u64::from(self.got) * GOT_ENTRY_SIZE)
    }

    /// Bytes from the start of the GOT to the entry that its stub alone uses.
    pub(crate) fn function_offset(self) -> Option<u64> {
        self.is_canonical()
            .then(|| u64::from(self.function) * GOT_ENTRY_SIZE)
    }

    /// Bytes from the start of the GOT to the entry that its stub jumps to.
    pub(crate) fn stub_entry_offset(self) -> Option<u64> {
        self.function_offset().or_else(|| self.got_offset())
    }

    /// Whether the address of its stub is the address of the target.
    pub(crate) fn is_canonical(self) -> bool {
        self.function != Self::UNUSED
    }

    /// Bytes from the start of the stubs to its stub.
    pub(crate) fn stub_offset(self) -> Option<u64> {
        (self.stub != Self::UNUSED).then(|| u64::from(self.stub) * STUB_SIZE)
    }
}

/// Lays everything out.
///
/// # Errors
/// [`Error::DiscardedSection`], [`Error::ConflictingSymbols`], and `TooLarge` of the memory manager.
pub(crate) fn plan(resolution: &Resolution<'_>) -> Result<Plan> {
    let needs = Needs::of(resolution)?;
    let (window, window_symbols) = needs.bounds.window(resolution)?;
    let mut layout = Layout::new();
    let sections = add_sections(&mut layout, resolution)?;
    let commons = add_commons(&mut layout, resolution)?;
    let got = add_table(
        &mut layout,
        Protection::ReadOnly,
        needs.got_count(),
        GOT_ENTRY_SIZE,
    )?;
    let stubs = add_table(
        &mut layout,
        Protection::ReadExecute,
        needs.stub_count,
        STUB_SIZE,
    )?;
    if layout.size() == 0 {
        // Symbols in empty sections have addresses too, and an image owns memory: one byte.
        layout.add(Protection::ReadOnly, 1, 1)?;
    }
    Ok(Plan {
        layout,
        window,
        window_symbols,
        sections,
        commons,
        got,
        stubs,
        slots: needs.slots,
    })
}

/// Zero-filled sections come last, so that nothing touches their pages.
fn add_sections(
    layout: &mut Layout,
    resolution: &Resolution<'_>,
) -> Result<Vec<Option<SectionId>>> {
    let mut ids = vec![None; resolution.is_live.len()];
    for &number in resolution.runs.iter().flatten() {
        ids[number as usize] = Some(add_section(layout, resolution.section(number))?);
    }
    for zeros in [false, true] {
        for (_, section, number) in resolution.live_sections() {
            let id = &mut ids[number as usize];
            if id.is_none() && matches!(section.content, Content::Zeros(_)) == zeros {
                *id = Some(add_section(layout, section)?);
            }
        }
    }
    Ok(ids)
}

fn add_section(layout: &mut Layout, section: &Section<'_>) -> Result<SectionId> {
    Ok(layout.add(section.protection, section.content.size(), section.align)?)
}

fn add_commons(
    layout: &mut Layout,
    resolution: &Resolution<'_>,
) -> Result<Vec<(TargetId, SectionId)>> {
    let targets = resolution.targets.iter().zip(0..);
    let commons = targets.filter_map(|(target, id)| match target.place {
        Place::Common { size, align } => Some((TargetId(id), size, align)),
        _ => None,
    });
    commons
        .map(|(id, size, align)| Ok((id, layout.add(Protection::ReadWrite, size, align)?)))
        .collect()
}

fn add_table(
    layout: &mut Layout,
    protection: Protection,
    count: u32,
    entry_size: u64,
) -> Result<Option<SectionId>> {
    if count == 0 {
        return Ok(None);
    }
    let size = u64::from(count) * entry_size;
    Ok(Some(layout.add(protection, size, entry_size)?))
}

/// What the relocations ask for.
struct Needs {
    slots: Vec<Slots>,
    entry_count: u32,
    stub_count: u32,
    has_got: bool,
    bounds: Bounds,
}

impl Needs {
    fn of(resolution: &Resolution<'_>) -> Result<Self> {
        let mut needs = Self {
            slots: vec![Slots::NONE; resolution.targets.len()],
            entry_count: 0,
            stub_count: 0,
            has_got: false,
            bounds: Bounds::default(),
        };
        let mut directs = Vec::new();
        for (object, section, _) in resolution.live_sections() {
            for relocation in section.relocations() {
                directs.extend(needs.note(resolution, object, section, relocation)?);
            }
        }
        needs.settle_directs(resolution, &directs);
        Ok(needs)
    }

    /// Entries of the GOT. One that is only counted from has one entry, so that it is somewhere.
    fn got_count(&self) -> u32 {
        self.entry_count.max(self.has_got.into())
    }

    /// Takes one relocation into account, but for what has to wait until all of them are known.
    fn note(
        &mut self,
        resolution: &Resolution<'_>,
        object: &Object<'_>,
        section: &Section<'_>,
        relocation: &Relocation,
    ) -> Result<Option<Direct>> {
        let row = relocation.kind.row();
        let id = resolution.target_of(object, relocation);
        let place = resolution.target(id).place;
        self.has_got |= row.formula.needs_got() || place == Place::Got;
        if place == Place::Discarded {
            return check_discarded(row, object, section, relocation).map(|()| None);
        }
        if row.formula.needs_got_entry() {
            self.need_entry(id);
        } else if row.beyond == Beyond::Stub && !place.is_in_image() {
            self.need_entry(id);
            self.need_stub(id);
        } else if let Some(direct) = Direct::new(row, relocation.addend, id, place) {
            return Ok(Some(direct));
        } else if place.is_in_image() {
            self.bounds.note_inside(row, relocation.addend, id);
        }
        Ok(None)
    }

    /// Has the stub of a target stand for it.
    fn need_canonical(&mut self, id: TargetId) {
        self.need_stub(id);
        let slot = &mut self.slots[id.0 as usize].function;
        if *slot == Slots::UNUSED {
            *slot = self.entry_count;
            self.entry_count += 1;
        }
    }

    fn need_entry(&mut self, id: TargetId) {
        let slot = &mut self.slots[id.0 as usize].got;
        if *slot == Slots::UNUSED {
            *slot = self.entry_count;
            self.entry_count += 1;
        }
    }

    fn need_stub(&mut self, id: TargetId) {
        let slot = &mut self.slots[id.0 as usize].stub;
        if *slot == Slots::UNUSED {
            *slot = self.stub_count;
            self.stub_count += 1;
        }
    }
}

/// Unwind information covers sections that are left out, too; nobody looks those entries up. Anything else is an error.
fn check_discarded(
    row: &Row,
    object: &Object<'_>,
    section: &Section<'_>,
    relocation: &Relocation,
) -> Result<()> {
    if row.formula == Formula::Nothing || section.name == ".eh_frame" {
        return Ok(());
    }
    Err(Error::DiscardedSection {
        reference: Box::new(object.graph.reference(section, relocation)),
    })
}
