//! What the tree of the linker promises: files import downwards, and machines, formats and systems stay in their rooms.
//!
//! How long files and functions may be is checked for all crates at once, in `crates/codeslab/tests/it/tidy.rs`.

use std::collections::{BTreeMap, BTreeSet};

/// Every file of `crates/codeslab-link/src` in order: each imports only from those before it.
const ORDER: &[&str] = &[
    "error/resource.rs",
    "error/missing.rs",
    "error/mod.rs",
    "error/facts.rs",
    "similar.rs",
    "budget.rs",
    "arch/formula.rs",
    "arch/encoding.rs",
    "arch/row.rs",
    "arch/plain.rs",
    "arch/compact.rs",
    "arch/machine.rs",
    "arch/x86_64/fields.rs",
    "arch/x86_64/relax.rs",
    "arch/x86_64/detour/frame.rs",
    "arch/x86_64/detour/value.rs",
    "arch/x86_64/detour.rs",
    "arch/x86_64/binder.rs",
    "arch/x86_64/elf.rs",
    "arch/x86_64/coff.rs",
    "arch/x86_64/macho.rs",
    "arch/x86_64/thread_local.rs",
    "arch/x86_64/builtin.rs",
    "arch/x86_64/compact.rs",
    "arch/x86_64/mod.rs",
    "arch/aarch64/instructions.rs",
    "arch/aarch64/relax.rs",
    "arch/aarch64/binder.rs",
    "arch/aarch64/elf.rs",
    "arch/aarch64/macho.rs",
    "arch/aarch64/atomics.rs",
    "arch/aarch64/thread_local.rs",
    "arch/aarch64/compact.rs",
    "arch/aarch64/mod.rs",
    "arch/mod.rs",
    "graph/index.rs",
    "graph/group.rs",
    "graph/symbol.rs",
    "graph/relocation.rs",
    "graph/section.rs",
    "graph/mod.rs",
    "graph/grouping.rs",
    "exports.rs",
    "kept.rs",
    "input.rs",
    "unwind.rs",
    "unwind/describe.rs",
    "format/name.rs",
    "format/archive.rs",
    "format/script.rs",
    "format/thin.rs",
    "format/unknown.rs",
    "format/elf/file.rs",
    "format/elf/properties.rs",
    "format/elf/sections.rs",
    "format/elf/symbols.rs",
    "format/elf/relocations.rs",
    "format/elf/placed.rs",
    "format/elf/mod.rs",
    "format/coff/file.rs",
    "format/coff/sections.rs",
    "format/coff/directives.rs",
    "format/coff/import.rs",
    "format/coff/symbols.rs",
    "format/coff/relocations.rs",
    "format/coff/comdat.rs",
    "format/coff/mod.rs",
    "format/macho/name.rs",
    "format/macho/file.rs",
    "format/macho/universal.rs",
    "format/macho/sections.rs",
    "format/macho/symbols.rs",
    "format/macho/unwind.rs",
    "format/macho/relocations.rs",
    "format/macho/compact.rs",
    "format/macho/mod.rs",
    "format/mod.rs",
    "format/kept.rs",
    "gather.rs",
    "inspect.rs",
    "resolve/target.rs",
    "resolve/globals.rs",
    "resolve/version.rs",
    "resolve/assign.rs",
    "resolve/resolution.rs",
    "resolve/convention.rs",
    "resolve/comdat.rs",
    "resolve/alternates.rs",
    "resolve/grouped.rs",
    "resolve/imports.rs",
    "resolve/live.rs",
    "resolve/runtime.rs",
    "resolve/replaceable.rs",
    "resolve/assigned.rs",
    "resolve/gc.rs",
    "resolve/refusals.rs",
    "resolve/library.rs",
    "resolve/builtin.rs",
    "resolve/provided.rs",
    "resolve/hints.rs",
    "resolve/made.rs",
    "resolve/process.rs",
    "resolve/externals.rs",
    "resolve/mod.rs",
    "plan/slots.rs",
    "plan/direct.rs",
    "plan/bounds.rs",
    "plan/thread_local.rs",
    "plan/copies.rs",
    "plan/needs.rs",
    "plan/detours.rs",
    "plan/canonical.rs",
    "plan/mod.rs",
    "destination.rs",
    "apply.rs",
    "apply/relax.rs",
    "detour.rs",
    "thread_local.rs",
    "placed.rs",
    "function_table.rs",
    "names.rs",
    "located.rs",
    "program.rs",
    "symbols.rs",
    "image.rs",
    "replaceable.rs",
];

/// Those that are above all others: the request as a whole, and what the crate exports.
const ENTRANCE: [&str; 2] = ["link.rs", "lib.rs"];

/// A machine that only tests have.
const FAKE: &str = "arch/fake/";

/// Words that belong to a room, and the rooms.
const WORDS: [(&[&str], &[&str]); 4] = [
    // Machines and what their documents call things.
    (
        &["x86", "amd64", "aarch64", "arm64", "riscv", "r_x86", "em_"],
        &["arch/"],
    ),
    // Formats of object files.
    (
        &["elf::", "\"elf\"", "coff", "macho", "mach-o"],
        &["arch/", "format/"],
    ),
    // Systems: the memory manager asks them.
    (
        &[
            "linux",
            "cfg(windows",
            "macos",
            "/proc",
            "libc",
            "cfg(target",
            "cfg(unix",
            "consts::os",
        ],
        &[],
    ),
    // Bindings: they know the linker.
    (&["napi", "javascript"], &[]),
];

/// The files of the linker, by their path in `src`, without comments and unit tests.
fn files() -> BTreeMap<String, String> {
    let all = codeslab_testing::sources("crates/codeslab-link/src").into_iter();
    all.filter(|source| !source.is_test())
        .map(|source| (source.path.clone(), source.product()))
        .collect()
}

/// Those that the product consists of.
fn product() -> BTreeMap<String, String> {
    let mut files = files();
    files.retain(|name, _| !name.starts_with(FAKE));
    files
}

fn place_of(file: &str) -> usize {
    let order = ORDER.iter().chain(&ENTRANCE);
    let found = order.into_iter().position(|other| *other == file);
    found.unwrap_or_else(|| panic!("{file} has no place in the order of the files"))
}

/// The names of the modules that lead to a file.
fn modules_of(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| *name != "lib").collect()
}

/// The file that a path leads to: the last of its names that is a module decides.
fn file_of(path: &[&str], files: &BTreeMap<String, String>) -> Option<String> {
    (1..=path.len()).rev().find_map(|count| {
        let name = path[..count].join("/");
        let names = [format!("{name}.rs"), format!("{name}/mod.rs")];
        names.into_iter().find(|name| files.contains_key(name))
    })
}

/// The paths that begin with `start` in some code, without it.
fn paths<'c>(code: &'c str, start: &str) -> Vec<Vec<&'c str>> {
    let is_in_path = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let rest = code.split(start).skip(1);
    rest.map(|rest| {
        let end = rest.find(|letter| !is_in_path(letter));
        rest[..end.unwrap_or(rest.len())].split("::").collect()
    })
    .collect()
}

/// The files that a file imports from.
fn imports(file: &str, code: &str, files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let own = modules_of(file);
    let absolute = paths(code, "crate::").into_iter();
    let relative = paths(code, "super::").into_iter().map(|path| {
        let parent = &own[..own.len().saturating_sub(1)];
        [parent, path.as_slice()].concat()
    });
    absolute
        .chain(relative)
        .filter_map(|path| file_of(&path, files))
        .filter(|imported| imported != file)
        .collect()
}

#[test]
fn every_file_imports_only_from_those_before_it() {
    let files = product();
    assert_eq!(files.len(), ORDER.len() + ENTRANCE.len(), "all are there");
    let mut count = 0;
    for (file, code) in &files {
        for imported in imports(file, code, &files) {
            assert!(
                place_of(&imported) < place_of(file),
                "{file} imports from {imported}, which is above it"
            );
            count += 1;
        }
        place_of(file);
    }
    assert!(count > 60, "{count} imports");
}

/// Whether code has something that begins with `word`.
fn says(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

#[test]
fn machines_formats_and_systems_are_named_in_their_rooms_only() {
    for (file, code) in product() {
        let code = code.to_lowercase();
        for (words, rooms) in WORDS {
            let is_room = rooms.iter().any(|room| file.starts_with(room));
            let said = words.iter().find(|word| says(&code, word));
            assert!(is_room || said.is_none(), "{file} says {said:?}");
        }
    }
}

#[test]
fn the_linker_is_safe_code_but_for_starting_what_it_linked_and_keeping_what_it_parsed() {
    let is_unsafe = |code: &str| says(code, "unsafe {") || says(code, "unsafe fn");
    let files = product();
    let files: Vec<&String> = files
        .iter()
        .filter(|(_, code)| is_unsafe(code) || code.contains("allow(unsafe_code"))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(files, ["image.rs", "kept.rs"]);
}

/// The files outside of `room` whose code names a module.
fn users_of(module: &str, room: &str) -> Vec<String> {
    let files = files();
    let names = [format!("mod {module};"), format!("{module}::")];
    let names_it = |code: &str| names.iter().any(|name| says(code, name));
    let users = files
        .iter()
        .filter(|(file, code)| !file.starts_with(room) && names_it(code));
    users.map(|(file, _)| file.clone()).collect()
}

#[test]
fn a_machine_is_one_folder_and_its_lines_in_one_file() {
    // The fake machine has all that a machine can have: fields of bits, stubs, entries, a table for a format.
    assert_eq!(users_of("fake", FAKE), ["arch/mod.rs"]);
    assert_eq!(users_of("x86_64", "arch/x86_64/"), ["arch/mod.rs"]);
    assert_eq!(users_of("aarch64", "arch/aarch64/"), ["arch/mod.rs"]);
    let lines = files()["arch/mod.rs"]
        .lines()
        .filter(|line| line.contains("fake"))
        .count();
    assert_eq!(lines, 2, "its module and its line in the list of machines");
}

#[test]
fn a_format_is_one_folder_its_lines_in_one_file_and_a_table_of_each_machine() {
    let users = users_of("elf", "format/elf/");
    let of_machines = |file: &&String| !file.starts_with("arch/");
    let users: Vec<&String> = users.iter().filter(of_machines).collect();
    assert_eq!(users, ["format/mod.rs"]);
    let lines = files()["format/mod.rs"]
        .lines()
        .filter(|line| line.contains("elf"))
        .count();
    assert_eq!(lines, 2, "its module and its line in the list of formats");
}
