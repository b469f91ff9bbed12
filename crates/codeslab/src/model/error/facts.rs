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
            } => {
                vec![
                    number("size", *size),
                    number("minimum", *minimum),
                    number("maximum", *maximum),
                ]
            }
            Self::InvalidEnvironment {
                variable,
                value,
                expected,
            } => {
                vec![
                    text("variable", variable),
                    text("value", value),
                    text("expected", expected),
                ]
            }
            Self::UnsupportedCodeModel {
                architecture,
                model,
            } => {
                vec![
                    text("architecture", architecture.name()),
                    text("codeModel", model.name()),
                ]
            }
            Self::WriterUnavailable { writer, reason } => {
                vec![text("writer", writer.name()), text("reason", reason)]
            }
            Self::LibraryUnavailable { library, reason } => {
                vec![text("library", library), text("reason", reason)]
            }
            Self::UnsupportedPlatform(platform) => vec![text("platform", platform)],
            Self::EmptyRequest | Self::Forked => Vec::new(),
            Self::TooLarge { size, limit } => vec![number("size", *size), number("limit", *limit)],
            Self::InvalidAlignment { align, maximum } => {
                vec![number("align", *align), number("limit", *maximum)]
            }
            Self::OutOfBounds {
                offset,
                length,
                size,
            } => {
                vec![
                    number("offset", *offset),
                    number("length", *length),
                    number("size", *size),
                ]
            }
            Self::ConflictingWindows { distance, .. } => vec![number("distance", *distance)],
            Self::OutOfReach {
                size,
                window,
                nearest,
            } => no_gap(*size, *window, *nearest),
            Self::Refused(refusal) => refused(refusal),
        }
    }
}

fn no_gap(size: u64, window: Window, nearest: Option<Address>) -> Vec<(&'static str, Fact)> {
    let mut facts = vec![
        number("size", size),
        ("windowFirst", Fact::Address(window.first())),
        ("windowLast", Fact::Address(window.last())),
    ];
    facts.extend(nearest.map(|at| ("nearest", Fact::Address(at))));
    facts
}

fn refused(refusal: &Refusal) -> Vec<(&'static str, Fact)> {
    vec![
        text("syscall", refusal.call),
        ("errno", Fact::Signed(refusal.errno.into())),
        number("size", refusal.size),
        text("limit", refusal.limit.name()),
    ]
}

fn number(name: &'static str, value: u64) -> (&'static str, Fact) {
    (name, Fact::Number(value))
}

fn text(name: &'static str, value: &str) -> (&'static str, Fact) {
    (name, Fact::Text(value.to_owned()))
}
