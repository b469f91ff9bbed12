//! Linker scripts that stand in the place of a library: `libm.a` and `libc.so` of glibc, `libncurses.so` and others are such files.
//!
//! Of the language of scripts, those use what names inputs: `INPUT`, `GROUP`, `AS_NEEDED`, and statements that say how the output would be
//! written, which means nothing here. Whatever else a script says decides about a file's layout, which an image does not have, and is
//! refused. `gather` opens the files that are named.
//!
//! Source: <https://sourceware.org/binutils/docs/ld/File-Commands.html>.

use crate::error::{Error, Result};

/// Statements that name inputs.
const NAMING: [&str; 3] = ["INPUT", "GROUP", "AS_NEEDED"];

/// Statements with arguments in parentheses that say nothing about inputs.
const IGNORED: [&str; 5] = ["OUTPUT_FORMAT", "OUTPUT_ARCH", "OUTPUT", "TARGET", "EXTERN"];

/// As much of a file as is looked at to tell what it is.
const LOOKED_AT: usize = 4096;

/// Something that a script names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Named<'s> {
    /// A path, or `-l` and a name.
    pub(crate) file: &'s str,
    /// Whether a link takes it only if it defines something that is missing.
    pub(crate) is_as_needed: bool,
}

/// Whether `bytes` are a script: text that begins with a statement of those above.
pub(crate) fn is_script(bytes: &[u8]) -> bool {
    let is_text = |first: &u8| first.is_ascii_uppercase() || b"/ \t\r\n".contains(first);
    if !bytes.first().is_some_and(is_text) {
        return false;
    }
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    // A character may be cut at the end.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut tokens = Tokens { rest: text };
    let word = tokens.next();
    word.is_some_and(|word| NAMING.contains(&word) || IGNORED.contains(&word))
        && tokens.next() == Some("(")
}

/// What the script in `bytes` names; `name` is what errors call it.
///
/// # Errors
/// [`Error::Malformed`] for a script that is none, or that says more than which inputs there are.
pub(crate) fn read<'s>(name: &str, bytes: &'s [u8]) -> Result<Vec<Named<'s>>> {
    let malformed = |reason: String| Error::malformed(name, format!("linker script: {reason}"));
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    let mut tokens = Tokens { rest: text };
    let mut named = Vec::new();
    // The statements that are open.
    let mut open: Vec<&str> = Vec::new();
    while let Some(token) = tokens.next() {
        match (token, open.last()) {
            (";" | ",", _) => {}
            (")", Some(_)) => {
                open.pop();
            }
            (word, None | Some(&("INPUT" | "GROUP"))) if is_statement(word) => {
                if tokens.next() != Some("(") {
                    return Err(malformed(format!("{word} without parentheses")));
                }
                open.push(word);
            }
            (file, Some(statement)) if NAMING.contains(statement) && is_file(file) => {
                let is_as_needed = open.contains(&"AS_NEEDED");
                named.push(Named { file, is_as_needed });
            }
            (_, Some(statement)) if IGNORED.contains(statement) => {}
            (other, _) => {
                return Err(malformed(format!(
                    "{other:?} says more than which inputs there are: pass the files that it names"
                )));
            }
        }
    }
    match open.last() {
        None => Ok(named),
        Some(statement) => Err(malformed(format!("{statement} does not end"))),
    }
}

fn is_statement(word: &str) -> bool {
    NAMING.contains(&word) || IGNORED.contains(&word)
}

fn is_file(token: &str) -> bool {
    !matches!(token, "(" | ")" | "{" | "}" | "=")
}

/// Words, and the characters that stand between them; comments are left out.
struct Tokens<'s> {
    rest: &'s str,
}

impl<'s> Iterator for Tokens<'s> {
    type Item = &'s str;

    fn next(&mut self) -> Option<&'s str> {
        const MARKS: [char; 7] = ['(', ')', '{', '}', ';', ',', '='];
        loop {
            self.rest = self.rest.trim_start();
            let Some(comment) = self.rest.strip_prefix("/*") else {
                break;
            };
            self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        }
        let first = self.rest.chars().next()?;
        let length = match first {
            '"' => {
                let (word, rest) = self.rest[1..].split_once('"')?;
                self.rest = rest;
                return Some(word);
            }
            _ if MARKS.contains(&first) => first.len_utf8(),
            _ => {
                let ends = |letter: char| letter.is_whitespace() || MARKS.contains(&letter);
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(script: &str) -> Vec<(&str, bool)> {
        let named = read("lib.so", script.as_bytes()).expect(script);
        let named = named.iter();
        named.map(|one| (one.file, one.is_as_needed)).collect()
    }

    #[test]
    fn the_scripts_that_stand_for_libraries_name_their_files() {
        let libc = "/* GNU ld script\n   Use the shared library. */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )\n";
        assert!(is_script(libc.as_bytes()));
        assert_eq!(
            files(libc),
            [
                ("/lib/libc.so.6", false),
                ("/usr/lib/libc_nonshared.a", false),
                ("/lib64/ld-linux-x86-64.so.2", true)
            ]
        );
        assert_eq!(files("INPUT(-lncursesw)"), [("-lncursesw", false)]);
        let quoted = "INPUT(\"a b.o\", c.o); GROUP(d.a AS_NEEDED(e.so))";
        assert_eq!(
            files(quoted),
            [
                ("a b.o", false),
                ("c.o", false),
                ("d.a", false),
                ("e.so", true)
            ]
        );
    }

    #[test]
    fn what_is_no_script_is_not_taken_for_one() {
        for bytes in [
            &b""[..],
            b"int main(void);",
            b"INPUT",
            b"INPUTS(a)",
            b"\xff\xfeINPUT(a)",
            b"/* INPUT(a)",
        ] {
            assert!(!is_script(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_script_that_says_more_or_does_not_end_is_refused() {
        for script in [
            "GROUP(a.a",
            "GROUP a.a",
            "SECTIONS { .text : { *(.text) } }",
            "INPUT(a.o) VERSION { V1 { global: f; }; }",
            "INPUT(a.o = b.o)",
            "INPUT((a.o))",
            "INPUT(a.o))",
        ] {
            let error = read("lib.so", script.as_bytes()).expect_err(script);
            assert_eq!(error.code(), "MALFORMED", "{script}");
            assert!(error.to_string().contains("linker script"), "{error}");
        }
    }
}
