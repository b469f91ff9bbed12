//! Objects that the linker makes, as a compiler's start files and the C library's static part would be linked in.
//!
//! Two kinds. Functions that no shared library exports, because each caller has to have its own (`atexit` registers by the handle of the
//! image that calls it): `codeslab-runtime` has the table of them. And what makes one function of the fragments in `.init` and `.fini`,
//! which begin and end nowhere by themselves. `resolve` adds them when all other objects are known.

use super::globals;
use super::resolution::{Resolution, Run};
use super::target::{Place, Rank};
use crate::arch::machine::{Binder, BinderCode, Field};
use crate::error::{Error, Feature, Reference, Result};
use crate::graph::{
    Content, Definition, Graph, GraphSection, Moment, Purpose, Relocation, RelocationKind, Symbol,
    SymbolIndex,
};
use crate::input::LinkOptions;
use crate::unwind::{self, Shape};
use codeslab::{Architecture, Protection};
use codeslab_runtime::{PROVIDED, Stand};
use std::borrow::Cow;
use std::sync::OnceLock;

/// What errors call the objects that the linker makes.
const NAME: &str = "made by codeslab";

/// The symbol that is different in every image.
const HANDLE: &str = "__dso_handle";

/// The bits of the names of such functions.
const BOUND: u64 = {
    let (mut all, mut index) = (0, 0);
    while index < PROVIDED.len() {
        if let Stand::Binder { .. } = PROVIDED[index].stand {
            all |= globals::bit(PROVIDED[index].name);
        }
        index += 1;
    }
    all
};

/// Makes the functions that some object refers to, none defines, and only the linker can provide.
pub(super) fn add_functions(
    resolution: &mut Resolution<'_>,
    options: &LinkOptions<'_>,
) -> Result<()> {
    let is_needed = options.process_symbols && resolution.globals.may_have(BOUND);
    if !is_needed || resolution.is_foreign() {
        return Ok(());
    }
    for provided in PROVIDED {
        let Stand::Binder {
            function,
            null,
            handle,
        } = provided.stand
        else {
            continue;
        };
        let is_wanted = resolution
            .global(provided.name)
            .is_some_and(|id| resolution.target(id).rank < Rank::WeakDefinition)
            && !options.externals.contains_key(provided.name)
            && is_there(function);
        if !is_wanted {
            continue;
        }
        let convention = resolution.convention;
        let code = resolution.machine.binder(Binder {
            convention: convention.unwrap_or(codeslab_runtime::CONVENTION),
            null,
            address: handle,
        });
        if let Some(code) = code {
            let graph = function_graph(resolution, provided.name, function, &code)?;
            resolution.add_made(Cow::Owned(graph))?;
        }
    }
    Ok(())
}

/// Whether this system has the function that one goes on to, as far as it is of `codeslab-runtime`.
fn is_there(function: &str) -> bool {
    !function.starts_with("codeslab_") || codeslab_runtime::provided(function).is_some()
}

fn function_graph<'a>(
    resolution: &Resolution<'_>,
    name: &'static str,
    function: &'static str,
    code: &BinderCode,
) -> Result<Graph<'a>> {
    let mut graph = Graph::new(NAME, resolution.machine.architecture());
    let content = Content::Bytes(code.bytes.clone().into());
    let align = resolution.machine.code_align();
    let section = GraphSection::new(".text", Protection::ReadExecute, align, content);
    let section = graph.add_section(section)?;
    graph.add_symbol(Symbol::new(
        name,
        Definition::Section { section, offset: 0 },
    ))?;
    let refer = |graph: &mut Graph<'a>, field: Field, symbol: &'static str| {
        let symbol: SymbolIndex = graph.add_symbol(Symbol::undefined(symbol))?;
        let kind =
            RelocationKind::from_name(field.kind).ok_or_else(|| graph.malformed("a type"))?;
        graph.add_relocation(
            section,
            Relocation {
                offset: field.offset,
                kind,
                symbol,
                addend: field.addend,
            },
        )
    };
    if let Some(field) = code.address {
        refer(&mut graph, field, HANDLE)?;
    }
    refer(&mut graph, code.function, function)?;
    Ok(graph)
}

/// Makes a function of the fragments of each moment, unless an object among them has brought its beginning and its end (`_init`).
pub(super) fn add_frames(resolution: &mut Resolution<'_>) -> Result<()> {
    for (moment, name) in [(Moment::Start, "_init"), (Moment::End, "_fini")] {
        let fragments = fragments(resolution, moment);
        let Some(&first) = fragments.first() else {
            continue;
        };
        let mut sections = fragments;
        let own = resolution.global(name).map(|id| *resolution.target(id));
        let is_own = |place: Place| matches!(place, Place::Section { section, .. } if sections.contains(&section));
        let begin = match own {
            Some(target) if is_own(target.place) => target.place,
            _ => {
                let [before, after] = add_frame(resolution, first, moment)?;
                sections.insert(0, before);
                sections.push(after);
                Place::Section {
                    section: before,
                    offset: 0,
                }
            }
        };
        resolution.fragments.push((moment, begin));
        resolution.runs.push(Run {
            sections,
            protection: Protection::ReadExecute,
            align: Some(resolution.machine.code_align()),
        });
    }
    Ok(())
}

fn fragments(resolution: &Resolution<'_>, moment: Moment) -> Vec<u32> {
    resolution
        .special_sections()
        .filter(|(_, section, _)| {
            section.purpose == Purpose::Fragment(moment) && section.content.size() > 0
        })
        .map(|(_, _, number)| number)
        .collect()
}

/// Adds the beginning and the end of a function. Their numbers among all sections.
fn add_frame(resolution: &mut Resolution<'_>, first: u32, moment: Moment) -> Result<[u32; 2]> {
    let Some(frame) = resolution.machine.function_frame() else {
        let (object, section) = resolution.section(first);
        let reference = Box::new(Reference {
            object: object.graph.name().to_owned(),
            section: section.name().to_owned(),
            ..Reference::default()
        });
        let feature = Feature::Constructor;
        return Err(Error::Unsupported { feature, reference });
    };
    let mut graph = Graph::new(NAME, resolution.machine.architecture());
    for bytes in frame {
        let content = Content::Bytes(bytes.into());
        let align = resolution.machine.code_align();
        let section = GraphSection::new(".init", Protection::ReadExecute, align, content);
        graph.add_section(section.with_purpose(Purpose::Fragment(moment)))?;
    }
    let number = resolution.is_live.len() as u32;
    resolution.add_made(Cow::Owned(graph))?;
    Ok([number, number + 1])
}

/// Has unwind tables lie in a row with an end behind them; those that have an end of their own, each for itself. Notes where tables begin.
pub(super) fn add_unwind_tables(resolution: &mut Resolution<'_>) -> Result<()> {
    // As many as describe code, and an end.
    let mut open = Vec::with_capacity(resolution.describing.len() + 1);
    let mut ended = Vec::new();
    for (_, section, number) in resolution.describing_sections() {
        let shape = match &section.content {
            Content::Bytes(bytes) => unwind::shape(bytes),
            Content::Zeros(_) => None,
        };
        match shape {
            Some(Shape::Open) => open.push(number),
            Some(Shape::Ended) => ended.push(number),
            Some(Shape::Empty) | None => {}
        }
    }
    resolution.ended_tables = ended;
    if open.is_empty() {
        return Ok(());
    }
    open.push(resolution.is_live.len() as u32);
    resolution.add_made(end_of_tables(resolution.machine.architecture())?)?;
    resolution.open_table = Some(resolution.runs.len());
    resolution.runs.push(Run {
        sections: open,
        protection: Protection::ReadOnly,
        align: Some(unwind::ALIGN),
    });
    Ok(())
}

/// What ends an unwind table. Nearly every link has it, and for one machine, so it is made once.
fn end_of_tables<'a>(architecture: Architecture) -> Result<Cow<'a, Graph<'a>>> {
    static END: OnceLock<Graph<'static>> = OnceLock::new();
    let made = || {
        let mut graph = Graph::new(NAME, architecture);
        let end = Content::Bytes(unwind::END.as_slice().into());
        let section = GraphSection::new(".eh_frame", Protection::ReadOnly, unwind::ALIGN, end);
        graph.add_section(section).map(|_| graph)
    };
    let known: &'a Graph<'a> = if let Some(end) = END.get() {
        end
    } else {
        let end = made()?;
        END.get_or_init(|| end)
    };
    if known.architecture() == architecture {
        return Ok(Cow::Borrowed(known));
    }
    made().map(Cow::Owned)
}
