//! Symbols of a graph: names for places in its sections, for numbers, and for what other graphs or the process have.
//!
//! An object's symbol table becomes these one by one, so a symbol has the same index in the object and in its graph. What a name means
//! across graphs is decided by `resolve`.

use super::index::SectionIndex;
use std::borrow::Cow;

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

/// How far a symbol can be seen beyond the image that its graph becomes part of. Of all mentions of a name, the narrowest counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Visibility {
    /// Other images see it, and what the image does not define others may.
    #[default]
    Default,
    /// Other images see it, and the image itself uses its own. Nothing replaces definitions of an image, so this is the same as above.
    Protected,
    /// The image alone sees it: it binds to nothing of the process and of other images, and they do not bind to it.
    Hidden,
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
    /// A variable of which every thread has its own.
    ThreadLocal,
    /// A function that another function chooses (IFUNC): the symbol is where that other function, the resolver, is.
    IndirectFunction,
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
    /// How far it can be seen.
    pub visibility: Visibility,
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
            visibility: Visibility::Default,
            size: 0,
            kind: SymbolKind::Unknown,
        }
    }

    /// The same with a copy of its name.
    pub(super) fn into_owned(self) -> Symbol<'static> {
        Symbol {
            name: Cow::Owned(self.name.into_owned()),
            definition: self.definition,
            binding: self.binding,
            visibility: self.visibility,
            size: self.size,
            kind: self.kind,
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

    /// The same with another visibility.
    #[must_use]
    pub fn with_visibility(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }

    /// The same with a size in bytes and a kind.
    #[must_use]
    pub fn with_kind(self, kind: SymbolKind, size: u64) -> Self {
        Self { size, kind, ..self }
    }
}
