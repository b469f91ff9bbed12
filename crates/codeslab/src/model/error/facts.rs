//! What an error says in numbers and names, by field: for bindings to other languages, which have no Rust enum to match on.

use super::{Error, Refusal};
use crate::model::address::{Address, Window};

/// A fact of an error, for programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A number of bytes or a count.
    Number(u64),
    /// A number that may be negative, such as an `errno` or a distance.
    Signed(i128),
    /// An address.
    Address(Address),
    /// A name.
    Text(String),
    /// Names.
    Names(Vec<String>),
}

impl Error {
    /// The error's numbers and names, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::InvalidBlockSize {
                size,
                minimum,
                maximum,
            } => numbers([("size", size), ("minimum", minimum), ("maximum", maximum)]),
            Self::InvalidEnvironment {
                variable,
                value,
                expected,
            } => texts([
                ("variable", variable),
                ("value", value),
                ("expected", expected),
            ]),
            Self::UnsupportedCodeModel {
                architecture,
                model,
            } => texts([
                ("architecture", architecture.name()),
                ("codeModel", model.name()),
            ]),
            Self::WriterUnavailable { writer, reason } => {
                texts([("writer", writer.name()), ("reason", reason)])
            }
            Self::LibraryUnavailable { library, reason } => {
                texts([("library", library), ("reason", reason)])
            }
            Self::UnsupportedPlatform(platform) => texts([("platform", platform)]),
            Self::EmptyRequest | Self::Forked => Vec::new(),
            Self::TooLarge { size, limit } => numbers([("size", size), ("limit", limit)]),
            Self::InvalidAlignment { align, maximum } => {
                numbers([("align", align), ("limit", maximum)])
            }
            Self::OutOfBounds {
                offset,
                length,
                size,
            } => numbers([("offset", offset), ("length", length), ("size", size)]),
            Self::ConflictingWindows { distance, .. } => numbers([("distance", distance)]),
            Self::OutOfReach {
                size,
                window,
                nearest,
            } => no_gap(*size, *window, *nearest),
            Self::Refused(refusal) => refused(refusal),
        }
    }
}

type Facts = Vec<(&'static str, Fact)>;

fn no_gap(size: u64, window: Window, nearest: Option<Address>) -> Facts {
    let mut facts = numbers([("size", &size)]);
    facts.push(("windowFirst", Fact::Address(window.first())));
    facts.push(("windowLast", Fact::Address(window.last())));
    facts.extend(nearest.map(|at| ("nearest", Fact::Address(at))));
    facts
}

fn refused(refusal: &Refusal) -> Facts {
    let mut facts = texts([("syscall", refusal.call)]);
    facts.push(("errno", Fact::Signed(refusal.errno.into())));
    facts.extend(numbers([("size", &refusal.size)]));
    facts.extend(texts([("limit", refusal.limit.name())]));
    facts
}

fn numbers<const N: usize>(all: [(&'static str, &u64); N]) -> Facts {
    all.map(|(name, value)| (name, Fact::Number(*value))).into()
}

fn texts<const N: usize>(all: [(&'static str, &str); N]) -> Facts {
    all.map(|(name, value)| (name, Fact::Text(value.to_owned())))
        .into()
}
