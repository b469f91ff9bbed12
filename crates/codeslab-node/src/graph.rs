//! Reads the graphs that `src/internal/graph.ts` writes: one run of bytes, so that a graph of any size crosses in one piece.
//!
//! All numbers are little-endian. Counts, sizes and offsets are doubles, which is what JavaScript has; a text is its length
//! and its UTF-8.
//!
//! ```text
//! graph       name:text  count section*  count symbol*  count type:text*  count relocation*
//! section     name:text  protection:u8  align:f64  (0:u8 size:f64 | 1:u8 length:f64 bytes)
//! symbol      name:text  (0:u8 | 1:u8 section:f64 offset:f64 | 2:u8 value:u64)  binding:u8  size:f64
//! relocation  section:f64  offset:f64  type:f64  symbol:f64  addend:i64
//! ```

use crate::error::{Error, Result};
use codeslab::Protection;
use codeslab_link::{
    Binding, Content, Definition, Graph, GraphSection, Reference, Relocation, RelocationKind,
    SectionIndex, Symbol, SymbolIndex, SymbolKind,
};
use std::borrow::Cow;

/// The graph that `bytes` hold.
pub(crate) fn read(bytes: &[u8]) -> Result<Graph<'_>> {
    let mut reader = Reader { rest: bytes };
    let mut graph = Graph::new(reader.text()?, codeslab::architecture()?);
    for _ in 0..reader.count()? {
        graph.add_section(reader.section()?)?;
    }
    for _ in 0..reader.count()? {
        graph.add_symbol(reader.symbol()?)?;
    }
    let mut types = Vec::new();
    for _ in 0..reader.count()? {
        let name = reader.text()?;
        types.push((name, RelocationKind::from_name(name)));
    }
    for _ in 0..reader.count()? {
        let (section, relocation) = reader.relocation(&graph, &types)?;
        graph.add_relocation(section, relocation)?;
    }
    Ok(graph)
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<[u8; 8]> {
        self.bytes(8)?.try_into().map_err(|_| malformed())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn count(&mut self) -> Result<u64> {
        Ok(f64::from_le_bytes(self.word()?) as u64)
    }

    fn index(&mut self) -> Result<u32> {
        u32::try_from(self.count()?).map_err(|_| malformed())
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.count()?;
        self.bytes(length as usize)
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| malformed())
    }

    fn section(&mut self) -> Result<GraphSection<'a>> {
        let name = self.text()?;
        let protection = *choose(&Protection::ALL, self.byte()?)?;
        let align = self.count()?;
        let content = match self.byte()? {
            0 => Content::Zeros(self.count()?),
            _ => Content::Bytes(Cow::Borrowed(self.sized()?)),
        };
        Ok(GraphSection::new(name, protection, align, content))
    }

    fn symbol(&mut self) -> Result<Symbol<'a>> {
        const BINDINGS: [Binding; 3] = [Binding::Global, Binding::Weak, Binding::Local];
        let name = self.text()?;
        let definition = match self.byte()? {
            0 => Definition::Undefined,
            1 => Definition::Section {
                section: SectionIndex(self.index()?),
                offset: self.count()?,
            },
            _ => Definition::Absolute(u64::from_le_bytes(self.word()?)),
        };
        let binding = *choose(&BINDINGS, self.byte()?)?;
        let size = self.count()?;
        Ok(Symbol::new(name, definition)
            .with_binding(binding)
            .with_kind(SymbolKind::Unknown, size))
    }

    fn relocation(
        &mut self,
        graph: &Graph<'_>,
        types: &[(&str, Option<RelocationKind>)],
    ) -> Result<(SectionIndex, Relocation)> {
        let section = SectionIndex(self.index()?);
        let offset = self.count()?;
        let (name, kind) = *types.get(self.index()? as usize).ok_or_else(malformed)?;
        let symbol = SymbolIndex(self.index()?);
        let addend = i64::from_le_bytes(self.word()?);
        let kind = kind.ok_or_else(|| unknown_relocation(graph, section, offset, name, symbol))?;
        let relocation = Relocation {
            offset,
            kind,
            symbol,
            addend,
        };
        Ok((section, relocation))
    }
}

fn choose<T>(choices: &[T], index: u8) -> Result<&T> {
    choices.get(usize::from(index)).ok_or_else(malformed)
}

/// `src/internal/graph.ts` wrote something else than this file reads: a mistake of ours, not of the user's.
#[cold]
fn malformed() -> Error {
    Error::Link(codeslab_link::Error::Malformed {
        object: "graph".to_owned(),
        reason: "it was not written as it is read".to_owned(),
    })
}

#[cold]
fn unknown_relocation(
    graph: &Graph<'_>,
    section: SectionIndex,
    offset: u64,
    relocation: &str,
    symbol: SymbolIndex,
) -> Error {
    let section = graph.sections().get(section.0 as usize);
    let symbol = graph.symbols().get(symbol.0 as usize);
    let reference = Reference {
        object: graph.name().to_owned(),
        section: section.map_or_else(String::new, |section| section.name().to_owned()),
        offset,
        relocation: relocation.to_owned(),
        symbol: symbol.map_or_else(String::new, |symbol| symbol.name.to_string()),
    };
    Error::Link(codeslab_link::Error::UnknownRelocation {
        reference: Box::new(reference),
    })
}
