//! What a link may take in proportion to its inputs: the resources that `budget` counts, and what to do where one is used up.

use std::fmt;

/// What a link can take too much of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Resource {
    /// Files that are cut out of archives.
    Members,
    /// Bytes of objects that are parsed.
    Parsed,
    /// Entries of symbol tables and of the indexes of archives.
    Symbols,
    /// Bytes of names that are read, and entries of all other tables.
    Steps,
    /// Bytes that are written or copied.
    Bytes,
}

impl Resource {
    /// Every one, in the order of their numbers.
    pub(crate) const ALL: [Self; 5] = [
        Self::Members,
        Self::Parsed,
        Self::Symbols,
        Self::Steps,
        Self::Bytes,
    ];

    /// A name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Parsed => "parsed",
            Self::Symbols => "symbols",
            Self::Steps => "steps",
            Self::Bytes => "bytes",
        }
    }

    /// What to do about it.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Members | Self::Parsed => {
                "members of an archive lie in each other: make it again with `ar`"
            }
            Self::Symbols => "an index lists more than there can be: make it again with `ranlib`",
            Self::Steps => {
                "many names are read from the same bytes: compile or archive it again, with shorter names"
            }
            Self::Bytes => {
                "lower the alignment of its sections, have zeros in writable sections, or use shorter names"
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Members => "members to look into",
            Self::Parsed => "bytes of objects to parse",
            Self::Symbols => "symbols",
            Self::Steps => "bytes of names and entries of tables to read",
            Self::Bytes => "bytes to write or copy",
        })
    }
}
