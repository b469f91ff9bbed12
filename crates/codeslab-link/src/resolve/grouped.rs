//! Sections whose names say where they lie: objects of Windows have `.x$a` before `.x$b`, and both in one piece with `.x`.
//!
//! What comes behind `$` orders the sections of one base name, and `.x` itself comes first. Programs mark the ends of such a piece with
//! sections of their own, as the run-time library does for its tables of constructors. Zeros stay at the end of data, where they cost nothing.
//!
//! Source: Microsoft, "PE Format", "Grouped Sections (Object Only)".

use super::resolution::{Resolution, Run};
use crate::error::{Resource, Result};
use crate::graph::Content;
use codeslab::Protection;
use std::collections::BTreeMap;

/// The sections of one piece: what orders them, and their numbers.
type Piece<'r> = Vec<(&'r str, u32)>;

/// Has sections lie in the order of their names.
pub(super) fn add_runs(resolution: &mut Resolution<'_>) -> Result<()> {
    let mut objects = resolution.objects.iter();
    if !objects.any(|object| object.graph.is_of_windows()) {
        return Ok(());
    }
    let mut pieces: BTreeMap<(&str, u8), (Protection, bool, Piece<'_>)> = BTreeMap::new();
    let mut steps = 0;
    for (object, section, number) in resolution.live_sections() {
        let is_ordered = object.graph.is_of_windows()
            && matches!(section.content, Content::Bytes(_))
            && !section.is_thread_local;
        if !is_ordered {
            continue;
        }
        let name = section.name();
        let split = name.split_once('$');
        let (base, order) = split.unwrap_or((name, ""));
        let key = (base, section.protection as u8);
        let piece = pieces.entry(key);
        let piece = piece.or_insert_with(|| (section.protection, false, Vec::new()));
        piece.1 |= split.is_some();
        piece.2.push((order, number));
        steps += name.len() as u64;
    }
    resolution
        .budget
        .spend(Resource::Steps, steps, "names of sections")?;
    let ordered = pieces
        .into_values()
        .filter(|(_, is_ordered, _)| *is_ordered);
    let runs = ordered.map(|(protection, _, mut piece)| {
        piece.sort_by_key(|(order, _)| *order);
        Run {
            sections: piece.into_iter().map(|(_, number)| number).collect(),
            protection,
            align: None,
        }
    });
    let runs: Vec<Run> = runs.collect();
    resolution.runs.extend(runs);
    Ok(())
}
