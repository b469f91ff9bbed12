//! Sections, symbols and relocations: what parsing an object yields, and what an assembler can hand over directly.
//!
//! A [`Graph`] can only be built in a valid state: every index names something, every offset lies inside its section,
//! every alignment is a power of two. What reads a graph relies on that.

use crate::arch::formula::RelocationKind;
use crate::error::{Error, Reference, Result};
use codeslab::{Architecture, MAXIMUM_ALIGN, Protection};
use std::borrow::Cow;

/// Names a section of a [`Graph`], in the order in which sections were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SectionIndex(pub u32);

/// Names a symbol of a [`Graph`], in the order in which symbols were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolIndex(pub u32);

/// What a section holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(Cow<'a, [u8]>),
    /// This many zero bytes.
    Zeros(u64),
}

impl Content<'_> {
    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(size) => *size,
        }
    }
}

/// One section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) protection: Protection,
    pub(crate) align: u64,
    pub(crate) content: Content<'a>,
    // Invariant: each field lies inside the content, each symbol exists.
    pub(crate) relocations: Vec<Relocation>,
    pub(crate) group: Option<u32>,
}

impl<'a> Section<'a> {
    /// A section of `content` at a multiple of `align` bytes.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        protection: Protection,
        align: u64,
        content: Content<'a>,
    ) -> Self {
        Self {
            name: name.into(),
            protection,
            align,
            content,
            relocations: Vec::new(),
            group: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may be used for.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// Its alignment in bytes, a power of two.
    #[must_use]
    pub const fn align(&self) -> u64 {
        self.align
    }

    /// What it holds.
    #[must_use]
    pub const fn content(&self) -> &Content<'a> {
        &self.content
    }

    /// What has to be filled in.
    #[must_use]
    pub fn relocations(&self) -> &[Relocation] {
        &self.relocations
    }
}

/// Where a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Definition {
    /// Somewhere else.
    Undefined,
    /// In a section of the same graph.
    Section {
        /// Which.
        section: SectionIndex,
        /// Bytes from its start; the end of the section is allowed.
        offset: u64,
    },
    /// At a fixed address, or just a number.
    Absolute(u64),
    /// In zero-filled memory that all objects share which say so (a C tentative definition); the largest one counts.
    Common {
        /// Bytes.
        size: u64,
        /// Bytes, a power of two.
        align: u64,
    },
    /// In a section that is not loaded, such as debug information.
    Discarded,
}

/// Who sees a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Binding {
    /// Its own graph.
    Local,
    /// Every graph; one definition.
    #[default]
    Global,
    /// Every graph; gives way to a global definition, and may stay undefined, which makes it 0.
    Weak,
}

/// What a symbol names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SymbolKind {
    /// The object does not say.
    #[default]
    Unknown,
    /// A function.
    Function,
    /// A variable or constant.
    Data,
    /// A whole section.
    Section,
}

/// One symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// Its name; local ones may have none.
    pub name: Cow<'a, str>,
    /// Where it is.
    pub definition: Definition,
    /// Who sees it.
    pub binding: Binding,
    /// Its size in bytes, 0 where it is unknown.
    pub size: u64,
    /// What it names.
    pub kind: SymbolKind,
}

impl<'a> Symbol<'a> {
    /// A global symbol of unknown size and kind.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, definition: Definition) -> Self {
        Self {
            name: name.into(),
            definition,
            binding: Binding::Global,
            size: 0,
            kind: SymbolKind::Unknown,
        }
    }

    /// A symbol that others have to define.
    #[must_use]
    pub fn undefined(name: impl Into<Cow<'a, str>>) -> Self {
        Self::new(name, Definition::Undefined)
    }

    /// The same with another binding.
    #[must_use]
    pub fn with_binding(self, binding: Binding) -> Self {
        Self { binding, ..self }
    }

    /// The same with a size in bytes and a kind.
    #[must_use]
    pub fn with_kind(self, kind: SymbolKind, size: u64) -> Self {
        Self { size, kind, ..self }
    }
}

/// A field that depends on where things are placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// Bytes from the start of the section.
    pub offset: u64,
    /// How the field is computed and how wide it is.
    pub kind: RelocationKind,
    /// S.
    pub symbol: SymbolIndex,
    /// A.
    pub addend: i64,
}

/// One object: see the module.
///
/// ```
/// use codeslab::{Architecture, Protection};
/// use codeslab_link::{Content, Definition, Graph, Relocation, RelocationKind, Section, Symbol};
/// let mut graph = Graph::new("answer", Architecture::X86_64);
/// // call there; ret
/// let code = Content::Bytes(vec![0xe8, 0, 0, 0, 0, 0xc3].into());
/// let text = graph.add_section(Section::new(".text", Protection::ReadExecute, 16, code))?;
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
    sections: Vec<Section<'a>>,
    symbols: Vec<Symbol<'a>>,
    groups: Vec<Cow<'a, str>>,
    // Why this graph cannot take part in a link. Not an error of parsing: nobody minds it in a member that stays out.
    refusal: Option<Box<Error>>,
}

impl<'a> Graph<'a> {
    /// An empty graph of code for `architecture`; `name` is what errors call it.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, architecture: Architecture) -> Self {
        Self {
            name: name.into(),
            architecture,
            sections: Vec::new(),
            symbols: Vec::new(),
            groups: Vec::new(),
            refusal: None,
        }
    }

    /// The machine that its code is made for.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its sections.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
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
    pub fn add_section(&mut self, section: Section<'a>) -> Result<SectionIndex> {
        self.check_align(&section.name, section.align)?;
        let index = SectionIndex(self.next_index("section", self.sections.len())?);
        self.sections.push(Section {
            relocations: Vec::new(),
            group: None,
            ..section
        });
        Ok(index)
    }

    /// Appends a symbol.
    ///
    /// # Errors
    /// [`Error::InvalidIndex`] if its section does not exist, [`Error::OutOfBounds`] if it lies behind the end of it,
    /// [`Error::InvalidAlignment`] for a common symbol's alignment that is no power of two, [`Error::Malformed`] for a
    /// local symbol that is undefined or common.
    pub fn add_symbol(&mut self, symbol: Symbol<'a>) -> Result<SymbolIndex> {
        match symbol.definition {
            Definition::Section { section, offset } => {
                let within = self.section(section)?;
                if offset > within.content.size() {
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
    /// inside the section's bytes, [`Error::UnknownRelocation`] if it is another machine's than the graph's.
    pub fn add_relocation(&mut self, section: SectionIndex, relocation: Relocation) -> Result<()> {
        let within = self.section(section)?;
        self.check_relocation(within, relocation)?;
        self.sections[section.0 as usize]
            .relocations
            .push(relocation);
        Ok(())
    }

    /// Makes `sections` a COMDAT group: of all groups with this name, a link takes the first.
    ///
    /// # Errors
    /// [`Error::InvalidIndex`] if a section does not exist; [`Error::Malformed`] if it is in a group already.
    pub fn add_group(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        sections: &[SectionIndex],
    ) -> Result<()> {
        let group = self.next_index("group", self.groups.len())?;
        for &index in sections {
            let section = self.section(index)?;
            if section.group.is_some() {
                let reason = format!("section {} is in two groups", section.name);
                return Err(self.malformed(reason));
            }
            self.sections[index.0 as usize].group = Some(group);
        }
        self.groups.push(name.into());
        Ok(())
    }

    /// The names of its COMDAT groups.
    pub(crate) fn groups(&self) -> &[Cow<'a, str>] {
        &self.groups
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
        relocations: Vec<Relocation>,
    ) -> Result<()> {
        let within = self.section(section)?;
        for &relocation in &relocations {
            self.check_relocation(within, relocation)?;
        }
        let present = &mut self.sections[section.0 as usize].relocations;
        if present.is_empty() {
            *present = relocations;
        } else {
            present.extend(relocations);
        }
        Ok(())
    }

    /// Notes why this graph cannot be linked; the first reason stays.
    pub(crate) fn refuse(&mut self, reason: Error) {
        self.refusal.get_or_insert_with(|| Box::new(reason));
    }

    /// Why this graph cannot be linked.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_deref()
    }

    /// How errors name a relocation of this graph.
    pub(crate) fn reference(&self, section: &Section<'_>, relocation: &Relocation) -> Reference {
        Reference {
            object: self.name.to_string(),
            section: section.name.to_string(),
            offset: relocation.offset,
            relocation: relocation.kind.name().to_owned(),
            symbol: self.symbol_name(relocation.symbol),
        }
    }

    /// What to call a symbol; a section's symbol has no name of its own.
    pub(crate) fn symbol_name(&self, index: SymbolIndex) -> String {
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
        Error::Malformed {
            object: self.name.to_string(),
            reason: reason.into(),
        }
    }

    fn section(&self, index: SectionIndex) -> Result<&Section<'a>> {
        self.sections
            .get(index.0 as usize)
            .ok_or_else(|| self.no_such("section", index.0, self.sections.len()))
    }

    fn check_relocation(&self, section: &Section<'_>, relocation: Relocation) -> Result<()> {
        if relocation.kind.architecture() != self.architecture {
            return Err(Error::UnknownRelocation {
                reference: Box::new(self.reference(section, &relocation)),
            });
        }
        let length = relocation.kind.width();
        // Nothing is written into zero-filled sections, so only fields of no bytes fit there.
        let size = match &section.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(_) => 0,
        };
        if relocation.offset > size || size - relocation.offset < length {
            let kind = relocation.kind.name();
            return Err(self.out_of_bounds(section, kind, relocation.offset, length));
        }
        if relocation.symbol.0 as usize >= self.symbols.len() {
            return Err(self.no_such("symbol", relocation.symbol.0, self.symbols.len()));
        }
        Ok(())
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

    fn next_index(&self, what: &'static str, count: usize) -> Result<u32> {
        // The last number stays free, so that it can mean "none".
        u32::try_from(count)
            .ok()
            .filter(|index| *index < u32::MAX)
            .ok_or_else(|| self.no_such(what, u32::MAX, count))
    }

    fn no_such(&self, what: &'static str, index: u32, count: usize) -> Error {
        Error::InvalidIndex {
            object: self.name.to_string(),
            what,
            index: index.into(),
            count: count as u64,
        }
    }

    fn out_of_bounds(&self, section: &Section<'_>, what: &str, offset: u64, length: u64) -> Error {
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
