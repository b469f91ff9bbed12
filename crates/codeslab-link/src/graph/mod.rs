//! Sections, symbols and relocations: what parsing an object yields, and what an assembler can hand over directly.
//!
//! A [`Graph`] is made for one machine and can only be built in a valid state: every index names something, every offset lies inside
//! its section, every alignment is a power of two, every relocation is of the graph's machine. What reads a graph relies on that:
//! `resolve`, `plan` and `apply` index without looking. Objects of any format become graphs in `format`; an assembler that has no
//! format builds them itself.

mod group;
mod grouping;
mod index;
mod relocation;
mod section;
mod symbol;

use crate::error::{Error, Reference, Result};
use codeslab::{Architecture, MAXIMUM_ALIGN, Protection};
use codeslab_runtime::Convention;
use std::borrow::Cow;

pub(crate) use group::{Alternate, Group, Other, Selection};
pub use index::{SectionIndex, SymbolIndex};
pub(crate) use relocation::Relocations;
pub use relocation::{Relocation, RelocationKind};
pub use section::{Content, GraphSection, Moment, Priority, Purpose};
pub use symbol::{Binding, Definition, Symbol, SymbolKind, Visibility};

/// One object: see the module.
///
/// ```
/// use codeslab::{Architecture, Protection};
/// use codeslab_link::{Content, Definition, Graph, GraphSection, Relocation, RelocationKind, Symbol};
/// let mut graph = Graph::new("answer", Architecture::X86_64);
/// // call there; ret
/// let code = Content::Bytes(vec![0xe8, 0, 0, 0, 0, 0xc3].into());
/// let text = graph.add_section(GraphSection::new(".text", Protection::ReadExecute, 16, code))?;
/// graph.add_symbol(Symbol::new("start", Definition::Section { section: text, offset: 0 }))?;
/// let there = graph.add_symbol(Symbol::undefined("there"))?;
/// let kind = RelocationKind::from_name("R_X86_64_PLT32").expect("a name from the psABI");
/// graph.add_relocation(text, Relocation { offset: 1, kind, symbol: there, addend: -4 })?;
/// # Ok::<(), codeslab_link::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Graph<'a> {
    name: Cow<'a, str>,
    architecture: Architecture,
    sections: Vec<GraphSection<'a>>,
    symbols: Vec<Symbol<'a>>,
    groups: Vec<Group<'a>>,
    alternates: Vec<Alternate<'a>>,
    // Names that are needed, though nothing may refer to them.
    needed: Vec<Cow<'a, str>>,
    // How its functions are called; None if that is the same everywhere or the embedder's concern.
    convention: Option<Convention>,
    // Whether names can have versions (`name@VERSION`), which is a matter of the format.
    has_versions: bool,
    // Why this graph cannot take part in a link. Not an error of parsing: it does not matter in a member that stays out.
    obstacle: Option<Box<Error>>,
    // Whether its format says where indirect branches arrive, and it says of some code that they may arrive anywhere.
    lacks_landing_pads: bool,
    // The file that it was read from.
    origin: Option<Cow<'a, [u8]>>,
}

/// The address of a section of a file by its number there; `None` for one that is left out.
pub(crate) type AddressOf<'a> = dyn Fn(usize) -> Option<u64> + 'a;

impl<'a> Graph<'a> {
    /// An empty graph of code and data for `architecture`; `name` is what errors call it.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, architecture: Architecture) -> Self {
        Self {
            name: name.into(),
            architecture,
            sections: Vec::new(),
            symbols: Vec::new(),
            groups: Vec::new(),
            alternates: Vec::new(),
            needed: Vec::new(),
            convention: None,
            has_versions: false,
            obstacle: None,
            lacks_landing_pads: false,
            origin: None,
        }
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine that it is made for.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Its sections.
    #[must_use]
    pub fn sections(&self) -> &[GraphSection<'a>] {
        &self.sections
    }

    /// Its symbols.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// Appends a section. Relocations that it already has are dropped: they are added when their symbols are.
    ///
    /// # Errors
    /// [`Error::InvalidAlignment`] unless its alignment is a power of two up to [`MAXIMUM_ALIGN`];
    /// [`Error::InvalidIndex`] after 2³² sections.
    pub fn add_section(&mut self, mut section: GraphSection<'a>) -> Result<SectionIndex> {
        section.relocations = Relocations::default();
        section.group = None;
        self.add_section_in_place(section)
    }

    /// The same for a section that was made just now, where it goes to: it has no relocations and no group.
    #[inline]
    pub(crate) fn add_section_in_place(
        &mut self,
        section: GraphSection<'a>,
    ) -> Result<SectionIndex> {
        self.check_align(&section.name, section.align)?;
        let index = SectionIndex(self.next_index("section", self.sections.len())?);
        self.sections.push(section);
        Ok(index)
    }

    /// Appends a symbol.
    ///
    /// # Errors
    /// [`Error::InvalidIndex`] if its section does not exist, [`Error::OutOfBounds`] if it lies behind the end of it,
    /// [`Error::InvalidAlignment`] for a common symbol's alignment that is no power of two, [`Error::Malformed`] for a
    /// local symbol that is undefined or common, for a thread-local variable that lies elsewhere than in a thread-local section, and for
    /// an indirect function whose resolver is not in code.
    pub fn add_symbol(&mut self, symbol: Symbol<'a>) -> Result<SymbolIndex> {
        if let Definition::Section { section, offset } = symbol.definition {
            let within = self.section(section)?;
            if offset > within.content.size() {
                return Err(self.out_of_bounds(within, &symbol.name, offset, 0));
            }
        }
        self.add_symbol_anywhere(symbol)
    }

    /// The same, but the symbol may lie outside of its section, as those of objects may: assemblers write `there + 64`, and linkers count from where that is.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a symbol is made where it goes to")]
    pub(crate) fn add_symbol_anywhere(&mut self, symbol: Symbol<'a>) -> Result<SymbolIndex> {
        if !self.is_usual(&symbol) {
            // Moved and not lent: a symbol that nothing points to goes from registers to its place.
            return self.add_unusual_symbol(symbol);
        }
        let index = SymbolIndex(self.next_index("symbol", self.symbols.len())?);
        self.symbols.push(symbol);
        Ok(index)
    }

    /// Whether nothing about a symbol could be wrong.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as above")]
    fn is_usual(&self, symbol: &Symbol<'_>) -> bool {
        match symbol.definition {
            Definition::Section { section, .. } => {
                let within = self.sections.get(section.0 as usize);
                let is_special = symbol.kind == SymbolKind::ThreadLocal
                    || symbol.kind == SymbolKind::IndirectFunction;
                !is_special && within.is_some_and(|within| !within.is_thread_local)
            }
            Definition::Undefined => symbol.binding != Binding::Local,
            Definition::Absolute(_) | Definition::Discarded => true,
            Definition::Common { .. } => false,
        }
    }

    /// The same for a symbol that has to be looked at.
    #[cold]
    fn add_unusual_symbol(&mut self, symbol: Symbol<'a>) -> Result<SymbolIndex> {
        match symbol.definition {
            Definition::Section { section, offset } => {
                let within = self.section(section)?;
                self.check_kind(&symbol, within)?;
                let is_plain =
                    !within.is_thread_local && symbol.kind != SymbolKind::IndirectFunction;
                if !is_plain && offset > within.content.size() {
                    return Err(self.out_of_bounds(within, &symbol.name, offset, 0));
                }
            }
            Definition::Undefined | Definition::Common { .. }
                if symbol.binding == Binding::Local =>
            {
                let reason = format!("the local symbol {} has no definition", symbol.name);
                return Err(self.malformed(reason));
            }
            Definition::Common { align, .. } => self.check_align(&symbol.name, align)?,
            Definition::Undefined | Definition::Absolute(_) | Definition::Discarded => {}
        }
        let index = SymbolIndex(self.next_index("symbol", self.symbols.len())?);
        self.symbols.push(symbol);
        Ok(index)
    }

    /// Adds a relocation to a section.
    ///
    /// # Errors
    /// [`Error::InvalidIndex`] if the section or the symbol does not exist, [`Error::OutOfBounds`] if the field does not lie
    /// inside the section's bytes, [`Error::UnknownRelocation`] if it is a type of another machine than the graph's.
    pub fn add_relocation(&mut self, section: SectionIndex, relocation: Relocation) -> Result<()> {
        let within = self.section(section)?;
        self.check_relocation(within, relocation)?;
        self.sections[section.0 as usize]
            .relocations
            .push(relocation);
        Ok(())
    }

    /// How much of an input it is, in bytes: what an object would have that says the same.
    pub(crate) fn input_size(&self) -> u64 {
        const ENTRY: u64 = 24;
        const HEADER: u64 = 64;
        let sections = self.sections.iter().map(|section| {
            let content = match &section.content {
                Content::Bytes(bytes) => bytes.len() as u64,
                Content::Zeros(_) => 0,
            };
            let relocations = section.relocations.len() as u64 * ENTRY;
            HEADER + section.name.len() as u64 + content + relocations
        });
        let symbols = self.symbols.iter();
        let groups = self.groups.iter().map(|group| &group.name);
        let names = symbols.map(|symbol| &symbol.name).chain(groups);
        let names = names.map(|name| name.len() as u64 + ENTRY);
        self.name.len() as u64 + sections.sum::<u64>() + names.sum::<u64>()
    }

    /// Its COMDAT groups.
    pub(crate) fn groups(&self) -> &[Group<'a>] {
        &self.groups
    }

    /// Says what a name stands for if nothing defines it. What was said of it first counts.
    pub(crate) fn add_alternate(&mut self, name: Cow<'a, str>, other: Other<'a>) {
        self.alternates.push(Alternate { name, other });
    }

    /// What names stand for that nothing defines.
    pub(crate) fn alternates(&self) -> &[Alternate<'a>] {
        &self.alternates
    }

    /// Says that a name is needed wherever this graph takes part.
    pub(crate) fn need(&mut self, name: &'a str) {
        self.needed.push(name.into());
    }

    /// The names that are needed wherever it takes part.
    pub(crate) fn needed(&self) -> &[Cow<'a, str>] {
        &self.needed
    }

    /// Says how its functions are called.
    pub(crate) fn set_convention(&mut self, convention: Convention) {
        self.convention = Some(convention);
    }

    /// How its functions are called; `None` if they are called as those of the other graphs are.
    pub(crate) const fn convention(&self) -> Option<Convention> {
        self.convention
    }

    /// Whether it follows what linkers do on Windows: names of sections say how those are ordered (`.x$a` before `.x$b`), and `__imp_f` is
    /// a pointer to `f`.
    pub(crate) fn is_of_windows(&self) -> bool {
        self.convention == Some(Convention::Windows)
    }

    /// Says that what follows `@` in a name is a version.
    pub(crate) fn set_versions(&mut self) {
        self.has_versions = true;
    }

    /// Whether what follows `@` in a name is a version.
    pub(crate) const fn has_versions(&self) -> bool {
        self.has_versions
    }

    /// Says that indirect branches may arrive anywhere in its code.
    pub(crate) fn set_without_landing_pads(&mut self) {
        self.lacks_landing_pads = true;
    }

    /// Whether indirect branches may arrive anywhere in its code. Of a graph that an embedder built, nothing says so.
    pub(crate) const fn lacks_landing_pads(&self) -> bool {
        self.lacks_landing_pads
    }

    /// Sets room aside, so that a section of known size grows once.
    pub(crate) fn reserve(&mut self, sections: usize, symbols: usize) {
        self.sections.reserve_exact(sections);
        self.symbols.reserve_exact(symbols);
    }

    /// Adds many relocations to a section.
    pub(crate) fn add_relocations(
        &mut self,
        section: SectionIndex,
        relocations: impl IntoIterator<Item = Relocation>,
    ) -> Result<()> {
        let within = self.section(section)?;
        let (size, symbols) = (within.field_room(), self.symbols.len());
        let mut wrong = None;
        // Looked at on their way to where they stay: going through them again takes as long.
        let relocations = relocations.into_iter().inspect(|relocation| {
            let plain = relocation.kind.plain();
            let end = relocation.offset.checked_add(plain.size.into());
            let is_right = plain.architecture == self.architecture
                && end.is_some_and(|end| end <= size)
                && (relocation.symbol.0 as usize) < symbols;
            if !is_right {
                wrong.get_or_insert(*relocation);
            }
        });
        let relocations = Relocations::of(relocations);
        if let Some(wrong) = wrong {
            self.check_relocation(within, wrong)?;
        }
        let present = &mut self.sections[section.0 as usize].relocations;
        present.append(relocations);
        Ok(())
    }

    /// Whether it is known already that this graph cannot be linked. Then no further reason is looked for: a file can have any number.
    pub(crate) fn is_obstructed(&self) -> bool {
        self.obstacle.is_some()
    }

    /// Notes why this graph cannot be linked; the first reason stays.
    pub(crate) fn obstruct(&mut self, reason: Error) {
        self.obstacle.get_or_insert_with(|| Box::new(reason));
    }

    /// Why this graph cannot be linked.
    pub(crate) fn obstacle(&self) -> Option<&Error> {
        self.obstacle.as_deref()
    }

    /// Notes which file it was read from.
    pub(crate) fn set_origin(&mut self, file: Cow<'a, [u8]>) {
        self.origin = Some(file);
    }

    /// The file that it was read from; `None` if an embedder built it.
    pub(crate) fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    /// The same with a copy of all that it borrows.
    #[must_use]
    pub fn into_owned(self) -> Graph<'static> {
        let sections = self.sections.into_iter().map(GraphSection::into_owned);
        let symbols = self.symbols.into_iter().map(Symbol::into_owned);
        let alternates = self.alternates.into_iter().map(Alternate::into_owned);
        Graph {
            name: group::own(self.name),
            architecture: self.architecture,
            sections: sections.collect(),
            symbols: symbols.collect(),
            groups: self.groups.into_iter().map(Group::into_owned).collect(),
            alternates: alternates.collect(),
            needed: self.needed.into_iter().map(group::own).collect(),
            convention: self.convention,
            has_versions: self.has_versions,
            obstacle: self.obstacle,
            lacks_landing_pads: self.lacks_landing_pads,
            origin: self.origin.map(|file| Cow::Owned(file.into_owned())),
        }
    }

    /// How errors name a relocation of this graph.
    pub(crate) fn reference(
        &self,
        section: &GraphSection<'_>,
        relocation: &Relocation,
    ) -> Reference {
        Reference {
            object: self.name.to_string(),
            section: section.name.to_string(),
            offset: relocation.offset,
            relocation: relocation.kind.name().to_owned(),
            symbol: self.symbol_name(relocation.symbol),
        }
    }

    /// What to call a symbol; a section's symbol has no name of its own.
    #[must_use]
    pub fn symbol_name(&self, index: SymbolIndex) -> String {
        let Some(symbol) = self.symbols.get(index.0 as usize) else {
            return String::new();
        };
        match symbol.definition {
            Definition::Section { section, .. } if symbol.name.is_empty() => {
                self.sections[section.0 as usize].name.to_string()
            }
            _ => symbol.name.to_string(),
        }
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::malformed(&self.name, reason)
    }

    fn section(&self, index: SectionIndex) -> Result<&GraphSection<'a>> {
        self.sections
            .get(index.0 as usize)
            .ok_or_else(|| self.no_such("section", index.0, self.sections.len()))
    }

    fn check_relocation(&self, section: &GraphSection<'_>, relocation: Relocation) -> Result<()> {
        let kind = relocation.kind;
        if kind.architecture() != self.architecture {
            return Err(Error::UnknownRelocation {
                reference: Box::new(self.reference(section, &relocation)),
            });
        }
        let length = kind.size();
        let size = section.field_room();
        if relocation.offset > size || size - relocation.offset < length {
            return Err(self.out_of_bounds(section, kind.name(), relocation.offset, length));
        }
        if relocation.symbol.0 as usize >= self.symbols.len() {
            return Err(self.no_such("symbol", relocation.symbol.0, self.symbols.len()));
        }
        Ok(())
    }

    /// Whether a symbol that is in a section can be there.
    fn check_kind(&self, symbol: &Symbol<'_>, within: &GraphSection<'_>) -> Result<()> {
        let expected = match symbol.kind {
            SymbolKind::ThreadLocal if !within.is_thread_local => "a thread-local section",
            SymbolKind::IndirectFunction if within.protection != Protection::ReadExecute => "code",
            _ => return Ok(()),
        };
        let (name, section) = (&symbol.name, &within.name);
        let reason = format!("{name} lies in the section {section}, which is not {expected}");
        Err(self.malformed(reason))
    }

    fn check_align(&self, name: &str, align: u64) -> Result<()> {
        if align.is_power_of_two() && align <= MAXIMUM_ALIGN {
            return Ok(());
        }
        Err(Error::InvalidAlignment {
            object: self.name.to_string(),
            name: name.to_owned(),
            align,
            maximum: MAXIMUM_ALIGN,
        })
    }

    #[inline]
    fn next_index(&self, what: &'static str, count: usize) -> Result<u32> {
        // The last number stays free, so that it can mean "none".
        u32::try_from(count)
            .ok()
            .filter(|index| *index < u32::MAX)
            .ok_or_else(|| self.no_such(what, u32::MAX, count))
    }

    #[cold]
    fn no_such(&self, what: &'static str, index: u32, count: usize) -> Error {
        Error::InvalidIndex {
            object: self.name.to_string(),
            what,
            index: index.into(),
            count: count as u64,
        }
    }

    fn out_of_bounds(
        &self,
        section: &GraphSection<'_>,
        what: &str,
        offset: u64,
        length: u64,
    ) -> Error {
        Error::OutOfBounds {
            object: self.name.to_string(),
            section: section.name.to_string(),
            what: what.to_owned(),
            offset,
            length,
            size: section.content.size(),
        }
    }
}
