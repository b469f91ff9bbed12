//! Symbols that linkers define where an object refers to them: the ends of sections and segments, the table of addresses.
//!
//! `__start_X` and `__stop_X` are the ends of all sections called X, whatever their protection: the sections lie in a row then, with the
//! one protection that serves all of them. `_end`, `_edata`, `__bss_start`, `_etext` and `__executable_start` are ends of the image's own
//! memory, as they are a shared library's own in the system's linker. An image has no file header, so what would describe one is not
//! there. `externals` asks here for what neither an object nor the embedder defines.
//!
//! Source: the linker script that `ld --verbose` prints; <https://sourceware.org/binutils/docs/ld/Input-Section-Example.html>.

use super::resolution::{Resolution, Run};
use super::target::{Edge, Place};
use crate::error::{Error, Result};
use crate::graph::GraphSection;
use codeslab::Protection;
use foldhash::fast::RandomState;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

/// The numbers of the sections of each name.
type SectionsByName<'r> = HashMap<&'r str, Vec<u32>, RandomState>;

/// The symbols of one link that the linker itself defines.
#[derive(Default)]
pub(super) struct Provided<'r> {
    sections: OnceCell<SectionsByName<'r>>,
    /// The names of the sections whose ends some object refers to.
    asked: BTreeSet<&'r str>,
}

/// What the linker says of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It is there.
    At(Place),
    /// It is the linker's own and is not there; nothing else defines it.
    Nowhere,
    /// It is none of the linker's.
    Unknown,
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning<'n> {
    Start(&'n str),
    Stop(&'n str),
    At(Place),
    /// Something that only a file has.
    OfFile,
}

/// Whether a name is one of those that describe the file that an image would be.
pub(super) fn is_of_file(name: &str) -> bool {
    meaning(name) == Some(Meaning::OfFile)
}

fn meaning(name: &str) -> Option<Meaning<'_>> {
    if let Some(section) = name.strip_prefix("__start_") {
        return Some(Meaning::Start(section));
    }
    if let Some(section) = name.strip_prefix("__stop_") {
        return Some(Meaning::Stop(section));
    }
    let edge = match name {
        // `__dso_handle` only has to differ between images, and each has a table.
        "_GLOBAL_OFFSET_TABLE_" | "__dso_handle" => return Some(Meaning::At(Place::Got)),
        "__ImageBase" => return Some(Meaning::At(Place::Image)),
        // Local dynamic code with descriptors asks for the start of the image's thread-local variables by this name.
        "_TLS_MODULE_BASE_" => return Some(Meaning::At(Place::ThreadLocalStart)),
        "__ehdr_start" | "_DYNAMIC" | "__GNU_EH_FRAME_HDR" => return Some(Meaning::OfFile),
        "__executable_start" => Edge::CodeStart,
        "etext" | "_etext" | "__etext" => Edge::CodeEnd,
        "edata" | "_edata" | "__bss_start" => Edge::ValuesEnd,
        "end" | "_end" => Edge::DataEnd,
        _ => return None,
    };
    Some(Meaning::At(Place::Edge(edge)))
}

impl<'r> Provided<'r> {
    /// What the linker says of `name`.
    pub(super) fn answer(&mut self, resolution: &'r Resolution<'_>, name: &'r str) -> Answer {
        let place = match meaning(name) {
            None => return Answer::Unknown,
            Some(Meaning::OfFile) => None,
            Some(Meaning::At(place)) => Some(place),
            Some(Meaning::Start(section)) => self.end_of(resolution, section, End::First),
            Some(Meaning::Stop(section)) => self.end_of(resolution, section, End::Last),
        };
        place.map_or(Answer::Nowhere, Answer::At)
    }

    fn end_of(&mut self, resolution: &'r Resolution<'_>, name: &'r str, end: End) -> Option<Place> {
        let sections = self.sections.get_or_init(|| by_name(resolution));
        let run = sections.get(name)?;
        self.asked.insert(name);
        let number = *match end {
            End::First => run.first()?,
            End::Last => run.last()?,
        };
        let size = resolution.section(number).1.content.size();
        Some(Place::Section {
            section: number,
            offset: if end == End::First { 0 } else { size },
        })
    }

    /// The sections whose ends were asked for: each name's lie in a row.
    ///
    /// # Errors
    /// [`Error::WritableCode`] if sections of one name are code and writable data.
    pub(super) fn runs(self, resolution: &Resolution<'_>) -> Result<Vec<Run>> {
        let Some(mut sections) = self.sections.into_inner() else {
            return Ok(Vec::new());
        };
        let runs = self.asked.into_iter().filter_map(|name| {
            let sections = sections.remove(name)?;
            Some(protection_of(resolution, &sections).map(|protection| Run {
                sections,
                protection,
                align: None,
            }))
        });
        runs.collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    First,
    Last,
}

fn by_name<'r>(resolution: &'r Resolution<'_>) -> SectionsByName<'r> {
    let mut sections = SectionsByName::default();
    let shared = |section: &GraphSection<'_>| !section.is_thread_local;
    for (_, section, number) in resolution
        .live_sections()
        .filter(|(_, section, _)| shared(section))
    {
        sections.entry(section.name()).or_default().push(number);
    }
    sections
}

/// The protection that serves all of `sections`: constants may lie in writable memory, and beside code.
fn protection_of(resolution: &Resolution<'_>, sections: &[u32]) -> Result<Protection> {
    let mut all = Protection::ReadOnly;
    for &number in sections {
        let (object, section) = resolution.section(number);
        all = match (all, section.protection) {
            (Protection::ReadOnly, one) | (one, Protection::ReadOnly) => one,
            (one, other) if one == other => one,
            _ => {
                return Err(Error::WritableCode {
                    object: object.graph.name().to_owned(),
                    section: section.name().to_owned(),
                });
            }
        };
    }
    Ok(all)
}
