//! What is needed and where it may lie: the layout and the window. After this no size changes.
//!
//! GOT entries and stubs are counted for every symbol that might need one, because whether it does depends on where the
//! image lies, and that depends on how much is needed. The reach of each direct reference becomes part of one window, in which all of
//! the image has to lie. `link` asks the memory manager for both, and `apply` looks up here where everything went.

mod bounds;
mod canonical;
mod copies;
mod detours;
mod direct;
mod needs;
mod slots;
pub(crate) mod thread_local;

use crate::error::{Resource, Result};
use crate::graph::{Content, GraphSection};
use crate::resolve::{Object, Place, Resolution, TargetId};
use codeslab::{Layout, Protection, SectionId, Window};
pub(crate) use copies::CopiedConstant;
use detours::Detours;
pub(crate) use detours::PlannedDetour;
use needs::Needs;
use slots::Slots;
use std::collections::BTreeMap;
use std::mem;
use thread_local::{Template, ThreadEntries};

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
    /// Bytes from the start of the data to the first zeros.
    pub(crate) values_end: u64,
    /// Memory for common symbols.
    pub(crate) commons: Vec<(TargetId, SectionId)>,
    /// Constants of the process that the image has copies of.
    pub(crate) copies: Vec<(CopiedConstant, SectionId)>,
    pub(crate) got: Option<SectionId>,
    /// Where indirect functions are, once their resolvers have said so, and functions that can be replaced.
    pub(crate) indirects: Option<SectionId>,
    /// What the dynamic linker says of thread-local variables.
    pub(crate) thread_table: Option<SectionId>,
    pub(crate) thread_entries: ThreadEntries,
    /// What every thread has a copy of.
    pub(crate) template: Template,
    pub(crate) stubs: Option<SectionId>,
    pub(crate) detour_table: Option<SectionId>,
    /// The instructions that take detours, by section and field.
    pub(crate) detours: Detours,
    pub(crate) detour_size: u64,
    slots: Slots,
    entry_size: u64,
    stub_size: u64,
}

impl Plan {
    /// A layout of code, constants and data as wholes: to place them, it is no matter what they consist of.
    ///
    /// # Errors
    /// None: each was laid out before.
    pub(crate) fn segments(&self) -> Result<Layout> {
        let mut segments = Layout::new();
        for protection in Protection::ALL {
            let segment = self.layout.segment(protection);
            if segment.size > 0 {
                segments.add(protection, segment.size, segment.align)?;
            }
        }
        Ok(segments)
    }

    /// The targets that have a GOT entry or a stub.
    pub(crate) fn slot_targets(&self) -> impl Iterator<Item = TargetId> {
        self.slots.targets()
    }

    /// Bytes from the start of the GOT to the entry of a target.
    pub(crate) fn entry_offset(&self, id: TargetId) -> Option<u64> {
        let number = self.slots.entry(id)?;
        Some(u64::from(number) * self.entry_size)
    }

    /// Bytes from the start of the GOT, or of the table of indirect functions, to the entry that says where a target is for which a stub
    /// stands.
    pub(crate) fn hidden_entry_offset(&self, id: TargetId) -> Option<u64> {
        let number = self.slots.hidden_entry(id)?;
        Some(u64::from(number) * self.entry_size)
    }

    /// Bytes from the start of that table to the entry that the stub of a target jumps to.
    pub(crate) fn stub_entry_offset(&self, id: TargetId) -> Option<u64> {
        self.hidden_entry_offset(id)
            .or_else(|| self.entry_offset(id))
    }

    /// Bytes from the start of the stubs to the stub of a target.
    pub(crate) fn stub_offset(&self, id: TargetId) -> Option<u64> {
        let number = self.slots.stub(id)?;
        Some(u64::from(number) * self.stub_size)
    }

    /// The same, if the address of the stub stands for the target wherever its address is asked for.
    pub(crate) fn canonical_offset(&self, id: TargetId) -> Option<u64> {
        self.stub_offset(id).filter(|_| self.slots.is_canonical(id))
    }
}

/// Lays everything out.
///
/// # Errors
/// `DiscardedSection`, `ConflictingSymbols`, and `TooLarge` of the memory manager.
pub(crate) fn plan(resolution: &Resolution<'_>) -> Result<Plan> {
    let (mut needs, directs) = Needs::of(resolution)?;
    let detours = canonical::bind(&mut needs, resolution, directs)?;
    let (window, window_symbols) = needs.bounds.window(resolution)?;
    let (entry_size, stub_size) = (
        resolution.machine.entry_size(),
        resolution.machine.stub_size(),
    );
    let mut layout = Layout::with_capacity(resolution.is_live.len());
    let (sections, values_end) = add_sections(&mut layout, resolution)?;
    let commons = add_commons(&mut layout, resolution)?;
    let copies = add_copies(&mut layout, mem::take(&mut needs.copies))?;
    let (entries, stubs) = (needs.entry_count(), needs.slots.stub_count());
    let got = add_table(&mut layout, Protection::ReadOnly, entries, entry_size)?;
    let stubs = add_table(&mut layout, Protection::ReadExecute, stubs, stub_size)?;
    let detour_size = resolution.machine.detour_size().max(1);
    let detour_count = detours.len() as u32;
    let detour_table = add_detours(&mut layout, detour_count, detour_size)?;
    let indirects = needs.slots.indirect_count();
    let indirects = add_table(&mut layout, Protection::ReadWrite, indirects, entry_size)?;
    let thread_entries = needs.thread_entries.count();
    let thread_table = add_table(
        &mut layout,
        Protection::ReadOnly,
        thread_entries,
        thread_local::ENTRY_SIZE,
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
        values_end,
        commons,
        copies,
        got,
        indirects,
        thread_table,
        thread_entries: needs.thread_entries,
        template: Template::of(resolution)?,
        stubs,
        detour_table,
        detours,
        detour_size,
        slots: needs.slots,
        entry_size,
        stub_size,
    })
}

/// Zero-filled sections come last, so that nothing touches their pages. Says too where in the data they begin.
fn add_sections(
    layout: &mut Layout,
    resolution: &Resolution<'_>,
) -> Result<(Vec<Option<SectionId>>, u64)> {
    let mut ids = vec![None; resolution.is_live.len()];
    let live_sections = resolution.live_sections();
    let live_sections = live_sections.filter(|(_, section, _)| !section.is_thread_local);
    for run in &resolution.runs {
        for &number in &run.sections {
            let (object, section) = resolution.section(number);
            let align = run.align.unwrap_or(section.align);
            let place = (run.protection, align);
            let id = add_section(layout, resolution, object, section, place)?;
            ids[number as usize] = Some(id);
        }
    }
    let mut zeros = Vec::new();
    for one @ (object, section, number) in live_sections {
        let id = &mut ids[number as usize];
        if id.is_some() {
            continue;
        }
        if matches!(section.content, Content::Zeros(_)) {
            zeros.push(one);
            continue;
        }
        let place = (section.protection, section.align);
        *id = Some(add_section(layout, resolution, object, section, place)?);
    }
    let values_end = layout.segment(Protection::ReadWrite).size;
    for (object, section, number) in zeros {
        let place = (section.protection, section.align);
        ids[number as usize] = Some(add_section(layout, resolution, object, section, place)?);
    }
    Ok((ids, values_end))
}

fn add_section(
    layout: &mut Layout,
    resolution: &Resolution<'_>,
    object: &Object<'_>,
    section: &GraphSection<'_>,
    (protection, align): (Protection, u64),
) -> Result<SectionId> {
    let before = layout.segment(protection).size;
    let size = section.content.size();
    let id = layout.add(protection, size, align)?;
    let padding = layout.section(id).offset - before;
    let bytes = written(&section.content, protection, size, padding);
    let name = object.graph.name();
    resolution.budget.spend(Resource::Bytes, bytes, name)?;
    Ok(id)
}

/// How many bytes are written for a section that so many bytes of padding come before. Code and constants have no holes; data is zero
/// where nothing is written, and costs memory by the page.
fn written(content: &Content<'_>, protection: Protection, size: u64, padding: u64) -> u64 {
    const PAGE: u64 = 1 << 12;
    match (protection, content) {
        (Protection::ReadWrite, Content::Zeros(_)) => 0,
        (Protection::ReadWrite, Content::Bytes(_)) => size + padding.min(PAGE),
        _ => size.saturating_add(padding),
    }
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

fn add_copies(
    layout: &mut Layout,
    copies: BTreeMap<u32, CopiedConstant>,
) -> Result<Vec<(CopiedConstant, SectionId)>> {
    let add = |copy: CopiedConstant| {
        let size = copy.bytes.len() as u64;
        let id = layout.add(Protection::ReadOnly, size, copy.align)?;
        Ok((copy, id))
    };
    copies.into_values().map(add).collect()
}

/// Detours are no power of two long.
fn add_detours(layout: &mut Layout, count: u32, size: u64) -> Result<Option<SectionId>> {
    const ALIGN: u64 = 16;
    if count == 0 {
        return Ok(None);
    }
    let size = u64::from(count) * size;
    Ok(Some(layout.add(Protection::ReadExecute, size, ALIGN)?))
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
