//! The tree of the sources as its own tests read it: which files there are, and what of them is code of the product.
//!
//! The tests that order rooms and say what may stand where (`tidy`, `ports`) are its users. They look at text, so a line that
//! begins with `//` is a comment, and `mod tests` at the end of a file is a unit test, as they are everywhere here.

use std::path::{Path, PathBuf};

/// A source file in Rust.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the folder that was asked for, with `/` between names.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Whether it is nothing but a test.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let names = || self.path.split('/');
        names().any(|name| name == "tests" || name == "tests.rs" || name.ends_with("_tests"))
    }

    /// Its code: without comments.
    #[must_use]
    pub fn code(&self) -> String {
        without_comments(&self.text)
    }

    /// Its code without the unit tests at its end.
    #[must_use]
    pub fn product(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next();
        without_comments(product.unwrap_or_default())
    }
}

fn without_comments(text: &str) -> String {
    let lines = text.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file in Rust in a folder of the repository and those inside it, by ascending path.
///
/// # Panics
///
/// If there is no such folder, or something in it cannot be read as text.
#[must_use]
pub fn sources(folder: &str) -> Vec<Source> {
    let root = repository().join(folder);
    let mut paths = Vec::new();
    add_paths(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("it was found in there");
        let name = name.to_string_lossy().replace('\\', "/");
        let text = read(&path);
        Source { path: name, text }
    };
    paths.into_iter().map(read).collect()
}

/// A file of the repository, as text.
///
/// # Panics
///
/// If there is none, or it is no text.
#[must_use]
pub fn document(path: &str) -> String {
    read(&repository().join(path))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn add_paths(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            add_paths(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        let (path, text) = (path.to_owned(), text.to_owned());
        Source { path, text }
    }

    #[test]
    fn code_has_no_comments_and_the_product_no_unit_tests() {
        let text = "//! Module.\nuse a; // why\n    /// Item.\nfn b() {}\n#[cfg(test)]\nmod tests {\n    // c\n    fn d() {}\n}\n";
        let source = source("a.rs", text);
        assert_eq!(source.product(), "use a; // why\nfn b() {}");
        assert!(source.code().starts_with(&source.product()));
        assert!(source.code().ends_with("    fn d() {}\n}"));
    }

    #[test]
    fn tests_are_told_by_their_names() {
        for path in [
            "slab/tests.rs",
            "fake_tests/small.rs",
            "elf/tests.rs",
            "tests/it/main.rs",
        ] {
            assert!(source(path, "").is_test(), "{path}");
        }
        for path in ["slab/mod.rs", "contests.rs", "tests_of_sorts.rs"] {
            assert!(!source(path, "").is_test(), "{path}");
        }
    }

    #[test]
    fn sources_of_a_folder_come_in_order_with_those_inside_it() {
        let all = sources("testing");
        let paths: Vec<&str> = all.iter().map(|source| source.path.as_str()).collect();
        assert!(paths.is_sorted());
        assert!(paths.contains(&"src/tree.rs") && paths.contains(&"src/bin/inputs.rs"));
        assert!(document("Cargo.toml").contains("[workspace]"));
    }
}
