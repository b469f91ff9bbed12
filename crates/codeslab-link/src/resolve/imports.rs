//! Cells with addresses, which code for Windows goes through to reach other libraries: `__imp_f` is a pointer to `f`.
//!
//! Import libraries have them, and are seldom given here: what defines `f` may be the image itself, the embedder, or the process. So a cell
//! that is wanted and that nothing has is made, and wants `f`.

use super::resolution::Resolution;
use super::target::TargetId;
use crate::error::{Resource, Result};
use crate::graph::{
    Content, Definition, Graph, GraphSection, Relocation, RelocationKind, Symbol, Visibility,
};
use codeslab::Protection;
use std::borrow::Cow;

/// How the cell of a symbol is called.
const CELL: &str = "__imp_";

/// Makes the cell that is called `name`, if it is one and an object of Windows asks for it.
pub(super) fn add_cell(resolution: &mut Resolution<'_>, name: &str, id: TargetId) -> Result<()> {
    let pointer = resolution.machine.pointer();
    let kind = pointer.and_then(RelocationKind::from_name);
    let base = name.strip_prefix(CELL).filter(|base| !base.is_empty());
    let (Some(base), Some(kind)) = (base, kind) else {
        return Ok(());
    };
    if !resolution.is_of_windows(id) {
        return Ok(());
    }
    let length = (name.len() + base.len()) as u64;
    resolution.budget.spend(Resource::Bytes, length, name)?;
    let mut graph = Graph::new("made by codeslab", resolution.machine.architecture());
    let size = kind.size();
    let content = Content::Bytes(vec![0; size as usize].into());
    let section = GraphSection::new(".rdata", Protection::ReadOnly, size, content);
    let section = graph.add_section(section)?;
    let definition = Definition::Section { section, offset: 0 };
    let cell = Symbol::new(name.to_owned(), definition);
    graph.add_symbol(cell.with_visibility(Visibility::Hidden))?;
    let symbol = graph.add_symbol(Symbol::undefined(base.to_owned()))?;
    graph.add_relocation(
        section,
        Relocation {
            offset: 0,
            kind,
            symbol,
            addend: 0,
        },
    )?;
    resolution.add_made(Cow::Owned(graph))
}
