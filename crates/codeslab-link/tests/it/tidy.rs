//! What the tree of the linker promises: machines stay in their room, and files stay short.

use std::path::{Path, PathBuf};

/// Files that cannot do without a machine's name, and why.
const NAMED: [&str; 3] = [
    // The crate's own list of what it links, for its users.
    "lib.rs",
    // The example of a graph holds real code.
    "graph.rs",
    // A section number of common symbols that only this machine's ELF has.
    "format/elf/symbols.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every source file of the linker: its path from `src`, and its text without unit tests.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("a file in src");
        let text = std::fs::read_to_string(path).expect("a source file");
        (name.to_string_lossy().into_owned(), text)
    };
    found.iter().map(read).collect()
}

#[test]
fn a_machine_is_named_in_the_room_of_machines_only() {
    const WORDS: [&str; 5] = ["x86", "aarch64", "elf::EM_", "R_X86", "riscv"];
    for (file, text) in files() {
        if file.starts_with("arch/") || NAMED.contains(&file.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in WORDS {
            assert!(
                !code.to_lowercase().contains(&word.to_lowercase()),
                "{file} says {word}"
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_500_lines() {
    for (file, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{file} has {lines} lines");
    }
}
