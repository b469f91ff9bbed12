//! The order of the layers, and what may stand where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folders and files of `crates/codeslab/src` in order: each imports only from those before it.
const LAYERS: [&str; 13] = [
    "model",
    "sync",
    "slab",
    "sys",
    "space",
    "write",
    "block",
    "pool",
    "allocation",
    "capabilities",
    "request",
    "memory",
    "lib",
];

/// Where `unsafe` may stand: where the system is called, where raw ranges are owned, and where spans are handed on.
const UNSAFE: [&str; 10] = [
    "sync/",
    "slab/spans.rs",
    "sys/",
    "space/reservation.rs",
    "write/",
    "block/",
    "pool/shard/",
    "pool/blocks/",
    "allocation.rs",
    "pool/retained.rs",
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Every source file of the memory manager, by its path in `src`, without comments and test modules.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| {
        path.strip_prefix(&root)
            .expect("it is in there")
            .to_string_lossy()
            .into_owned()
    };
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("a source file");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
    };
    let files = source_files(&root);
    let is_test = |name: &str| name.contains("_tests") || name.ends_with("tests.rs");
    files
        .iter()
        .map(|path| (name(path), code(path)))
        .filter(|(name, _)| !is_test(name))
        .collect()
}

fn module_of(file: &str) -> &str {
    file.split('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".rs")
}

fn layer_of(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| *layer == module);
    found.unwrap_or_else(|| panic!("{module} has no place in the order of the layers"))
}

#[test]
fn every_module_imports_only_from_the_layers_below_it() {
    for (file, code) in sources() {
        let own = module_of(&file);
        for path in code.split("crate::").skip(1) {
            let imported = path
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
                .next()
                .unwrap_or_default();
            let is_module = LAYERS.contains(&imported) && imported != own;
            assert!(
                !is_module || layer_of(imported) < layer_of(own),
                "{file} imports {imported}, which is above it"
            );
        }
        layer_of(own);
    }
}

#[test]
fn unsafe_code_stands_only_where_the_system_and_its_memory_are() {
    let files: BTreeSet<String> = sources()
        .into_iter()
        .filter(|(_, code)| {
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        })
        .map(|(file, _)| file)
        .collect();
    assert!(
        files
            .iter()
            .all(|file| UNSAFE.iter().any(|room| file.starts_with(room))),
        "{files:?}"
    );
}

#[test]
fn only_the_platforms_know_an_operating_system() {
    for (file, code) in sources() {
        let in_sys = file.starts_with("sys/");
        assert!(in_sys || !code.contains("libc::"), "{file} calls libc");
        assert!(
            in_sys || !code.contains("cfg(target") && !code.contains("cfg(all(target"),
            "{file} asks for the target"
        );
        // It works under the lock that all shards share.
        assert!(
            file != "space/clusters.rs" || !code.contains("crate::sys"),
            "{file} asks the system"
        );
        let locks = [
            "sync/atomics.rs",
            "sync/biased_lock.rs",
            "space/mod.rs",
            "pool/retained.rs",
            "sys/fake/mod.rs",
        ];
        assert!(
            locks.contains(&file.as_str()) || !code.contains("Mutex<"),
            "{file} has a lock"
        );
    }
}

#[test]
fn the_linker_and_the_edge_stay_in_their_places() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the folder of crates")
        .to_owned();
    for path in source_files(&crates.join("codeslab-link/src")) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        assert!(
            !text.contains("libc::") && !text.contains("napi"),
            "{}: the linker knows objects only",
            path.display()
        );
    }
    let root = std::fs::read_to_string(crates.join("codeslab-link/src/lib.rs"))
        .expect("the linker's root");
    assert!(
        root.contains("#![forbid(unsafe_code)]"),
        "the linker is safe code"
    );
}

#[test]
fn no_file_is_longer_than_500_lines() {
    for (file, _) in sources() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(&file);
        let lines = std::fs::read_to_string(path)
            .expect("a source file")
            .lines()
            .count();
        assert!(lines <= 500, "{file} has {lines} lines");
    }
}
