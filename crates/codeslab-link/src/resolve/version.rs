//! Versions of symbols: `name@VERSION` and `name@@VERSION`, as assemblers write them into symbol tables for `.symver`.
//!
//! A definition with two signs is the default of its name: it serves references to the name alone and to that version. One with a single
//! sign serves references to that version only. `resolution` keys definitions by these names, `library` finds members by them, and
//! `externals` asks the process for the version.
//!
//! Source: <https://sourceware.org/binutils/docs/ld/VERSION.html>; Ulrich Drepper, "ELF Symbol Versioning".

use std::borrow::Cow;

/// A name with a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Versioned<'n> {
    pub(super) name: &'n str,
    pub(super) version: &'n str,
    /// Whether it is what the name means without a version.
    pub(super) is_default: bool,
}

/// The parts of a name that has a version.
pub(super) fn split(name: &str) -> Option<Versioned<'_>> {
    // Hardly a name has one, and names are short.
    if !name.bytes().any(|byte| byte == b'@') {
        return None;
    }
    let (base, rest) = name.split_once('@')?;
    let version = rest.trim_start_matches('@');
    (!base.is_empty() && !version.is_empty()).then_some(Versioned {
        name: base,
        version,
        is_default: version.len() < rest.len(),
    })
}

/// A name without its version.
pub(crate) fn base_name(name: &str) -> &str {
    split(name).map_or(name, |versioned| versioned.name)
}

impl Versioned<'_> {
    /// What references to this very version are called.
    pub(super) fn exact(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The names under which a definition is found: one, or two if it is a default.
pub(super) fn keys(name: Cow<'_, str>) -> (Cow<'_, str>, Option<String>) {
    match split(&name) {
        Some(versioned) if versioned.is_default => {
            let exact = versioned.exact();
            let length = versioned.name.len();
            let base = match name {
                Cow::Borrowed(name) => Cow::Borrowed(&name[..length]),
                Cow::Owned(name) => Cow::Owned(name[..length].to_owned()),
            };
            (base, Some(exact))
        }
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_where_its_version_begins() {
        let versioned = |name, version, is_default| {
            Some(Versioned {
                name,
                version,
                is_default,
            })
        };
        let table = [
            ("foo", None),
            ("foo@V1", versioned("foo", "V1", false)),
            ("foo@@V2", versioned("foo", "V2", true)),
            ("foo@@@V2", versioned("foo", "V2", true)),
            ("foo@", None),
            ("@V1", None),
            ("@", None),
        ];
        for (name, expected) in table {
            assert_eq!(split(name), expected, "{name}");
        }
    }

    #[test]
    fn a_default_is_found_by_its_name_and_by_its_version() {
        let found = |name: &'static str| keys(Cow::Borrowed(name));
        assert_eq!(found("foo"), ("foo".into(), None));
        assert_eq!(found("foo@V1"), ("foo@V1".into(), None));
        assert_eq!(found("foo@@V2"), ("foo".into(), Some("foo@V2".to_owned())));
    }
}
