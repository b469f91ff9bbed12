//! Garbage: sections that nothing needs are left out, where the embedder asks for it.
//!
//! What is needed begins with the roots, or without any, with all that the inputs themselves define and others can see; and with what runs
//! by itself, such as constructors. It goes on with whatever relocations refer to, as in `ld --gc-sections`: groups count as one, and
//! `__start_X` needs all of X. A table of unwind information is kept, and needs what it says of a function only if the function is: its
//! personality and its language's table.
//!
//! Source: <https://sourceware.org/binutils/docs/ld/Options.html>, `--gc-sections`; Linux Standard Base, "Exception Frames".

use super::resolution::{Object, Resolution};
use super::target::{Place, TargetId};
use crate::error::{Resource, Result};
use crate::graph::{Content, GraphSection, Purpose, Relocation, Visibility};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Leaves out what nothing needs. `given` is how many objects come from the inputs rather than from libraries.
pub(super) fn collect(
    resolution: &mut Resolution<'_>,
    roots: &[String],
    given: usize,
) -> Result<()> {
    let count = resolution.is_live.len();
    let steps = (count + resolution.targets.len()) as u64;
    let budget = resolution.budget;
    budget.spend(Resource::Steps, steps, "sections to collect")?;
    let mut marker = Marker::new(resolution);
    marker.mark_roots(roots, given);
    while let Some(number) = marker.waiting.pop() {
        marker.follow(number);
    }
    let is_needed = marker.is_needed;
    resolution.keep(&is_needed);
    Ok(())
}

struct Marker<'r, 'a> {
    resolution: &'r Resolution<'a>,
    is_needed: Vec<bool>,
    /// Needed, and not followed yet.
    waiting: Vec<u32>,
    /// The sections of each group, by object.
    groups: HashMap<(u32, u32), Vec<u32>, RandomState>,
    /// The sections whose ends a target stands for.
    ends: HashMap<u32, Vec<u32>, RandomState>,
    /// What unwind information says of the functions in a section.
    unwind: HashMap<u32, Vec<TargetId>, RandomState>,
    /// The tables that say of a section's functions where they are.
    tables: HashMap<u32, Vec<u32>, RandomState>,
}

impl<'r, 'a> Marker<'r, 'a> {
    fn new(resolution: &'r Resolution<'a>) -> Self {
        Self {
            resolution,
            is_needed: vec![false; resolution.is_live.len()],
            waiting: Vec::new(),
            groups: groups(resolution),
            ends: ends(resolution),
            unwind: HashMap::default(),
            tables: HashMap::default(),
        }
    }

    fn mark_roots(&mut self, roots: &[String], given: usize) {
        let resolution = self.resolution;
        for (object, section, number) in resolution.live_sections() {
            match section.purpose {
                Purpose::UnwindTable => {
                    self.is_needed[number as usize] = true;
                    self.read_unwind_table(object, section);
                }
                Purpose::FunctionTable => {
                    // It is needed with the code that it is about.
                    for relocation in section.relocations() {
                        let id = resolution.target_of(object, relocation);
                        if let Some(code) = resolution.target(id).place.section() {
                            self.tables.entry(code).or_default().push(number);
                        }
                    }
                }
                Purpose::Plain if !section.is_retained && !object.is_made => {}
                _ => self.mark(number),
            }
        }
        if roots.is_empty() {
            for target in &resolution.targets {
                let is_seen = target.is_global() && target.visibility != Visibility::Hidden;
                if is_seen && target.is_defined() && (target.object as usize) < given {
                    self.mark_place(target.place);
                }
            }
        }
        let objects = resolution.objects.iter();
        let needed = objects.flat_map(|object| object.graph.needed());
        let needed = needed.filter_map(|name| resolution.global(name));
        let roots = roots.iter().filter_map(|root| resolution.global(root));
        for id in roots.chain(needed) {
            self.mark_target(id);
        }
    }

    fn mark(&mut self, number: u32) {
        let is_needed = &mut self.is_needed[number as usize];
        if !*is_needed && self.resolution.is_live[number as usize] {
            *is_needed = true;
            self.waiting.push(number);
        }
    }

    fn mark_place(&mut self, place: Place) {
        if let Some(section) = place.section() {
            self.mark(section);
        }
    }

    fn mark_target(&mut self, id: TargetId) {
        self.mark_place(self.resolution.target(id).place);
        for number in self.ends.remove(&id.0).unwrap_or_default() {
            self.mark(number);
        }
    }

    /// Marks all that a section needs.
    fn follow(&mut self, number: u32) {
        let resolution = self.resolution;
        let (object, section) = resolution.section(number);
        for relocation in section.relocations() {
            self.mark_target(resolution.target_of(object, relocation));
        }
        if let Some(group) = section.group {
            let key = (object.first_section, group);
            for sibling in self.groups.remove(&key).unwrap_or_default() {
                self.mark(sibling);
            }
        }
        for id in self.unwind.remove(&number).unwrap_or_default() {
            self.mark_target(id);
        }
        for table in self.tables.remove(&number).unwrap_or_default() {
            self.mark(table);
        }
    }

    /// Notes for each function what a table says of it. Everything is needed of a table that cannot be read.
    fn read_unwind_table(&mut self, object: &Object<'_>, section: &GraphSection<'_>) {
        let resolution = self.resolution;
        let target = |relocation: &Relocation| resolution.target_of(object, relocation);
        let Some(records) = Records::of(section) else {
            for relocation in section.relocations() {
                self.mark_target(target(relocation));
            }
            return;
        };
        for record in &records.all {
            let Some(common) = record.common else {
                continue;
            };
            let mut about = records.relocations[record.relocations.clone()].iter();
            let function = about.next().map(|one| target(one));
            let section = function.and_then(|id| resolution.target(id).place.section());
            let Some(section) = section else { continue };
            let common = records.all.get(common).map(|common| &common.relocations);
            let common = common.map_or(&[][..], |range| &records.relocations[range.clone()]);
            let told = self.unwind.entry(section).or_default();
            told.extend(about.chain(common).map(|one| target(one)));
        }
    }
}

fn groups(resolution: &Resolution<'_>) -> HashMap<(u32, u32), Vec<u32>, RandomState> {
    let mut groups: HashMap<_, Vec<u32>, RandomState> = HashMap::default();
    for (object, section, number) in resolution.live_sections() {
        if let Some(group) = section.group {
            let key = (object.first_section, group);
            groups.entry(key).or_default().push(number);
        }
    }
    groups
}

/// The sections that `__start_X` and `__stop_X` are about, by target.
fn ends(resolution: &Resolution<'_>) -> HashMap<u32, Vec<u32>, RandomState> {
    let asked = resolution.globals().filter_map(|(name, id)| {
        let section = name.strip_prefix("__start_");
        let section = section.or_else(|| name.strip_prefix("__stop_"))?;
        (!resolution.target(id).is_defined()).then_some((section, id))
    });
    let mut by_name: HashMap<&str, Vec<TargetId>, RandomState> = HashMap::default();
    for (section, id) in asked {
        by_name.entry(section).or_default().push(id);
    }
    let mut ends: HashMap<u32, Vec<u32>, RandomState> = HashMap::default();
    if by_name.is_empty() {
        return ends;
    }
    for (_, section, number) in resolution.live_sections() {
        for id in by_name.get(section.name()).into_iter().flatten() {
            ends.entry(id.0).or_default().push(number);
        }
    }
    ends
}

/// The records of a table of unwind information, with the relocations in each.
struct Records<'s> {
    /// In the order of their offsets.
    relocations: Vec<&'s Relocation>,
    all: Vec<Record>,
}

struct Record {
    /// For a function: the number of the record that says what many functions share.
    common: Option<usize>,
    /// Which of the relocations lie in it.
    relocations: std::ops::Range<usize>,
}

impl<'s> Records<'s> {
    /// Those of a section, unless it contradicts itself.
    fn of(section: &'s GraphSection<'_>) -> Option<Self> {
        let Content::Bytes(bytes) = &section.content else {
            return None;
        };
        let mut relocations: Vec<&Relocation> = section.relocations().iter().collect();
        relocations.sort_by_key(|relocation| relocation.offset);
        let mut all = Vec::new();
        let mut number_at: HashMap<usize, usize, RandomState> = HashMap::default();
        let (mut at, mut first) = (0, 0);
        while let Some(length) = word(bytes, at) {
            // A record of no length ends the table; a longer one than 4 GiB is not a compiler's.
            if length == 0 || length == u32::MAX {
                return (length == 0).then_some(Self { relocations, all });
            }
            let end = at + 4 + length as usize;
            let back = word(bytes, at + 4).filter(|_| end <= bytes.len())? as usize;
            let common = match back {
                0 => None,
                _ => Some(*number_at.get(&(at + 4).checked_sub(back)?)?),
            };
            let inside = relocations[first..].iter();
            let count = inside.take_while(|one| one.offset < end as u64).count();
            number_at.insert(at, all.len());
            all.push(Record {
                common,
                relocations: first..first + count,
            });
            first += count;
            at = end;
        }
        Some(Self { relocations, all })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    word.try_into().ok().map(u32::from_le_bytes)
}
