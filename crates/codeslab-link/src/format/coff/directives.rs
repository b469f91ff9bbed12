//! Directives: options for the linker that an object brings along (`.drectve`), as far as they mean something for an image.
//!
//! | option                       | what it does here                                                                          |
//! | ---------------------------- | ------------------------------------------------------------------------------------------ |
//! | `-aligncomm:NAME,LOG2`       | the alignment of a common symbol                                                           |
//! | `/ALTERNATENAME:NAME=OTHER`  | what the name stands for if nothing defines it                                             |
//! | `/EXPORT:NAME[=OTHER][,…]`   | the name is needed, though nothing may refer to it; with another, it stands for that one   |
//! | `/INCLUDE:NAME`              | the name is needed, and libraries are looked through for it                                |
//!
//! Everything else is about files (`/DEFAULTLIB`, `/MERGE`, `/SECTION`), about other tools, or asks whether objects fit together
//! (`/FAILIFMISMATCH`), and is passed over: a link has the libraries that its caller gives it.
//!
//! Source: <https://learn.microsoft.com/en-us/cpp/build/reference/linker-options>; binutils, `ld/pe-dll.c` on `-aligncomm`.

use super::file::{CoffObject, text};
use crate::error::{Resource, Result};
use crate::graph::{Graph, Other, Symbol};
use foldhash::fast::RandomState;
use object::read::coff::CoffHeader;
use std::collections::HashMap;

/// What an object's directives say.
#[derive(Debug, Default)]
pub(super) struct Directives<'a> {
    /// Alignments of common symbols, as powers of two.
    aligns: HashMap<&'a str, u32, RandomState>,
    /// Names, and what they stand for if nothing defines them.
    alternates: Vec<(&'a str, &'a str)>,
    /// Names that are needed.
    needed: Vec<&'a str>,
}

/// Reads the directives of an object whose sections have these names.
pub(super) fn read<'a, C: CoffHeader>(
    graph: &Graph<'_>,
    object: &CoffObject<'a, '_, C>,
    names: &[&'a str],
) -> Result<Directives<'a>> {
    let mut directives = Directives::default();
    for (header, name) in object.sections.iter().zip(names) {
        if *name == ".drectve" {
            let bytes = object.section_data(graph, name, header)?;
            object
                .budget
                .spend(Resource::Steps, bytes.len() as u64, graph.name())?;
            // A mark that says that it is UTF-8.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            for option in options(text(graph, bytes)?) {
                directives.note(option);
            }
        }
    }
    Ok(directives)
}

/// The options of a text: they are separated by spaces, and quotes keep spaces together.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let is_between = move |letter: char| {
        is_quoted ^= letter == '"';
        !is_quoted && (letter.is_ascii_whitespace() || letter == '\0')
    };
    text.split(is_between).filter(|option| !option.is_empty())
}

/// A name without the quotes around it.
fn unquoted(name: &str) -> &str {
    name.trim_matches('"')
}

impl<'a> Directives<'a> {
    fn note(&mut self, option: &'a str) {
        let option = unquoted(option);
        let option = option.strip_prefix(['/', '-']).unwrap_or(option);
        let Some((keyword, value)) = option.split_once(':') else {
            return;
        };
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("aligncomm") {
            let split = value.rsplit_once(',');
            let parsed = split.and_then(|(name, log2)| Some((name, log2.trim().parse().ok()?)));
            if let Some((name, log2)) = parsed {
                self.aligns.insert(unquoted(name), log2);
            }
        } else if is("alternatename") {
            if let Some((name, other)) = value.split_once('=') {
                self.alternates.push((unquoted(name), unquoted(other)));
            }
        } else if is("include") {
            self.needed.push(unquoted(value));
        } else if is("export") {
            self.note_export(value);
        }
    }

    fn note_export(&mut self, value: &'a str) {
        let name = value.split(',').next().unwrap_or_default();
        match name.split_once('=') {
            Some((name, other)) => {
                let (name, other) = (unquoted(name), unquoted(other));
                // A name with a dot is one of another library.
                if !other.contains('.') {
                    self.alternates.push((name, other));
                    self.needed.push(name);
                }
            }
            None => self.needed.push(unquoted(name)),
        }
    }

    /// The alignment of a common symbol of so many bytes: what a directive says, or else what such a variable needs, up to 32.
    pub(super) fn align_of_common(&self, name: &str, size: u32) -> u64 {
        const MOST: u32 = 32;
        if let Some(log2) = self.aligns.get(name) {
            // An alignment that does not exist is refused with all others.
            return 1_u64.checked_shl(*log2).unwrap_or(0);
        }
        size.min(MOST).next_power_of_two().into()
    }
}

/// Adds to a graph with all of its symbols what the directives say.
pub(super) fn apply<'a>(graph: &mut Graph<'a>, directives: Directives<'a>) -> Result<()> {
    for (name, other) in directives.alternates {
        if name != other {
            graph.add_alternate(name.into(), Other::Name(other.into()));
        }
    }
    for name in directives.needed {
        if !name.is_empty() {
            graph.add_symbol(Symbol::undefined(name))?;
            graph.need(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives(text: &'static str) -> Directives<'static> {
        let mut directives = Directives::default();
        options(text).for_each(|option| directives.note(option));
        directives
    }

    #[test]
    fn options_are_separated_by_spaces_outside_of_quotes() {
        let text = "/DEFAULTLIB:\"my lib\"  -aligncomm:\"a b\",3\0\0 \"/INCLUDE:x\"";
        let options: Vec<&str> = options(text).collect();
        let expected = [
            "/DEFAULTLIB:\"my lib\"",
            "-aligncomm:\"a b\",3",
            "\"/INCLUDE:x\"",
        ];
        assert_eq!(options, expected);
    }

    #[test]
    fn what_matters_is_noted_in_any_spelling_and_the_rest_passed_over() {
        let text = "-aligncomm:\"a b\",4 /Alternatename:x=y /EXPORT:f,DATA -export:g=h,@1 -export:k=lib.k /INCLUDE:z /MERGE:a=b -nothing";
        let directives = directives(text);
        assert_eq!(directives.align_of_common("a b", 1), 16);
        assert_eq!(directives.align_of_common("b", 5), 8);
        assert_eq!(directives.align_of_common("b", 1000), 32);
        assert_eq!(directives.alternates, [("x", "y"), ("g", "h")]);
        assert_eq!(directives.needed, ["f", "g", "z"]);
    }

    #[test]
    fn an_alignment_that_does_not_exist_is_no_power_of_two() {
        assert_eq!(directives("-aligncomm:a,64").align_of_common("a", 1), 0);
        assert_eq!(directives("-aligncomm:a,x").align_of_common("a", 1), 1);
    }
}
