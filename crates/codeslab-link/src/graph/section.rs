//! Sections of a graph: bytes or zeros with one protection and one alignment, and the relocations that are applied to them.
//!
//! A section is one run of memory: it is kept or left out as a whole, and nothing moves within it. [`Graph`](crate::Graph) checks
//! sections as they are added; what is added to one later (relocations, a group) goes through the graph as well.

use super::relocation::{Relocation, Relocations};
use codeslab::Protection;
use std::borrow::Cow;

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

/// What a section is for, besides being loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Purpose {
    /// Nothing else.
    #[default]
    Plain,
    /// It describes code, as unwind tables do (`.eh_frame`).
    UnwindTable,
    /// It says where functions begin, end and have their unwind information, for Windows' unwinder (`.pdata`).
    FunctionTable,
    /// It holds pointers to functions that are run at some moment of an image's life.
    Functions {
        /// When.
        moment: Moment,
        /// In which order among others of that moment.
        priority: Priority,
        /// Whether its last pointer is the first to run, as in `.ctors`.
        is_reversed: bool,
    },
    /// It is a part of a function: all such parts in a row, in the order of the inputs, run at the moment (`.init`, `.fini`).
    Fragment(Moment),
}

/// A moment of an image's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Moment {
    /// Before everything else (`.preinit_array`).
    BeforeAll,
    /// Before the image is used (`.init_array`).
    Start,
    /// When the image goes (`.fini_array`), in the opposite order.
    End,
}

/// An order among functions of one moment: lower ones come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(pub u32);

impl Priority {
    /// That of functions without one: they come after all others.
    pub const NONE: Self = Self(u32::MAX);
}

/// One section of a [`Graph`](crate::Graph).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphSection<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) protection: Protection,
    pub(crate) align: u64,
    pub(crate) content: Content<'a>,
    // Invariant: each field lies inside the content, each symbol exists.
    pub(crate) relocations: Relocations,
    pub(crate) group: Option<u32>,
    pub(crate) purpose: Purpose,
    pub(crate) is_thread_local: bool,
    pub(crate) is_retained: bool,
    // Whether 0 stands for what it refers to and is left out.
    pub(crate) may_lose: bool,
    // Its number in the file that the graph was read from, if its format asks for that.
    pub(crate) number: u32,
}

impl<'a> GraphSection<'a> {
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
            relocations: Relocations::default(),
            group: None,
            purpose: Purpose::Plain,
            is_thread_local: false,
            is_retained: false,
            may_lose: false,
            number: 0,
        }
    }

    /// The same, and it describes code, as unwind tables do: where it refers to code that is left out, 0 stands for that code.
    #[must_use]
    pub fn describing_code(self) -> Self {
        self.with_purpose(Purpose::UnwindTable)
    }

    /// The same for another purpose.
    ///
    /// A section of pointers to functions makes the image one that has to be started; relocations fill its pointers in.
    #[must_use]
    pub fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// The same, and it stays though nothing refers to it, where a link leaves out what nothing needs.
    #[must_use]
    pub fn retained(self) -> Self {
        Self {
            is_retained: true,
            ..self
        }
    }

    /// The same, and every thread has a copy of its own. Code comes by it only through relocations for thread-local variables; whatever
    /// its protection is, the copies may be written.
    #[must_use]
    pub fn thread_local(self) -> Self {
        Self {
            is_thread_local: true,
            ..self
        }
    }

    /// Bytes in which fields may lie. Nothing is written into zero-filled sections, so only fields of no bytes fit there.
    #[inline]
    pub(crate) fn field_room(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(_) => 0,
        }
    }

    /// The same with a copy of all that it borrows.
    pub(super) fn into_owned(self) -> GraphSection<'static> {
        GraphSection {
            name: Cow::Owned(self.name.into_owned()),
            protection: self.protection,
            align: self.align,
            content: match self.content {
                Content::Bytes(bytes) => Content::Bytes(Cow::Owned(bytes.into_owned())),
                Content::Zeros(size) => Content::Zeros(size),
            },
            relocations: self.relocations,
            group: self.group,
            purpose: self.purpose,
            is_thread_local: self.is_thread_local,
            is_retained: self.is_retained,
            may_lose: self.may_lose,
            number: self.number,
        }
    }

    /// Whether it is for something besides being loaded, or threads have copies of it.
    #[inline]
    pub(crate) fn is_special(&self) -> bool {
        self.is_thread_local || self.purpose != Purpose::Plain
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

    /// Whether every thread has a copy of it.
    #[must_use]
    pub const fn is_thread_local(&self) -> bool {
        self.is_thread_local
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// What has to be filled in.
    #[must_use]
    pub fn relocations(&self) -> &[Relocation] {
        &self.relocations
    }
}
