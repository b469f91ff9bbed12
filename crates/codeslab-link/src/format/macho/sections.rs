//! Sections: which of an object's are loaded, with which protection, and what for.
//!
//! Types and attributes say most of it, segments the rest: `__TEXT` is constant, `__DATA` is not, but for `__DATA,__const`, which is
//! constant once it is relocated. What is for debuggers (`__DWARF`) and for linkers (`__LD`, `__LLVM`) is not loaded.
//!
//! Initial values of thread-local variables are a template, of which every thread has a copy; their descriptors are data. What the dynamic
//! linker sets up for files that it loads itself is refused by name: what Objective-C's and Swift's run-time libraries would have to be told
//! of, and thread-local variables that functions initialise.

use super::file::{ENDIAN, Loaded, MachObject, Section, flags};
use crate::error::{Error, Feature, Reference, Resource, Result};
use crate::graph::{Content, Graph, GraphSection, Moment, Priority, Purpose, SectionIndex};
use codeslab::Protection;
use object::macho;
use object::read::macho::{Nlist as _, Section as _};

/// Segments that tell linkers and debuggers something.
const NOT_LOADED: [&[u8]; 3] = [b"__DWARF", b"__LD", b"__LLVM"];

/// What the unwinder of other systems reads, too.
pub(super) const UNWIND_TABLE: (&[u8], &[u8]) = (b"__TEXT", b"__eh_frame");

enum Fate {
    Load(Protection, Purpose),
    Drop,
    Obstruct(Feature),
    ObstructWritableCode,
}

/// Adds the sections that are loaded.
pub(super) fn add<'a>(graph: &mut Graph<'a>, object: &MachObject<'a, '_>) -> Result<Loaded> {
    let is_retained = retained(object);
    let mut loaded = Vec::with_capacity(object.sections.len());
    for (section, is_retained) in object.sections.iter().zip(is_retained) {
        let index = match fate(section) {
            Fate::Load(protection, purpose) => Some(load(
                graph,
                object,
                section,
                (protection, purpose),
                is_retained,
            )?),
            Fate::Drop => None,
            Fate::Obstruct(feature) => {
                let reference = Reference {
                    object: graph.name().to_owned(),
                    section: object.section_name(graph, section)?,
                    ..Reference::default()
                };
                obstruct(graph, feature, reference);
                None
            }
            Fate::ObstructWritableCode => {
                let section = object.section_name(graph, section)?;
                graph.obstruct(Error::WritableCode {
                    object: graph.name().to_owned(),
                    section,
                });
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

/// Which sections stay though nothing refers to them: those that say so, and those in which a symbol says so.
fn retained(object: &MachObject<'_, '_>) -> Vec<bool> {
    let sections = object.sections.iter();
    let says_so = |section: &&Section| flags(section).contains(macho::S_ATTR_NO_DEAD_STRIP);
    let mut retained: Vec<bool> = sections.map(says_so).collect();
    for symbol in object.symbols.iter() {
        let kind = symbol.n_type();
        if !kind.is_stab()
            && kind.typ() == macho::N_SECT
            && symbol.n_desc(ENDIAN).contains(macho::N_NO_DEAD_STRIP)
            && let Some(retained) = retained.get_mut(usize::from(symbol.n_sect()).wrapping_sub(1))
        {
            *retained = true;
        }
    }
    retained
}

fn fate(section: &Section) -> Fate {
    let (segment, name) = (section.segment_name(), section.name());
    let flags = flags(section);
    if NOT_LOADED.contains(&segment) || flags.contains(macho::S_ATTR_DEBUG) {
        return Fate::Drop;
    }
    match flags.typ() {
        macho::S_THREAD_LOCAL_REGULAR
        | macho::S_THREAD_LOCAL_ZEROFILL
        | macho::S_THREAD_LOCAL_VARIABLES => {
            return Fate::Load(Protection::ReadWrite, Purpose::Plain);
        }
        macho::S_THREAD_LOCAL_VARIABLE_POINTERS | macho::S_THREAD_LOCAL_INIT_FUNCTION_POINTERS => {
            return Fate::Obstruct(Feature::ThreadLocal);
        }
        macho::S_NON_LAZY_SYMBOL_POINTERS
        | macho::S_LAZY_SYMBOL_POINTERS
        | macho::S_LAZY_DYLIB_SYMBOL_POINTERS
        | macho::S_SYMBOL_STUBS => return Fate::Obstruct(Feature::IndirectSymbols),
        macho::S_INTERPOSING => return Fate::Obstruct(Feature::Interposing),
        macho::S_INIT_FUNC_OFFSETS => return Fate::Obstruct(Feature::Constructor),
        macho::S_DTRACE_DOF => return Fate::Drop,
        macho::S_MOD_INIT_FUNC_POINTERS | macho::S_MOD_TERM_FUNC_POINTERS
            if section.size(ENDIAN) == 0 =>
        {
            return Fate::Drop;
        }
        macho::S_MOD_INIT_FUNC_POINTERS => return functions(Moment::Start),
        macho::S_MOD_TERM_FUNC_POINTERS => return functions(Moment::End),
        _ => {}
    }
    if name.starts_with(b"__objc_") || name.starts_with(b"__swift5_") {
        return Fate::Obstruct(Feature::ObjectiveC);
    }
    let is_code =
        flags.intersects(macho::S_ATTR_PURE_INSTRUCTIONS | macho::S_ATTR_SOME_INSTRUCTIONS);
    let is_constant = matches!(segment, b"__TEXT" | b"__DATA_CONST")
        || (segment, name) == (b"__DATA", b"__const");
    match (is_code, is_constant) {
        (true, _) if segment == b"__TEXT" => Fate::Load(Protection::ReadExecute, Purpose::Plain),
        (true, _) => Fate::ObstructWritableCode,
        (false, true) if section.file_size(ENDIAN).is_some() => {
            let purpose = if (segment, name) == UNWIND_TABLE {
                Purpose::UnwindTable
            } else {
                Purpose::Plain
            };
            Fate::Load(Protection::ReadOnly, purpose)
        }
        // Zeros that may be written cost nothing until then; constant ones would have to be filled in.
        (false, _) => Fate::Load(Protection::ReadWrite, Purpose::Plain),
    }
}

/// Pointers to functions, which are constant once they are relocated.
const fn functions(moment: Moment) -> Fate {
    let purpose = Purpose::Functions {
        moment,
        priority: Priority::NONE,
        is_reversed: false,
    };
    Fate::Load(Protection::ReadOnly, purpose)
}

fn load<'a>(
    graph: &mut Graph<'a>,
    object: &MachObject<'a, '_>,
    section: &Section,
    (protection, purpose): (Protection, Purpose),
    is_retained: bool,
) -> Result<SectionIndex> {
    let name = object.section_name(graph, section)?;
    let content = if section.file_size(ENDIAN).is_some() {
        Content::Bytes(object.section_data(graph, section)?.into())
    } else if protection == Protection::ReadExecute {
        return Err(graph.malformed(format!("section {name} is code without bytes")));
    } else {
        Content::Zeros(section.size(ENDIAN))
    };
    // What is too great for a number of bits is too great for an alignment as well.
    let align = 1_u64.checked_shl(section.align(ENDIAN)).unwrap_or(1 << 63);
    let made = GraphSection::new(name, protection, align, content).with_purpose(purpose);
    let has_copies = matches!(
        flags(section).typ(),
        macho::S_THREAD_LOCAL_REGULAR | macho::S_THREAD_LOCAL_ZEROFILL
    );
    let made = if has_copies {
        made.thread_local()
    } else {
        made
    };
    object.budget.spend(Resource::Steps, 1, graph.name())?;
    graph.add_section(if is_retained { made.retained() } else { made })
}
