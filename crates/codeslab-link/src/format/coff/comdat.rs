//! COMDAT sections: those of which a link takes one of a name.
//!
//! The symbol of such a section has a record with the kind of selection, and the symbol behind it is the name. Sections may be associated
//! with another one, and are taken or left out with it: its unwind information, say. So a group is a section and those that are associated
//! with it, directly or through others; the section may be one of which all are taken.
//!
//! Source: Microsoft, "PE Format", "COMDAT Sections (Object Only)".

use super::file::{CoffObject, Loaded, flags};
use crate::error::{Resource, Result};
use crate::graph::{Graph, SectionIndex, Selection};
use foldhash::fast::RandomState;
use object::pe;
use object::read::coff::{CoffHeader, Symbol as _};
use std::collections::HashMap;

/// What is said of a section, by number less 1.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    /// The kind of selection, and the section that this one is associated with, by number.
    selection: Option<(pe::ComdatSelection, u32)>,
    name: Name<'a>,
}

/// What a section is called among those of which one is taken.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Name<'a> {
    /// No symbol says it.
    #[default]
    Missing,
    /// Its object alone sees the symbol, so it is taken.
    Local,
    Global(&'a str),
}

/// Adds the groups.
pub(super) fn add<'a, C: CoffHeader>(
    graph: &mut Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    loaded: &Loaded,
    names: &[&'a str],
) -> Result<()> {
    let is_comdat = |header| flags(header).contains(pe::IMAGE_SCN_LNK_COMDAT);
    if !object.sections.iter().any(is_comdat) {
        return Ok(());
    }
    let mut said = read(graph, object)?;
    name_the_nameless(&mut said, names);
    let steps = said.len() as u64;
    object.budget.spend(Resource::Steps, steps, graph.name())?;
    // The sections that are associated with each one, and then with those.
    let leaders = leaders(graph, &said)?;
    let mut members: Vec<Vec<SectionIndex>> = vec![Vec::new(); said.len()];
    for (index, leader) in leaders.iter().enumerate() {
        let section = loaded[index];
        if let (Some(leader), Some(section)) = (leader, section) {
            members[*leader].push(section);
        }
    }
    for (index, said) in said.iter().enumerate() {
        let Some(leader) = loaded[index] else {
            continue;
        };
        let (name, selection) = match (said.selection, said.name) {
            (Some((selection, _)), Name::Global(name)) => {
                (name, kind(graph, object, leader, selection))
            }
            _ => (names[index], Selection::Each),
        };
        let others = members[index].iter().filter(|section| **section != leader);
        // The leader first: it is what selections compare.
        let sections: Vec<SectionIndex> = [leader].into_iter().chain(others.copied()).collect();
        let is_alone = sections.len() == 1;
        if !(is_alone && selection == Selection::Each) {
            graph.add_group_with(name, &sections, selection)?;
        }
    }
    Ok(())
}

/// Goes through the symbols once.
fn read<'a, C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'a, '_, C>,
) -> Result<Vec<Said<'a>>> {
    let mut said: Vec<Said<'a>> = vec![Said::default(); object.sections.len()];
    for (number, symbol) in object.symbols.iter() {
        let section = symbol.section_number().index();
        let index = section.and_then(|section| (section as usize).checked_sub(1));
        let Some(index) = index.filter(|index| *index < said.len()) else {
            continue;
        };
        let header = object.sections.section(object::SectionIndex(index + 1));
        let header = header.map_err(|error| graph.malformed(error.to_string()))?;
        if !flags(header).contains(pe::IMAGE_SCN_LNK_COMDAT) {
            continue;
        }
        if said[index].selection.is_none() && symbol.has_aux_section() {
            let record = object.symbols.aux_section(number);
            let record = record.map_err(|error| graph.malformed(error.to_string()))?;
            let low = record.number.get(object::LittleEndian);
            let high = record.high_number.get(object::LittleEndian);
            let high = if C::is_type_bigobj() { high } else { 0 };
            let number = u32::from(low) | u32::from(high) << 16;
            said[index].selection = Some((record.selection, number));
        } else if said[index].selection.is_some() && said[index].name == Name::Missing {
            let is_global = symbol.storage_class() == pe::IMAGE_SYM_CLASS_EXTERNAL;
            said[index].name = if is_global {
                Name::Global(object.symbol_name(graph, symbol)?)
            } else {
                Name::Local
            };
        }
    }
    Ok(said)
}

/// GCC's sections of unwind information have no symbols: they go with the code whose section is called like them. Of others the section's name
/// counts.
fn name_the_nameless<'a>(said: &mut [Said<'a>], names: &[&'a str]) {
    let code = names.iter().zip(1..).filter_map(|(name, number)| {
        let function = name.strip_prefix(".text")?;
        function.contains('$').then_some((function, number))
    });
    let code: HashMap<&str, u32, RandomState> = code.collect();
    for (said, name) in said.iter_mut().zip(names) {
        let (Some((_, number)), Name::Missing) = (said.selection, said.name) else {
            continue;
        };
        let function = name
            .strip_prefix(".pdata")
            .or_else(|| name.strip_prefix(".xdata"));
        match function.and_then(|function| code.get(function)) {
            Some(code) => said.selection = Some((pe::IMAGE_COMDAT_SELECT_ASSOCIATIVE, *code)),
            None if number == 0 => said.name = Name::Global(name),
            None => {}
        }
    }
}

/// For each section the one that decides whether it is taken, if another does. A chain of associations is followed to its end.
fn leaders(graph: &Graph<'_>, said: &[Said<'_>]) -> Result<Vec<Option<usize>>> {
    let mut leaders: Vec<Option<usize>> = vec![None; said.len()];
    for start in 0..said.len() {
        let mut path = Vec::new();
        let mut at = start;
        let leader = loop {
            if let Some(leader) = leaders[at] {
                break Some(leader);
            }
            match said[at].selection {
                Some((pe::IMAGE_COMDAT_SELECT_ASSOCIATIVE, number)) => {
                    path.push(at);
                    let next = (number as usize).checked_sub(1);
                    let next = next.filter(|next| *next < said.len());
                    at = next.ok_or_else(|| {
                        graph.malformed(format!(
                            "there is no section {number} to be associated with"
                        ))
                    })?;
                    // More steps than sections: a circle.
                    if path.len() > said.len() {
                        return Err(graph.malformed("sections are associated with each other"));
                    }
                }
                _ => break Some(at),
            }
        };
        for index in path {
            leaders[index] = leader;
        }
    }
    Ok(leaders)
}

/// The kind of selection. If all sections of the name are taken, a second definition of it is an error.
fn kind<C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'_, '_, C>,
    leader: SectionIndex,
    selection: pe::ComdatSelection,
) -> Selection {
    match selection {
        pe::IMAGE_COMDAT_SELECT_NODUPLICATES | pe::IMAGE_COMDAT_SELECT_ASSOCIATIVE => {
            Selection::Each
        }
        pe::IMAGE_COMDAT_SELECT_SAME_SIZE => Selection::SameSize,
        pe::IMAGE_COMDAT_SELECT_EXACT_MATCH => Selection::Same,
        pe::IMAGE_COMDAT_SELECT_LARGEST => {
            let size = graph.sections()[leader.0 as usize].content.size();
            Selection::Greatest(size)
        }
        pe::IMAGE_COMDAT_SELECT_NEWEST => Selection::Greatest(object.timestamp.into()),
        _ => Selection::First,
    }
}
