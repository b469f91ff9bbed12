//! Errors for programs: a code that stays, and the facts by field. The JavaScript module makes properties of them.

use super::{Error, Missing, Reference, libraries_of};
use codeslab::Fact;

impl Error {
    /// A name for programs, such as `UNDEFINED_SYMBOL`. Names do not change between versions.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Memory(error) => error.code(),
            Self::UnknownFormat { .. } => "UNKNOWN_FORMAT",
            Self::Unreadable { .. } => "UNREADABLE",
            Self::WrongArchitecture { .. } => "WRONG_ARCHITECTURE",
            Self::NotRelocatable { .. } => "NOT_RELOCATABLE",
            Self::Malformed { .. } => "MALFORMED",
            Self::WorkBudget { .. } => "WORK_BUDGET",
            Self::InvalidIndex { .. } => "INVALID_INDEX",
            Self::OutOfBounds { .. } => "OUT_OF_BOUNDS",
            Self::InvalidAlignment { .. } => "INVALID_ALIGNMENT",
            Self::UnknownRelocation { .. } => "UNKNOWN_RELOCATION",
            Self::Unsupported { .. } => "UNSUPPORTED",
            Self::ThreadLocalAccess { .. } => "THREAD_LOCAL_ACCESS",
            Self::WritableCode { .. } => "WRITABLE_CODE",
            Self::UndefinedSymbol { .. } => "UNDEFINED_SYMBOL",
            Self::Refused { first, .. } => first.code(),
            Self::InvalidExpression { .. } => "INVALID_EXPRESSION",
            Self::DuplicateSymbol { .. } => "DUPLICATE_SYMBOL",
            Self::DiscardedSection { .. } => "DISCARDED_SECTION",
            Self::OutOfReach { .. } => "OUT_OF_REACH",
            // A value that is no multiple does not fit either.
            Self::Overflow { .. } | Self::Misaligned { .. } => "OVERFLOW",
            Self::ConflictingSymbols { .. } => "CONFLICTING_SYMBOLS",
            Self::Unplaceable { cause, .. } => cause.code(),
            Self::Start(error) | Self::ThreadLocals(error) => error.code(),
        }
    }

    /// The error's numbers and names, by field.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::Memory(error) => error.facts(),
            Self::Start(error) | Self::ThreadLocals(error) => error.facts(),
            Self::UnknownFormat { .. }
            | Self::Unreadable { .. }
            | Self::WrongArchitecture { .. }
            | Self::NotRelocatable { .. }
            | Self::Malformed { .. }
            | Self::WorkBudget { .. } => self.input_facts(),
            Self::Refused { first, all, roots } => {
                let refusals = all.iter().map(ToString::to_string).collect();
                let more = [
                    ("refusals", Fact::Names(refusals)),
                    ("roots", Fact::Names(roots.clone())),
                ];
                with(first.facts(), more)
            }
            Self::InvalidExpression { symbol, expression } => {
                vec![text("symbol", symbol), text("expression", expression)]
            }
            Self::WritableCode { object, section } => {
                vec![text("object", object), text("section", section)]
            }
            Self::InvalidIndex { .. }
            | Self::OutOfBounds { .. }
            | Self::InvalidAlignment { .. } => self.graph_facts(),
            Self::UnknownRelocation { reference } | Self::DiscardedSection { reference } => {
                reference.facts()
            }
            Self::Unsupported { feature, reference } => {
                with(reference.facts(), [text("feature", feature.name())])
            }
            Self::ThreadLocalAccess { reference, problem } => {
                with(reference.facts(), [text("reason", problem)])
            }
            Self::UndefinedSymbol { .. }
            | Self::DuplicateSymbol { .. }
            | Self::ConflictingSymbols { .. } => self.symbol_facts(),
            Self::OutOfReach { .. } | Self::Overflow { .. } | Self::Misaligned { .. } => {
                self.value_facts()
            }
            Self::Unplaceable { symbols, cause } => {
                let first = symbols.first().map_or("", String::as_str);
                let names = Fact::Names(symbols.clone());
                with(cause.facts(), [text("symbol", first), ("symbols", names)])
            }
        }
    }

    fn input_facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::UnknownFormat { object, found, .. } => {
                vec![text("object", object), text("found", found)]
            }
            Self::Unreadable {
                object,
                path,
                reason,
            } => vec![
                text("object", object),
                text("path", path),
                text("reason", reason),
            ],
            Self::WrongArchitecture {
                object,
                found,
                expected,
            } => vec![
                text("object", object),
                text("found", found),
                text("expected", expected),
            ],
            Self::NotRelocatable { object, found, .. } => {
                vec![text("object", object), text("found", found)]
            }
            Self::Malformed { object, reason } => {
                vec![text("object", object), text("reason", reason)]
            }
            Self::WorkBudget {
                object,
                resource,
                limit,
                input,
            } => vec![
                text("object", object),
                text("resource", resource.name()),
                number("limit", *limit),
                number("input", *input),
            ],
            _ => Vec::new(),
        }
    }

    fn graph_facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::InvalidIndex {
                object,
                what,
                index,
                count,
            } => vec![
                text("object", object),
                text("what", what),
                number("index", *index),
                number("count", *count),
            ],
            Self::OutOfBounds {
                object,
                section,
                what,
                offset,
                length,
                size,
            } => vec![
                text("object", object),
                text("section", section),
                text("what", what),
                number("offset", *offset),
                number("length", *length),
                number("size", *size),
            ],
            Self::InvalidAlignment {
                object,
                name,
                align,
                maximum,
            } => vec![
                text("object", object),
                text("section", name),
                number("align", *align),
                number("limit", *maximum),
            ],
            _ => Vec::new(),
        }
    }

    fn symbol_facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::UndefinedSymbol {
                symbol, at, all, ..
            } => {
                let place = at.as_ref().map_or(Vec::new(), |at| at.facts());
                let place = place.into_iter().filter(|(name, _)| *name != "symbol");
                with(
                    vec![
                        text("symbol", symbol),
                        ("symbols", names(all, |missing| missing.symbol.clone())),
                        (
                            "neededBy",
                            names(all, |missing| missing.needed_by.clone().unwrap_or_default()),
                        ),
                        (
                            "libraries",
                            Fact::Names(libraries_of(all).into_iter().collect()),
                        ),
                    ],
                    place,
                )
            }
            Self::DuplicateSymbol {
                symbol,
                first,
                second,
            } => vec![
                text("symbol", symbol),
                text("first", first),
                text("second", second),
            ],
            Self::ConflictingSymbols {
                first,
                lowest,
                second,
                highest,
                distance,
            } => vec![
                text("first", first),
                ("lowest", Fact::Address(*lowest)),
                text("second", second),
                ("highest", Fact::Address(*highest)),
                number("distance", *distance),
            ],
            _ => Vec::new(),
        }
    }

    fn value_facts(&self) -> Vec<(&'static str, Fact)> {
        let (reference, address, facts) = match self {
            Self::OutOfReach {
                reference,
                address,
                distance,
                limit,
            } => (
                reference,
                address,
                [signed("distance", *distance), signed("limit", *limit)],
            ),
            Self::Overflow {
                reference,
                address,
                value,
                limit,
            } => (
                reference,
                address,
                [signed("value", *value), signed("limit", *limit)],
            ),
            Self::Misaligned {
                reference,
                address,
                value,
                align,
            } => (
                reference,
                address,
                [signed("value", *value), number("align", *align)],
            ),
            _ => return Vec::new(),
        };
        let address = ("address", Fact::Address(*address));
        with(with(reference.facts(), [address]), facts)
    }
}

impl Reference {
    fn facts(&self) -> Vec<(&'static str, Fact)> {
        vec![
            text("object", &self.object),
            text("section", &self.section),
            number("offset", self.offset),
            text("relocation", &self.relocation),
            text("symbol", &self.symbol),
        ]
    }
}

fn with(
    mut facts: Vec<(&'static str, Fact)>,
    more: impl IntoIterator<Item = (&'static str, Fact)>,
) -> Vec<(&'static str, Fact)> {
    facts.extend(more);
    facts
}

/// Something of each missing symbol.
fn names(all: &[Missing], name: impl Fn(&Missing) -> String) -> Fact {
    Fact::Names(all.iter().map(name).collect())
}

fn number(name: &'static str, value: u64) -> (&'static str, Fact) {
    (name, Fact::Number(value))
}

fn signed(name: &'static str, value: i128) -> (&'static str, Fact) {
    (name, Fact::Signed(value))
}

fn text(name: &'static str, value: &str) -> (&'static str, Fact) {
    (name, Fact::Text(value.to_owned()))
}
