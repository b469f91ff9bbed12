//! Sections: which of an object's are loaded, with which protection, and what for.
//!
//! That follows from their flags and, for those that the compiler's run-time library knows, from their names: `.CRT$XC…` are constructors
//! on one system, `.ctors` on the other. Debug information, what linkers and loaders read (`.drectve`, `.idata$…`, `.rsrc$…`) and lists of
//! functions for guards are not loaded. What comes behind `$` in a name orders sections; `resolve` sees to that.
//!
//! Source: Microsoft, "PE Format", "Section Flags"; "CRT initialization"
//! (<https://learn.microsoft.com/en-us/cpp/c-runtime-library/crt-initialization>).

use super::file::{CoffObject, Loaded, flags};
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::graph::{Content, Graph, GraphSection, Moment, Priority, Purpose, SectionIndex};
use codeslab::Protection;
use object::LittleEndian as LE;
use object::pe::{self, ImageSectionHeader, SectionFlags};
use object::read::coff::CoffHeader;

/// Sections that tell linkers and loaders of files something.
const NOT_LOADED: [&str; 13] = [
    ".drectve", ".idata", ".edata", ".rsrc", ".debug", ".gfids", ".giats", ".gljmp", ".gehcont",
    ".sxdata", ".voltbl", ".chks64", ".reloc",
];

enum Fate {
    Load(Protection, Purpose),
    Drop,
    Obstruct(Feature),
    ObstructWritableCode,
}

/// The names of all sections.
pub(super) fn names<'a, C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'a, '_, C>,
) -> Result<Vec<&'a str>> {
    let headers = object.sections.iter();
    headers
        .map(|header| object.section_name(graph, header))
        .collect()
}

/// Adds the sections that are loaded.
pub(super) fn add<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    names: &[&'a str],
) -> Result<Loaded> {
    let mut loaded = Vec::with_capacity(names.len());
    for (header, name) in object.sections.iter().zip(names) {
        let index = match fate(name, header) {
            Fate::Load(protection, purpose) => {
                Some(load(graph, object, (name, header), protection, purpose)?)
            }
            Fate::Drop => None,
            Fate::Obstruct(feature) => {
                let reference = Reference {
                    object: graph.name().to_owned(),
                    section: (*name).to_owned(),
                    ..Reference::default()
                };
                obstruct(graph, feature, reference);
                None
            }
            Fate::ObstructWritableCode => {
                if !graph.is_obstructed() {
                    graph.obstruct(Error::WritableCode {
                        object: graph.name().to_owned(),
                        section: (*name).to_owned(),
                    });
                }
                None
            }
        };
        loaded.push(index);
    }
    Ok(loaded)
}

/// Notes that something is not supported. The first reason is enough.
pub(super) fn obstruct(graph: &mut Graph<'_>, feature: Feature, reference: Reference) {
    if !graph.is_obstructed() {
        graph.obstruct(Error::Unsupported {
            feature,
            reference: Box::new(reference),
        });
    }
}

/// The name without what orders sections, and that.
fn split(name: &str) -> (&str, &str) {
    name.split_once('$').unwrap_or((name, ""))
}

fn fate(name: &str, header: &ImageSectionHeader) -> Fate {
    let flags = flags(header);
    let (base, order) = split(name);
    let is_for_linkers = flags.intersects(pe::IMAGE_SCN_LNK_REMOVE | pe::IMAGE_SCN_LNK_INFO);
    if is_for_linkers || NOT_LOADED.contains(&base) || name.starts_with(".debug_") {
        return Fate::Drop;
    }
    if base == ".tls" {
        return Fate::Obstruct(Feature::ThreadLocal);
    }
    if name.starts_with(".gnu.lto_") {
        return Fate::Obstruct(Feature::IntermediateCode);
    }
    if let Some(fate) = functions(base, order, header) {
        return fate;
    }
    let is_code = flags.intersects(pe::IMAGE_SCN_MEM_EXECUTE);
    let is_written = flags.contains(pe::IMAGE_SCN_MEM_WRITE);
    match (is_code, is_written) {
        (true, true) => Fate::ObstructWritableCode,
        (true, false) => Fate::Load(Protection::ReadExecute, Purpose::Plain),
        // Such as what tools add for each other.
        (false, false) if flags.contains(pe::IMAGE_SCN_MEM_DISCARDABLE) => Fate::Drop,
        (false, false) if !is_zeros(flags) => Fate::Load(Protection::ReadOnly, purpose(base)),
        // Zeros that may be written cost nothing until then; constant ones would have to be filled in.
        (false, _) => Fate::Load(Protection::ReadWrite, purpose(base)),
    }
}

fn purpose(base: &str) -> Purpose {
    if kind(base) == ".pdata" {
        return Purpose::FunctionTable;
    }
    Purpose::Plain
}

/// The name without what GCC puts behind it where the code has such a name, as `.pdata.unlikely` is for `.text.unlikely`.
fn kind(base: &str) -> &str {
    let end = base.get(1..).and_then(|rest| rest.find('.'));
    end.map_or(base, |end| &base[..=end])
}

fn is_zeros(flags: SectionFlags) -> bool {
    flags.contains(pe::IMAGE_SCN_CNT_UNINITIALIZED_DATA)
}

/// Sections of pointers to functions: those of Microsoft's run-time library, and those of GCC's.
fn functions(base: &str, order: &str, header: &ImageSectionHeader) -> Option<Fate> {
    /// `ld` counts the numbers of .ctors down from this.
    const LAST: u32 = 65535;
    let (moment, priority, is_reversed) = if base == ".CRT" {
        let (class, rest) = order.split_at_checked(2).unwrap_or(("", ""));
        match class {
            // Those of C, and then those of C++.
            "XI" => (Moment::Start, Priority(place(0, rest)), false),
            "XC" => (Moment::Start, Priority(place(1, rest)), false),
            // At the end everything is gone through backwards, and these forwards: before destructors, and after.
            "XP" => (Moment::End, Priority(place(3, "") - place(0, rest)), true),
            "XT" => (Moment::End, Priority(place(3, "") - place(1, rest)), true),
            // What has to be called when threads begin and end.
            "XL" | "XD" => return Some(Fate::Obstruct(Feature::ThreadLocal)),
            _ => return None,
        }
    } else {
        let (stem, number) = match base.strip_prefix('.')?.split_once('.') {
            Some((stem, number)) => (stem, number.parse::<u32>().ok()),
            None => (base.strip_prefix('.')?, None),
        };
        let moment = match stem {
            "ctors" => Moment::Start,
            "dtors" => Moment::End,
            _ => return None,
        };
        let number = number.map(|number| Priority(LAST.saturating_sub(number)));
        (moment, number.unwrap_or(Priority::NONE), true)
    };
    if header.size_of_raw_data.get(LE) == 0 {
        return Some(Fate::Drop);
    }
    let purpose = Purpose::Functions {
        moment,
        priority,
        is_reversed,
    };
    // Constant once they are relocated.
    Some(Fate::Load(Protection::ReadOnly, purpose))
}

/// The order of a section among those of the run-time library: first by class, then by name, of which four letters count.
fn place(class: u32, rest: &str) -> u32 {
    let letters = rest.bytes().chain([0; 4]).take(4);
    letters.fold(class, |place, letter| place << 7 | u32::from(letter & 0x7f))
}

fn load<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    (name, header): (&'a str, &'a ImageSectionHeader),
    protection: Protection,
    purpose: Purpose,
) -> Result<SectionIndex> {
    let content = if is_zeros(flags(header)) {
        let size = header.size_of_raw_data.get(LE).into();
        if protection == Protection::ReadExecute && size > 0 {
            return Err(graph.malformed(format!("section {name} is code without bytes")));
        }
        Content::Zeros(size)
    } else {
        Content::Bytes(object.section_data(graph, name, header)?.into())
    };
    let is_packed = flags(header).contains(pe::IMAGE_SCN_TYPE_NO_PAD);
    let align = if is_packed {
        1
    } else {
        header.coff_alignment()
    };
    let section = GraphSection::new(name, protection, align, content);
    let mut section = section.with_purpose(purpose);
    // What they say of code that is left out is never looked up.
    section.may_lose = matches!(kind(split(name).0), ".pdata" | ".xdata");
    object.budget.spend(Resource::Steps, 1, graph.name())?;
    graph.add_section(section)
}
