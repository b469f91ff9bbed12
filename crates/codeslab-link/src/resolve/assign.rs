//! Names that the embedder gives (`defsym`) and takes over (`wrap`), as the options of `ld` with these names do.
//!
//! A symbol that is assigned is defined as a number, or as the place of another symbol with a distance; it replaces whatever an input
//! defines under the name. References to a wrapped name go to `__wrap_NAME`, and those to `__real_NAME` to the name itself, in objects
//! that do not define the name. `resolution` asks about each undefined name; `assigned` fills in the
//! places of assigned symbols when the others are known.
//!
//! Source: <https://sourceware.org/binutils/docs/ld/Options.html>.

use super::target::TargetId;
use crate::error::{Error, Result};
use foldhash::fast::RandomState;
use std::collections::HashSet;

/// What a name is assigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expression<'e> {
    Number(u64),
    /// The place of a symbol, and so many bytes from there.
    Symbol(&'e str, i64),
}

/// A symbol that is assigned the place of another one.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) id: TargetId,
    pub(super) base: TargetId,
    pub(super) name: String,
    pub(super) base_name: String,
    pub(super) distance: i64,
}

/// Reads `NAME`, `NAME+8`, `NAME-0x10` or a number.
///
/// # Errors
/// [`Error::InvalidExpression`].
pub(super) fn parse<'e>(name: &str, expression: &'e str) -> Result<Expression<'e>> {
    let invalid = || Error::InvalidExpression {
        symbol: name.to_owned(),
        expression: expression.to_owned(),
    };
    let text = expression.trim();
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return number(text).map(Expression::Number).ok_or_else(invalid);
    }
    let split = text.find(['+', '-']);
    let (base, rest) = text.split_at(split.unwrap_or(text.len()));
    let base = base.trim();
    let is_name =
        |letter: char| !letter.is_whitespace() && !"()*/%&|^~!<>=?:,;\"'".contains(letter);
    if base.is_empty() || !base.chars().all(is_name) {
        return Err(invalid());
    }
    if rest.is_empty() {
        return Ok(Expression::Symbol(base, 0));
    }
    let magnitude = number(rest[1..].trim()).and_then(|value| i64::try_from(value).ok());
    let magnitude = magnitude.ok_or_else(invalid)?;
    let distance = if rest.starts_with('-') {
        -magnitude
    } else {
        magnitude
    };
    Ok(Expression::Symbol(base, distance))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The names that are wrapped.
#[derive(Debug, Default)]
pub(super) struct Wrapped {
    names: HashSet<String, RandomState>,
}

impl Wrapped {
    pub(super) fn new(names: &[String]) -> Self {
        Self {
            names: names.iter().cloned().collect(),
        }
    }

    /// What a reference to `name` refers to, if that is another name.
    pub(super) fn other_name(&self, name: &str) -> Option<String> {
        if self.names.is_empty() {
            return None;
        }
        if self.names.contains(name) {
            return Some(format!("__wrap_{name}"));
        }
        let real = name.strip_prefix("__real_")?;
        self.names.contains(real).then(|| real.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_number_or_a_symbol_and_a_distance() {
        let table = [
            ("16", Expression::Number(16)),
            ("0x10", Expression::Number(16)),
            ("there", Expression::Symbol("there", 0)),
            (" there + 8 ", Expression::Symbol("there", 8)),
            ("there-0x10", Expression::Symbol("there", -16)),
            ("foo@V1+1", Expression::Symbol("foo@V1", 1)),
            ("_ZN1a1bEv", Expression::Symbol("_ZN1a1bEv", 0)),
        ];
        for (text, expected) in table {
            assert_eq!(parse("it", text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "+8",
            "there+",
            "there+other",
            "12x",
            "a b",
            "f(x)",
            "a*2",
            "-1",
        ] {
            let error = parse("it", text).expect_err(text);
            assert_eq!(error.code(), "INVALID_EXPRESSION", "{text}");
        }
    }
}
