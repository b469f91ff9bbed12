//! Members of import libraries: what says that a library of the system exports a name.
//!
//! A static linker makes of them a table that the system fills in when it loads the file. Here the process has loaded its libraries already,
//! so a member only says under which name something goes there: `__imp_f` is a cell with the address of the export, and `f` the export
//! itself, which code reaches through a stub where it has to. That is what `resolve` does for names that the process has, so a member needs
//! no code. Microsoft's tools and LLVM's write members in a short form; GNU's write objects, with a jump through the cell, and a cell that
//! holds where the name is written.
//!
//! Source: Microsoft, "PE Format", "Import Library Format" and "The .idata Section"; binutils, `dlltool.c`.

use super::file::{CoffObject, text, types_of};
use super::sections::obstruct;
use crate::budget::Budget;
use crate::error::{Feature, Reference, Resource, Result};
use crate::graph::{
    Content, Definition, Graph, GraphSection, Other, Relocation, RelocationKind, Symbol,
};
use codeslab::Protection;
use codeslab_runtime::Convention;
use object::pe;
use object::read::coff::{CoffHeader, ImportFile, ImportName, Symbol as _};
use std::borrow::Cow;

/// How the cell of a symbol is called.
const CELL: &str = "__imp_";

/// Bytes of a cell.
const CELL_SIZE: u64 = 8;

/// The graph of a member in short form.
pub(super) fn short<'a>(name: Cow<'a, str>, bytes: &'a [u8], budget: &Budget) -> Result<Graph<'a>> {
    let malformed =
        |error: object::read::Error| crate::error::Error::malformed(&name, error.to_string());
    let header = pe::ImportObjectHeader::parse(bytes, &mut 0).map_err(malformed)?;
    let types = types_of(&name, header.machine.get(object::LittleEndian))?;
    let file = ImportFile::parse(bytes).map_err(malformed)?;
    budget.spend(Resource::Symbols, 2, &name)?;
    let mut graph = Graph::new(name, types.machine.architecture());
    graph.set_convention(Convention::Windows);
    budget.read_name(file.symbol(), graph.name())?;
    let symbol = text(&graph, file.symbol())?;
    match file.import() {
        ImportName::Name(export) => {
            let export = text(&graph, export)?;
            fill(&mut graph, types.machine.pointer(), symbol, export)?;
        }
        ImportName::Ordinal(ordinal) => {
            let reference = Reference {
                object: graph.name().to_owned(),
                symbol: format!(
                    "{symbol} (number {ordinal} of {})",
                    String::from_utf8_lossy(file.dll())
                ),
                ..Reference::default()
            };
            obstruct(&mut graph, Feature::ImportByOrdinal, reference);
        }
    }
    Ok(graph)
}

/// The graph of a member that is an object, if the object is one. Sections have these names.
pub(super) fn long<'a, C: CoffHeader>(
    graph: &Graph<'a>,
    object: &CoffObject<'a, '_, C>,
    names: &[&'a str],
) -> Result<Option<Graph<'a>>> {
    let has = |wanted: &str| names.contains(&wanted);
    if !has(".idata$5") || !has(".idata$6") {
        return Ok(None);
    }
    for (_, symbol) in object.symbols.iter() {
        let is_defined = symbol.section_number().index().is_some();
        if !is_defined || symbol.storage_class() != pe::IMAGE_SYM_CLASS_EXTERNAL {
            continue;
        }
        let name = object.symbol_name(graph, symbol)?;
        let Some(base) = name.strip_prefix(CELL) else {
            continue;
        };
        let export = export(graph, object, names)?;
        let mut import = Graph::new(graph.name().to_owned(), graph.architecture());
        import.set_convention(Convention::Windows);
        let pointer = object.types.machine.pointer();
        fill(&mut import, pointer, base, export)?;
        return Ok(Some(import));
    }
    Ok(None)
}

/// The name behind the two bytes of a hint.
fn export<'a, C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'a, '_, C>,
    names: &[&'a str],
) -> Result<&'a str> {
    let mut sections = object.sections.iter().zip(names);
    let found = sections.find(|(_, name)| **name == ".idata$6");
    let (header, name) = found.ok_or_else(|| graph.malformed("an import has no name"))?;
    let bytes = object.section_data(graph, name, header)?;
    let bytes = bytes.get(2..).unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0);
    let export = &bytes[..end.unwrap_or(bytes.len())];
    object.budget.read_name(export, graph.name())?;
    text(graph, export)
}

/// Adds the cell of an export, and says that the symbol stands for it if it goes by another name.
fn fill<'a>(
    graph: &mut Graph<'a>,
    pointer: Option<&'static str>,
    symbol: &'a str,
    export: &'a str,
) -> Result<()> {
    let kind = pointer.and_then(RelocationKind::from_name);
    let kind = kind.ok_or_else(|| graph.malformed("there are no pointers to symbols"))?;
    let content = Content::Bytes(vec![0; CELL_SIZE as usize].into());
    let section = GraphSection::new(".idata$5", Protection::ReadOnly, CELL_SIZE, content);
    let section = graph.add_section(section)?;
    let cell = Definition::Section { section, offset: 0 };
    graph.add_symbol(Symbol::new(format!("{CELL}{symbol}"), cell))?;
    let export_index = graph.add_symbol(Symbol::undefined(export))?;
    if symbol != export {
        graph.add_alternate(symbol.into(), Other::Symbol(export_index));
    }
    graph.add_relocation(
        section,
        Relocation {
            offset: 0,
            kind,
            symbol: export_index,
            addend: 0,
        },
    )
}
