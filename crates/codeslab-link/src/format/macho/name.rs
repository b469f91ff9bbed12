//! Names as C has them.
//!
//! Compilers for Apple's systems put an underscore before each name of C, so that an assembler's own names are others; `dlsym` takes
//! the names of C, and so do embedders. Here it is taken off. A name without one, which no C has, is marked instead, as LLVM writes it
//! where a name shall stay as it is: `start` becomes `\x01start`. So no two names become one.

use std::borrow::Cow;

/// What comes before a name that is not C's.
const MARK: &str = "\u{1}";

/// The beginnings of names by which the linker is asked for the ends of a section.
const ENDS: [(&str, &str); 2] = [("section$start$", "__start_"), ("section$end$", "__stop_")];

/// The name of something that all objects see.
pub(crate) fn c_name(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => match name.strip_prefix('_') {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(marked(name)),
        },
        Cow::Owned(name) => Cow::Owned(match name.strip_prefix('_') {
            Some(name) => name.to_owned(),
            None => marked(&name),
        }),
    }
}

/// What a name stands for that no C has.
fn marked(name: &str) -> String {
    for (start, meaning) in ENDS {
        let rest = name.strip_prefix(start);
        if let Some((segment, section)) = rest.and_then(|rest| rest.split_once('$')) {
            return format!("{meaning}{segment},{section}");
        }
    }
    format!("{MARK}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_c() {
        for (name, expected) in [
            ("_f", "f"),
            ("__f", "_f"),
            ("__ZN1AC1Ev", "_ZN1AC1Ev"),
            ("start", "\u{1}start"),
            ("", "\u{1}"),
            ("section$start$__DATA$__list", "__start___DATA,__list"),
            ("section$end$__DATA$__list", "__stop___DATA,__list"),
            ("section$start$__DATA", "\u{1}section$start$__DATA"),
        ] {
            assert_eq!(c_name(name.into()), expected);
            assert_eq!(c_name(name.to_owned().into()), expected);
        }
    }
}
