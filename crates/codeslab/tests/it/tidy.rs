//! The order of the layers, and what may stand where.

use codeslab_testing::{Source, document, repository};
use std::collections::{BTreeMap, BTreeSet};

/// The folders and files of `crates/codeslab/src` in order: each imports only from those before it.
const LAYERS: [&str; 14] = [
    "model",
    "sync",
    "slab",
    "sys",
    "space",
    "write",
    "block",
    "pool",
    "allocation",
    "process",
    "request",
    "memory",
    "slot",
    "lib",
];

/// Where `unsafe` may stand: where the system is called, where raw ranges are owned, and where spans are handed on.
const UNSAFE: [&str; 11] = [
    "sync/",
    "slab/spans.rs",
    "sys/",
    "space/reservation.rs",
    "space/tables.rs",
    "write/",
    "block/",
    "pool/shard/",
    "pool/blocks/",
    "allocation.rs",
    "pool/retained.rs",
];

/// Every source file of the memory manager, by its path in `src`, without comments and tests.
fn sources() -> Vec<(String, String)> {
    let all = codeslab_testing::sources("crates/codeslab/src").into_iter();
    all.filter(|source| !source.is_test())
        .map(|source| (source.path.clone(), source.product()))
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

/// The rooms directly in `src` of a crate, each with those that it imports from.
fn imports_of(krate: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut imports = BTreeMap::<String, BTreeSet<String>>::new();
    let all = codeslab_testing::sources(&format!("crates/{krate}/src"));
    for source in all.iter().filter(|source| !source.is_test()) {
        let room = module_of(&source.path).to_owned();
        let code = source.product();
        let imported = code.split("crate::").skip(1).map(|path| {
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            let end = path.find(|letter| !is_name(letter)).unwrap_or(path.len());
            path[..end].to_owned()
        });
        let others: Vec<String> = imported.filter(|other| *other != room).collect();
        imports.entry(room).or_default().extend(others);
    }
    imports
}

/// A way from a room back to itself.
fn circle_through(
    room: &str,
    way: &mut Vec<String>,
    imports: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    let next = imports.get(way.last().map_or(room, |last| last));
    for other in next.into_iter().flatten() {
        if other == room {
            return true;
        }
        if !way.contains(other) && imports.contains_key(other) {
            way.push(other.clone());
            if circle_through(room, way, imports) {
                return true;
            }
        }
    }
    false
}

#[test]
fn no_crate_has_a_circle_of_rooms() {
    for krate in [
        "codeslab",
        "codeslab-runtime",
        "codeslab-link",
        "codeslab-call",
        "codeslab-capi",
        "codeslab-node",
    ] {
        let imports = imports_of(krate);
        assert!(imports.len() > 3, "{krate} has rooms");
        for room in imports.keys().filter(|room| *room != "lib") {
            let mut way = vec![room.clone()];
            assert!(
                !circle_through(room, &mut way, &imports),
                "{krate}: a circle through {way:?}"
            );
        }
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
fn locks_stand_in_few_files_and_no_system_is_asked_under_the_one_that_all_share() {
    for (file, code) in sources() {
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
            "sys/linux/descriptors.rs",
            "sys/macos/rehearsal/rules.rs",
            "sys/windows/store.rs",
        ];
        assert!(
            locks.contains(&file.as_str()) || !code.contains("Mutex<"),
            "{file} has a lock"
        );
    }
}

/// Every Rust source of every crate, tests included, by its path from the root of the repository.
fn all_crates() -> Vec<Source> {
    let folders = [
        "crates",
        "bench",
        "testing",
        "adapters/assemblers",
        "adapters/cranelift",
    ];
    let in_folder = |folder| {
        let all = codeslab_testing::sources(folder).into_iter();
        all.map(move |source| Source {
            path: format!("{folder}/{}", source.path),
            ..source
        })
    };
    folders.into_iter().flat_map(in_folder).collect()
}

/// What may stand before `fn`.
const QUALIFIERS: [&str; 5] = ["pub", "unsafe", "const", "async", "extern"];

#[test]
fn no_file_is_longer_than_500_lines_and_no_function_than_70() {
    for Source { path: file, text } in all_crates() {
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= 500, "{file} has {} lines", lines.len());
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = code.starts_with("fn ")
                || code.contains(" fn ") && QUALIFIERS.iter().any(|word| code.starts_with(word));
            // As rustfmt has it, a function ends with the first brace that stands as far right as the function does.
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[start..].iter().position(|line| **line == end);
            // A declaration ends with a semicolon before anything opens.
            let opening = lines[start..]
                .iter()
                .find(|line| line.ends_with(['{', ';', '}']));
            let is_body = is_function && opening.is_some_and(|line| line.ends_with('{'));
            assert!(
                !is_body || length.is_none_or(|length| length < 70),
                "{file}:{}: {length:?} lines",
                start + 1
            );
        }
    }
}

#[test]
fn every_safety_comment_says_what_it_relies_on() {
    // Words that only point elsewhere.
    const VAGUE: [&str; 5] = [
        "SAFETY: the caller's obligations",
        "SAFETY: as the caller says",
        "SAFETY: likewise.",
        "SAFETY: as above.",
        "SAFETY: see above",
    ];
    for Source { path: file, text } in all_crates() {
        let is_vague = |line: &str| VAGUE.iter().any(|vague| line.contains(vague));
        // This file has the words in a list.
        let lines = text
            .lines()
            .filter(|line| line.trim_start().starts_with("//"));
        let vague: Vec<&str> = lines.filter(|line| is_vague(line)).collect();
        assert!(vague.is_empty(), "{file}: {vague:?}");
    }
}

#[test]
fn few_rooms_lead_off_the_entrance() {
    let root = repository().join("crates/codeslab/src");
    let entries = std::fs::read_dir(root).expect("a folder of sources");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let is_test = |name: &String| name.ends_with("_tests");
    let rooms: BTreeSet<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !is_test(name))
        .collect();
    assert!(rooms.len() <= 14, "{rooms:?}");
    // Each is in the picture that ARCHITECTURE.md draws.
    let text = document("ARCHITECTURE.md");
    for room in rooms.iter().filter(|room| *room != "lib.rs") {
        let name = format!("`{}`", room.trim_end_matches(".rs"));
        assert!(text.contains(&name), "ARCHITECTURE.md does not know {name}");
    }
}
