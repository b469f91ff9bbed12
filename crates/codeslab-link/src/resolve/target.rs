//! Targets: what symbols stand for once names are resolved.
//!
//! A target says where something is (a place in a section, a fixed address, memory of its own, the GOT) and how much its definition
//! counts against others of its name. There is one for each global name and one for each local symbol. Resolving fills them in; planning
//! and applying read them and never look at a name.

use crate::graph::{Binding, Visibility};
use codeslab::Address;

/// Names a [`Target`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TargetId(pub(crate) u32);

/// The definition that a symbol stands for: what relocations refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Where it is.
    pub(crate) place: Place,
    /// How much its definition counts.
    pub(super) rank: Rank,
    /// The narrowest that an object asks for.
    pub(crate) visibility: Visibility,
    /// The object that defines it, or else the first that refers to it.
    pub(crate) object: u32,
    /// Its symbol there.
    pub(crate) symbol: u32,
}

/// Where a target is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Not known, and if it stays so, no relocation refers to it.
    Nowhere,
    /// In a section, counted over all objects.
    Section { section: u32, offset: u64 },
    /// At a fixed address in this process, or just a number.
    Absolute(u64),
    /// In zero-filled memory of its own.
    Common { size: u64, align: u64 },
    /// The global offset table.
    Got,
    /// The start of the image's block, from which image-relative addresses count.
    Image,
    /// An end of the image's memory.
    Edge(Edge),
    /// In a section that is left out.
    Discarded,
    /// A function whose resolver lies in a section, counted over all objects.
    Indirect { section: u32, offset: u64 },
    /// In a section of which every thread has a copy, counted over all objects.
    ThreadLocal { section: u32, offset: u64 },
    /// In zero-filled memory of its own, of which every thread has some.
    ThreadLocalCommon { size: u64, align: u64 },
    /// The start of what every thread has a copy of.
    ThreadLocalStart,
    /// A thread-local variable of the process, which only the dynamic linker can say more of.
    ProcessThreadLocal,
    /// A thread-local variable that nobody defines and nobody has to.
    NoThreadLocal,
}

impl Target {
    /// Whether another image or the process may define it: nothing outside of the image that is linked is behind a hidden name.
    pub(super) const fn may_be_outside(&self) -> bool {
        !matches!(self.visibility, Visibility::Hidden)
    }

    /// Whether more than its own object sees it.
    pub(super) fn is_global(&self) -> bool {
        self.rank != Rank::Local
    }

    /// Whether an object defines it, rather than just mentioning it.
    pub(crate) fn is_defined(&self) -> bool {
        self.rank >= Rank::WeakDefinition
    }
}

impl Place {
    /// Whether the linker decides where it is.
    pub(crate) const fn is_in_image(self) -> bool {
        matches!(
            self,
            Self::Section { .. }
                | Self::Common { .. }
                | Self::Got
                | Self::Image
                | Self::Edge(_)
                | Self::Indirect { .. }
        )
    }

    /// Whether every thread has its own.
    pub(crate) const fn is_thread_local(self) -> bool {
        matches!(
            self,
            Self::ThreadLocal { .. }
                | Self::ThreadLocalCommon { .. }
                | Self::ThreadLocalStart
                | Self::ProcessThreadLocal
                | Self::NoThreadLocal
        )
    }
}

/// An end of the image's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edge {
    /// The first byte of code.
    CodeStart,
    /// The byte behind the last one of code.
    CodeEnd,
    /// The byte behind the last one of data that has a value of its own; zeros follow.
    ValuesEnd,
    /// The byte behind the last one of data.
    DataEnd,
}

/// How much a definition counts; the greatest wins. Of common symbols and weak definitions, common ones win, as in `ld`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    WeakReference,
    Reference,
    /// Nothing defines it; it stands for another.
    Fallback,
    WeakDefinition,
    Common,
    Definition,
    /// By the embedder.
    Assigned,
    /// Seen by its own object only; never compared.
    Local,
}

impl Rank {
    /// What a symbol counts that is at a place. A definition in a section that is left out is a reference to the one that is taken instead.
    pub(super) const fn of(binding: Binding, place: Place) -> Self {
        let is_weak = matches!(binding, Binding::Weak);
        match place {
            Place::Nowhere if is_weak => Self::WeakReference,
            Place::Nowhere | Place::Discarded => Self::Reference,
            Place::Common { .. } | Place::ThreadLocalCommon { .. } => Self::Common,
            _ if is_weak => Self::WeakDefinition,
            _ => Self::Definition,
        }
    }
}

impl From<Address> for Place {
    fn from(address: Address) -> Self {
        Self::Absolute(address.value())
    }
}

impl Place {
    /// The section that it lies in, counted over all objects.
    pub(super) const fn section(self) -> Option<u32> {
        match self {
            Self::Section { section, .. }
            | Self::Indirect { section, .. }
            | Self::ThreadLocal { section, .. } => Some(section),
            _ => None,
        }
    }

    /// The place so many bytes on, if there is one. Only what lies in a section or at an address can be counted from.
    pub(super) const fn moved(self, distance: i64) -> Option<Self> {
        match self {
            Self::Section { section, offset } => Some(Self::Section {
                section,
                offset: offset.wrapping_add_signed(distance),
            }),
            Self::Absolute(value) => Some(Self::Absolute(value.wrapping_add_signed(distance))),
            Self::Indirect { .. } | Self::Got | Self::Image | Self::Edge(_) if distance == 0 => {
                Some(self)
            }
            _ => None,
        }
    }

    /// Of two common symbols with one name, memory that serves both.
    pub(super) fn larger_common(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Common { size, align },
                Self::Common {
                    size: other_size,
                    align: other_align,
                },
            ) => Self::Common {
                size: size.max(other_size),
                align: align.max(other_align),
            },
            (
                Self::ThreadLocalCommon { size, align },
                Self::ThreadLocalCommon {
                    size: other_size,
                    align: other_align,
                },
            ) => Self::ThreadLocalCommon {
                size: size.max(other_size),
                align: align.max(other_align),
            },
            _ => self,
        }
    }
}
