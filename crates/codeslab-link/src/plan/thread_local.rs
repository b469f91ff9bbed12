//! Thread-local storage of an image: the template that every thread gets a copy of, and what has to be asked of the dynamic linker.
//!
//! Sections of thread-local variables are no part of the image's memory. They make one template: first the bytes, then the zeros, as
//! every linker lays them out. Where a thread has its copy only the dynamic linker knows, so code goes through entries that it fills in,
//! two words each, beside the GOT. `needs` counts them; `apply` writes the template, and the entries with the answers.
//!
//! Source: Drepper, "ELF Handling For Thread-Local Storage" (<https://www.akkadia.org/drepper/tls.pdf>).

use crate::arch::formula::{Term, ThreadEntry};
use crate::arch::row::Row;
use crate::error::{Error, Resource, Result};
use crate::graph::{Content, GraphSection, Relocation};
use crate::resolve::{Object, Place, Resolution, TargetId};
use codeslab::{Layout, Protection};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Bytes of an entry, whatever it says.
pub(crate) const ENTRY_SIZE: u64 = 16;

/// The sections of all objects that every thread has copies of, laid out together.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// The number of each section, counted over all objects, and its offset in bytes.
    pub(crate) sections: Vec<(u32, u64)>,
    /// The same for common symbols.
    pub(crate) commons: Vec<(TargetId, u64)>,
    /// Bytes that are not zero, or lie before such.
    pub(crate) initialized_size: u64,
    /// Bytes of a copy.
    pub(crate) size: u64,
    /// What the address of a copy is a multiple of, in bytes.
    pub(crate) align: u64,
}

impl Template {
    /// That of everything that takes part.
    ///
    /// # Errors
    /// `TooLarge` of the memory manager, and `WorkBudget`.
    pub(super) fn of(resolution: &Resolution<'_>) -> Result<Self> {
        let mut layout = Layout::new();
        let mut template = Self::default();
        for zeros in [false, true] {
            for (object, section, number) in resolution.special_sections() {
                let is_zeros = matches!(section.content, Content::Zeros(_));
                if section.is_thread_local && is_zeros == zeros {
                    let offset = add(&mut layout, section.content.size(), section.align)?;
                    template.sections.push((number, offset));
                    let name = object.graph.name();
                    template.spend(&layout, zeros, resolution, name)?;
                }
            }
        }
        for (target, id) in resolution.targets.iter().zip(0..) {
            if let Place::ThreadLocalCommon { size, align } = target.place {
                let offset = add(&mut layout, size, align)?;
                template.commons.push((TargetId(id), offset));
            }
        }
        let segment = layout.segment(Protection::ReadWrite);
        (template.size, template.align) = (segment.size, segment.align);
        Ok(template)
    }

    /// Bytes are written once, and what lies between them as well. Zeros cost nothing before a thread uses them.
    fn spend(
        &mut self,
        layout: &Layout,
        is_zeros: bool,
        resolution: &Resolution<'_>,
        object: &str,
    ) -> Result<()> {
        if is_zeros {
            return Ok(());
        }
        let size = layout.segment(Protection::ReadWrite).size;
        let more = size - self.initialized_size;
        self.initialized_size = size;
        resolution.budget.spend(Resource::Bytes, more, object)
    }
}

fn add(layout: &mut Layout, size: u64, align: u64) -> Result<u64> {
    let id = layout.add(Protection::ReadWrite, size, align)?;
    Ok(layout.section(id).offset)
}

/// The entries that relocations ask for.
#[derive(Debug, Default)]
pub(crate) struct ThreadEntries {
    /// By number.
    entries: Vec<(TargetId, ThreadEntry)>,
    numbers: HashMap<(TargetId, ThreadEntry), u32, RandomState>,
}

impl ThreadEntries {
    /// What each says, and of which variable.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (TargetId, ThreadEntry)> {
        self.entries.iter().copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The number of the entry behind a term, or behind the value that stands in code where an entry would say it.
    pub(crate) fn number(&self, term: Term, id: TargetId) -> Option<usize> {
        let number = self.numbers.get(&(id, entry_of(term)?))?;
        Some(*number as usize)
    }

    /// Takes one relocation into account of which the row or the symbol is thread-local.
    #[cold]
    pub(super) fn note(
        &mut self,
        object: &Object<'_>,
        section: &GraphSection<'_>,
        relocation: &Relocation,
        id: TargetId,
        place: Place,
    ) -> Result<()> {
        if let Some(problem) = problem(relocation.kind.row(), section, place) {
            return Err(Error::ThreadLocalAccess {
                reference: Box::new(object.graph.reference(section, relocation)),
                problem,
            });
        }
        if let Some(entry) = entry_of(relocation.kind.row().formula.term) {
            let count = self.count();
            let number = *self.numbers.entry((id, entry)).or_insert(count);
            if number == count {
                self.entries.push((id, entry));
            }
        }
        Ok(())
    }
}

/// Which entry a term needs. Code that has a distance from the thread pointer in itself needs what the entry would say.
const fn entry_of(term: Term) -> Option<ThreadEntry> {
    match term {
        Term::Tls(entry) => Some(entry),
        Term::TpOff => Some(ThreadEntry::Offset),
        _ => None,
    }
}

/// What is wrong with a reference, if anything is.
fn problem(row: &Row, section: &GraphSection<'_>, place: Place) -> Option<&'static str> {
    let formula = row.formula;
    let is_elsewhere = matches!(place, Place::ProcessThreadLocal | Place::NoThreadLocal);
    match formula.term {
        _ if formula.is_indifferent() => None,
        _ if !formula.is_thread_local() => {
            Some("a thread-local variable is used like any other; declare it `__thread` there, too")
        }
        _ if !place.is_thread_local() => {
            Some("the symbol is not a thread-local variable, but is used as one")
        }
        Term::DtpOff | Term::Tls(ThreadEntry::Module) if is_elsewhere => Some(
            "the code takes a thread-local variable of the process for one of its own; compile it with -ftls-model=global-dynamic",
        ),
        Term::TpOff | Term::Tls(_) if section.is_thread_local => {
            Some("the initial value of a thread-local variable is the place of one")
        }
        _ => None,
    }
}
