//! What PORTING.md promises of ports: a system or a processor is its own folder or file, and two lines elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where systems are chosen, and where processors.
const CHOICES: [&str; 2] = ["sys/mod.rs", "sys/arch/mod.rs"];

fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_in(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The sources of the memory manager, by their path in `src`, without comments.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_in(&root, &mut files);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("a path in `src`");
        let name = name.to_string_lossy().replace('\\', "/");
        let text = std::fs::read_to_string(&path).expect("a source file");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (name, code.collect::<Vec<_>>().join("\n"))
    };
    files.into_iter().map(read).collect()
}

fn lines_with(code: &str, word: &str) -> usize {
    code.lines().filter(|line| line.contains(word)).count()
}

#[test]
fn a_target_is_asked_for_where_ports_are_chosen_and_nowhere_else() {
    for (file, code) in sources() {
        let asks = [
            "target_os",
            "target_arch",
            "target_env",
            "target_family",
            "cfg(unix",
            "cfg(windows",
        ];
        let asked: Vec<_> = asks.iter().filter(|ask| code.contains(**ask)).collect();
        assert!(
            asked.is_empty() || CHOICES.contains(&file.as_str()),
            "{file} asks for {asked:?}"
        );
    }
}

#[test]
fn a_port_is_two_lines_outside_of_its_own_folder_or_file() {
    let sources = sources();
    for (choice, question) in CHOICES.iter().zip(["target_os = ", "target_arch = "]) {
        let code = &sources[*choice];
        let folder = choice.trim_end_matches("mod.rs");
        let names = code.split(question).skip(1);
        let names: Vec<_> = names.filter_map(|rest| rest.split('"').nth(1)).collect();
        assert!(!names.is_empty(), "{choice} chooses");
        for name in names {
            let asked = format!("{question}\"{name}\"");
            assert_eq!(lines_with(code, &asked), 2, "{choice}: {name}");
            let own = [
                format!("{folder}{name}.rs"),
                format!("{folder}{name}/mod.rs"),
            ];
            assert!(
                own.iter().any(|file| sources.contains_key(file)),
                "{name} has a room of its own"
            );
        }
    }
}

#[test]
fn instructions_and_system_calls_stand_in_the_rooms_of_ports() {
    for (file, code) in sources() {
        let is_of_processor = file.starts_with("sys/arch/");
        assert!(
            is_of_processor || !code.contains("asm!("),
            "{file} has instructions"
        );
        assert!(
            is_of_processor || !code.contains("std::arch::"),
            "{file} uses the processor's intrinsics"
        );
        let is_of_system = file.starts_with("sys/linux/");
        assert!(
            is_of_system || !code.contains("libc::"),
            "{file} calls the system"
        );
    }
}
