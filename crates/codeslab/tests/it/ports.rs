//! What PORTING.md promises of ports: a system or a processor is its own folder or file, and two lines elsewhere.

use std::collections::BTreeMap;

/// Where systems are chosen, and where processors.
const CHOICES: [&str; 2] = ["sys/mod.rs", "sys/arch/mod.rs"];

/// The sources of the memory manager with its tests, by their path in `src`, without comments.
fn sources() -> BTreeMap<String, String> {
    let all = codeslab_testing::sources("crates/codeslab/src").into_iter();
    all.map(|source| (source.path.clone(), source.code()))
        .collect()
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
            "target_vendor",
            "target_endian",
            "target_feature",
            "target_pointer_width",
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
        let of_unix = ["sys/linux/", "sys/macos/", "sys/dynamic_linker.rs"];
        let rooms: [(&[&str], &str); 2] =
            [(&of_unix, "libc::"), (&["sys/windows/"], "windows_sys::")];
        for (rooms, calls) in rooms {
            assert!(
                rooms.iter().any(|room| file.starts_with(room)) || !code.contains(calls),
                "{file} calls the system"
            );
        }
    }
}
