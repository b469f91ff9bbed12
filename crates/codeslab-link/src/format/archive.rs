//! Archives of `ar`: GNU and BSD. Thin ones become such archives before a link begins (`thin`).
//!
//! Whatever the format of its members, an archive is a list of files, and an index in which a linker looks a symbol up to find the
//! member that defines it. Members are cut out of the archive's bytes without copying and not looked into here; `resolve` asks for those
//! that a link needs and has them parsed. Archives without an index exist: then all members have to be parsed.

use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use crate::format::name::{CName, name_of};
use object::archive::MAGIC;
use object::read::archive::{ArchiveFile, ArchiveMember, ArchiveOffset, ArchiveSymbol};
use std::borrow::Cow;

/// Whether `bytes` begin like an archive that holds its members.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// An archive whose special members are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Archive<'a, 'b> {
    name: &'a str,
    bytes: &'a [u8],
    file: ArchiveFile<'a>,
    /// What names of the index stand for.
    c_name: CName,
    budget: &'b Budget,
}

/// One file in an archive.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    /// What errors call it: `libz.a(crc32.o)`.
    pub(crate) name: Cow<'a, str>,
    pub(crate) bytes: &'a [u8],
}

/// Where a member begins, in bytes from the start of its archive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct MemberOffset(u64);

/// A symbol, and the member that defines it.
pub(crate) type IndexEntry<'a> = (Cow<'a, str>, MemberOffset);

impl<'a, 'b> Archive<'a, 'b> {
    /// The archive in `bytes`; `name` is what errors call it. `c_name` tells by the first member what names of the index stand for: all
    /// members are of one format.
    pub(crate) fn open(
        name: &'a str,
        bytes: &'a [u8],
        budget: &'b Budget,
        c_name: fn(&[u8]) -> CName,
    ) -> Result<Self> {
        let file = ArchiveFile::parse(bytes).map_err(|error| malformed(name, &error))?;
        let first = file.members().next().and_then(std::result::Result::ok);
        let first = first.and_then(|member| member.data(bytes).ok());
        Ok(Self {
            name,
            bytes,
            file,
            c_name: c_name(first.unwrap_or_default()),
            budget,
        })
    }

    /// Every member, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = Result<Member<'a>>> {
        let archive = *self;
        self.file.members().map(move |member| {
            archive.load(&member.map_err(|error| malformed(archive.name, &error))?)
        })
    }

    /// The member that begins at `offset`.
    pub(crate) fn member(&self, offset: MemberOffset) -> Result<Member<'a>> {
        let member = self
            .file
            .member(ArchiveOffset(offset.0))
            .map_err(|error| malformed(self.name, &error))?;
        self.load(&member)
    }

    /// What the archive's own index says: symbols and where the member begins that defines them. `None` without an index.
    pub(crate) fn index(&self) -> Result<Option<impl Iterator<Item = Result<IndexEntry<'a>>>>> {
        let archive = *self;
        let symbols = self.file.symbols();
        let symbols = symbols.map_err(|error| malformed(archive.name, &error))?;
        Ok(symbols.map(|symbols| {
            symbols.map(move |symbol| match symbol {
                Ok(symbol) => archive.entry(&symbol),
                Err(error) => Err(malformed(archive.name, &error)),
            })
        }))
    }

    /// An entry of the index.
    fn entry(&self, symbol: &ArchiveSymbol<'a>) -> Result<IndexEntry<'a>> {
        self.budget.spend(Resource::Symbols, 1, self.name)?;
        self.budget.read_name(symbol.name(), self.name)?;
        let name = (self.c_name)(name_of(symbol.name()));
        if let Cow::Owned(name) = &name {
            let length = name.len() as u64;
            self.budget.spend(Resource::Bytes, length, self.name)?;
        }
        Ok((name, MemberOffset(symbol.offset().0)))
    }

    fn load(&self, member: &ArchiveMember<'a>) -> Result<Member<'a>> {
        self.budget.spend(Resource::Members, 1, self.name)?;
        self.budget.read_name(member.name(), self.name)?;
        let bytes = member
            .data(self.bytes)
            .map_err(|error| malformed(self.name, &error))?;
        let name = label(self.name, member.name());
        self.budget
            .spend(Resource::Bytes, name.len() as u64, self.name)?;
        Ok(Member {
            name: name.into(),
            bytes,
        })
    }
}

/// What to call a member. Files have names of at most 255 bytes; of longer ones, which many members can share, it has the beginning.
fn label(archive: &str, member: &[u8]) -> String {
    const LONGEST: usize = 255;
    match member.get(..LONGEST) {
        Some(start) if member.len() > LONGEST => {
            format!("{archive}({}...)", String::from_utf8_lossy(start))
        }
        _ => {
            // Looking for what is no text takes longer than seeing that all is.
            let text = std::str::from_utf8(member).map(Cow::Borrowed);
            let member = text.unwrap_or_else(|_| String::from_utf8_lossy(member));
            let mut label = String::with_capacity(archive.len() + member.len() + 2);
            for part in [archive, "(", &member, ")"] {
                label.push_str(part);
            }
            label
        }
    }
}

fn malformed(name: &str, error: &object::read::Error) -> Error {
    Error::malformed(name, error.to_string())
}
