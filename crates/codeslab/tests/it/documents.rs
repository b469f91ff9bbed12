//! What the documents name exists: types, functions, files and rooms, whatever they are called this week.
//!
//! Every name between backquotes is looked up. What is no name, such as a command or a piece of code, is passed over, and so is
//! what stands for a name that a reader fills in (`sys/NAME`).

use codeslab_testing::{document, repository};

/// The sources of all crates and their tests, in which names are looked up.
struct Tree {
    files: Vec<File>,
}

struct File {
    /// From the root of the repository, with a slash in front.
    path: String,
    /// Without comments.
    code: String,
}

fn is_in_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What stands between backquotes, outside of the blocks that are code as a whole.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// The part of a document from a heading to the next of the same rank or a higher one.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text.find(&format!("\n{heading}\n"));
    let text = &text[start.unwrap_or_else(|| panic!("there is no {heading:?}")) + 1..];
    let rank = heading.find(' ').unwrap_or_default();
    let ends = (1..=rank).filter_map(|rank| text.find(&format!("\n{} ", "#".repeat(rank))));
    &text[..ends.min().unwrap_or(text.len())]
}

/// Whether code has some words, as whole words: what stands before and behind is no part of them.
fn says(code: &str, words: &str) -> bool {
    code.match_indices(words).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + words.len()..].chars().next();
        let is_begun = words.starts_with(is_in_name) && before.is_some_and(is_in_name);
        let goes_on = words.ends_with(is_in_name) && behind.is_some_and(is_in_name);
        !is_begun && !goes_on
    })
}

impl Tree {
    fn new() -> Self {
        // Not this file, which has names that are made up.
        let own = |path: &str| path.ends_with("/documents.rs");
        let sources = codeslab_testing::sources("crates").into_iter();
        let sources = sources.filter(|source| !own(&source.path));
        let files = sources.map(|source| File {
            path: format!("/crates/{}", source.path),
            code: source.code(),
        });
        Self {
            files: files.collect(),
        }
    }

    fn any_says(&self, words: &str) -> bool {
        self.files.iter().any(|file| says(&file.code, words))
    }

    /// Whether there is a type or a trait of this name, or it comes from the standard library.
    fn has_type(&self, name: &str) -> bool {
        let kinds = ["struct", "enum", "trait", "type"];
        let is_import = |line: &str| line.starts_with("use std::") && says(line, name);
        let mut lines = self.files.iter().flat_map(|file| file.code.lines());
        kinds
            .iter()
            .any(|kind| self.any_says(&format!("{kind} {name}")))
            || lines.any(is_import)
    }

    /// Whether a type has a function, a field or a variant of this name, in a file that is about the type.
    fn has_part(&self, name: &str, part: &str) -> bool {
        let heads = [
            "impl",
            "pub struct ",
            "pub enum ",
            "pub trait ",
            "pub(crate) ",
        ];
        let is_about = |line: &str| {
            let line = line.trim_start();
            heads.iter().any(|head| line.starts_with(head)) && says(line, name)
        };
        let is_variant = |line: &str| {
            let rest = line.trim_start().strip_prefix(part);
            rest.is_some_and(|rest| rest.starts_with([',', '(', ' ']))
        };
        let has = |code: &str| {
            says(code, &format!("fn {part}"))
                || says(code, &format!("{part}:"))
                || code.lines().any(is_variant)
        };
        self.files
            .iter()
            .any(|File { code, .. }| code.lines().any(is_about) && has(code))
    }

    /// Whether there is a file or a folder of this name, in the repository or in some crate.
    fn has_path(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let file = format!("/{}.rs", name.trim_end_matches(".rs"));
        let folder = format!("/{name}/");
        let is_there = |path: &String| path.ends_with(&file) || path.contains(&folder);
        let mut paths = self.files.iter().map(|file| &file.path);
        paths.any(is_there) || repository().join(name).exists()
    }

    /// Whether a function, ours or the system's, has this name.
    fn has_function(&self, name: &str) -> bool {
        ["fn ", "libc::", "libc::SYS_"]
            .iter()
            .any(|before| self.any_says(&format!("{before}{name}")))
    }

    /// Whether this exists, or is no name.
    fn knows(&self, quoted: &str) -> bool {
        let name = quoted.trim_end_matches("()");
        let is_name = name
            .chars()
            .all(|one| is_in_name(one) || "/:.-".contains(one));
        let is_of_system = name.starts_with('/');
        if !is_name || is_of_system || name.contains("NAME") {
            return true;
        }
        if let Some((name, part)) = name.split_once("::") {
            return self.has_part(name, part);
        }
        let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        if is_type {
            return self.has_type(name);
        }
        let is_word = self.has_path(name) || self.has_function(name) || self.is_of_machine(name);
        // A writer or a crate is a string, an attribute stands behind `#[`.
        is_word || self.any_says(&format!("\"{name}\"")) || self.any_says(&format!("#[{name}"))
    }

    /// Whether this is a constant, a system's or ours, or an instruction.
    fn is_of_machine(&self, name: &str) -> bool {
        let is_capital = |letter: char| letter.is_uppercase() || "_0123456789".contains(letter);
        let is_one = name.chars().all(is_capital);
        is_one && (self.any_says(name) || self.any_says(&name.to_lowercase()))
    }

    /// What a text names that does not exist.
    fn unknown_in<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut names = quoted(text);
        names.retain(|name| !self.knows(name));
        names
    }
}

#[test]
fn what_the_documents_name_exists() {
    let tree = Tree::new();
    for (name, least) in [("ARCHITECTURE.md", 150), ("PORTING.md", 40)] {
        let text = document(name);
        assert!(quoted(&text).len() > least, "{name} is read");
        assert_eq!(tree.unknown_in(&text), [""; 0], "{name}");
    }
}

#[test]
fn a_name_that_is_made_up_is_noticed() {
    let tree = Tree::new();
    let text = "`Shard::recycle` `Shard::recicle` `Growth::Never` `Growth::Always` `Spans` `Spens` `pool/shard` `pool/shards` \
        `directory` `mprotect` `retained` `F_SEAL_FUTURE_WRITE` `F_SEAL_PAST_WRITE` `sys/NAME` `let it = be` `a/made/up.rs`";
    let unknown = [
        "Shard::recicle",
        "Growth::Always",
        "Spens",
        "pool/shards",
        "directory",
        "F_SEAL_PAST_WRITE",
        "a/made/up.rs",
    ];
    assert_eq!(tree.unknown_in(text), unknown);
}

#[test]
fn the_walk_counts_the_types_that_it_names() {
    let text = document("ARCHITECTURE.md");
    let walk = section(&text, "### One allocation, as a walk");
    let (_, counted) = walk
        .split_once(" there and back meets ")
        .expect("it counts");
    let (number, names) = counted.split_once(" types: ").expect("it names them");
    let names = quoted(names.split('.').next().unwrap_or_default());
    assert_eq!(Ok(names.len()), number.parse());
    assert!(names.len() <= 25, "{} are too many for a walk", names.len());
}
