//! Archives with members of this format, as Apple's tools write them, and files for several machines.

use super::assembled;
use crate::support::{
    address, fact, file, function, link, link_error, link_files, memory, peek_u64,
};
use codeslab_link::{LinkOptions, ParsedFile};

/// An archive as `libtool` writes it: names before the contents, and an index (`__.SYMDEF`) of the symbols of each member.
pub(super) fn archive(members: &[(&str, &[u8], &[&str])]) -> Vec<u8> {
    let padded = |length: usize| length.next_multiple_of(8);
    let member = |name: &str, content: &[u8]| {
        let long = padded(name.len() + 1);
        let size = long + content.len();
        let name_field = format!("#1/{long}");
        let header = format!(
            "{name_field:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        );
        let mut bytes = header.into_bytes();
        bytes.extend(name.bytes());
        bytes.resize(60 + long, 0);
        bytes.extend(content);
        if bytes.len() % 2 == 1 {
            bytes.push(b'\n');
        }
        bytes
    };
    let symbols = members
        .iter()
        .map(|(_, _, symbols)| symbols.len())
        .sum::<usize>();
    let names: usize = members
        .iter()
        .flat_map(|member| member.2)
        .map(|name| name.len() + 1)
        .sum();
    let index_size = 8 + symbols * 8 + padded(names);
    let index_member = member("__.SYMDEF", &vec![0; index_size]);
    let mut at = 8 + index_member.len();
    let (mut entries, mut strings, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for (name, content, symbols) in members {
        for symbol in *symbols {
            entries.extend((strings.len() as u32).to_le_bytes());
            entries.extend((at as u32).to_le_bytes());
            strings.extend(symbol.bytes().chain([0]));
        }
        let body = member(name, content);
        at += body.len();
        bodies.extend(body);
    }
    strings.resize(padded(names), 0);
    let lengths = [(symbols * 8) as u32, padded(names) as u32];
    let index = [
        &lengths[0].to_le_bytes()[..],
        &entries,
        &lengths[1].to_le_bytes(),
        &strings,
    ];
    [
        b"!<arch>\n".to_vec(),
        member("__.SYMDEF", &index.concat()),
        bodies,
    ]
    .concat()
}

/// A file with parts for machines: number, subtype, and content.
pub(super) fn universal(parts: &[(u32, u32, &[u8])]) -> Vec<u8> {
    const ALIGN_LOG2: u32 = 4;
    let mut at = (8 + 20 * parts.len()).next_multiple_of(16);
    let mut header = vec![0xca, 0xfe, 0xba, 0xbe];
    header.extend((parts.len() as u32).to_be_bytes());
    let mut bodies = Vec::new();
    for (machine, subtype, content) in parts {
        for number in [
            *machine,
            *subtype,
            at as u32,
            content.len() as u32,
            ALIGN_LOG2,
        ] {
            header.extend(number.to_be_bytes());
        }
        bodies.extend(*content);
        bodies.resize(bodies.len().next_multiple_of(16), 0);
        at += content.len().next_multiple_of(16);
    }
    header.resize(header.len().next_multiple_of(16), 0);
    [header, bodies].concat()
}

const X86_64: u32 = 0x0100_0007;
const ARM64: u32 = 0x0100_000c;

#[test]
fn members_are_found_by_the_names_of_c() {
    let test = "members_are_found_by_the_names_of_c";
    let (Some(answer), Some(other), Some(user)) = (
        assembled(test, ".text\n.globl _answer\n_answer: jmp _deeper\n"),
        assembled(
            test,
            ".text\n.globl _deeper\n_deeper: movl $42, %eax\nret\n",
        ),
        assembled(test, ".text\n.globl _main\n_main: jmp _answer\n"),
    ) else {
        return;
    };
    // Two members have one name, which is no matter.
    let members: [(&str, &[u8], &[&str]); 2] = [
        ("a_long_name_of_a_member.o", &answer, &["_answer"]),
        ("a_long_name_of_a_member.o", &other, &["_deeper"]),
    ];
    let library = archive(&members);
    let files = [file("main.o", &user), file("lib.a", &library)];
    let image = link(&memory(), &files, &LinkOptions::default()).expect("it links");
    assert_eq!(function!(image, "main", extern "C" fn() -> i32)(), 42);
    let kept = ParsedFile::parse("lib.a", &library).expect("it is an archive");
    let files = [file("main.o", &user), codeslab_link::Input::Parsed(&kept)];
    let image = link(&memory(), &files, &LinkOptions::default()).expect("it links");
    assert_eq!(function!(image, "main", extern "C" fn() -> i32)(), 42);
    let roots = LinkOptions {
        roots: vec!["deeper".to_owned()],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("lib.a", &library)], &roots).expect("it links");
    assert!(image.address("answer").is_none(), "only what is needed");
    assert_eq!(function!(image, "deeper", extern "C" fn() -> i32)(), 42);
}

#[test]
fn of_a_file_for_several_machines_the_part_for_this_one_counts() {
    let test = "of_a_file_for_several_machines_the_part_for_this_one_counts";
    let Some(object) = assembled(test, ".data\n.globl _it\n_it: .quad 5\n") else {
        return;
    };
    let noise = [0xee; 40];
    let parts: [(u32, u32, &[u8]); 3] = [(7, 3, &noise), (X86_64, 3, &object), (ARM64, 0, &noise)];
    let image = link_files(&memory(), &[("fat.o", &universal(&parts))]);
    assert_eq!(peek_u64(address(&image, "it")), 5);
    // An archive in it, and it in an archive.
    let library = archive(&[("it.o", &object, &["_it"])]);
    let library = universal(&[(ARM64, 0, &noise), (X86_64, 3, &library)]);
    let image = link_files(&memory(), &[("lib.a", &library)]);
    assert_eq!(peek_u64(address(&image, "it")), 5);
    let others = universal(&[(7, 3, &noise), (ARM64, 2, &noise), (99, 0, &noise)]);
    let error = link_error(&[file("others", &others)], &LinkOptions::default());
    assert_eq!(error.code(), "WRONG_ARCHITECTURE");
    assert_eq!(fact(&error, "found"), "x86, arm64e, Mach-O machine 0x63");
}

#[test]
fn a_part_that_is_not_there_is_an_error_and_compiled_java_is_no_such_file() {
    let mut file_ = universal(&[(X86_64, 3, &[0; 16])]);
    // Its offset.
    file_[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = link_error(&[file("fat", &file_)], &LinkOptions::default());
    assert_eq!(error.code(), "MALFORMED");
    let java = b"\xca\xfe\xba\xbe\0\0\0\x41rest of it";
    let error = link_error(&[file("A.class", java)], &LinkOptions::default());
    assert_eq!(error.code(), "UNKNOWN_FORMAT");
}
