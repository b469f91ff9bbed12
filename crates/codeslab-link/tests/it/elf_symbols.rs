//! What ELF says of symbols beyond their names: visibility, versions, common symbols of libraries, symbols that linkers make.

use crate::support::{
    Workshop, address, externals, fact, file, link, link_error, link_files, memory, peek, peek_u64,
};
use codeslab_link::LinkOptions;

#[test]
fn a_hidden_symbol_binds_to_nothing_of_the_process() {
    let workshop = Workshop::new();
    let weak = ".weak strlen\n.hidden strlen\n.data\n.globl p\np: .quad strlen\n";
    let weak = workshop.assemble("weak", weak);
    let image = link_files(&memory(), &[("weak.o", &weak)]);
    assert_eq!(peek_u64(address(&image, "p")), 0);
    // One object that says so is enough.
    let plain = workshop.assemble("plain", ".weak strlen\n.data\n.globl q\nq: .quad strlen\n");
    let image = link_files(&memory(), &[("plain.o", &plain), ("weak.o", &weak)]);
    assert_eq!(peek_u64(address(&image, "q")), 0);
    let strong = ".hidden strlen\n.data\n.globl p\np: .quad strlen\n";
    let strong = workshop.assemble("strong", strong);
    let inputs = [file("strong.o", &strong)];
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(
        (error.code(), fact(&error, "symbol").as_str()),
        ("UNDEFINED_SYMBOL", "strlen")
    );
    assert!(error.to_string().contains("it is hidden"), "{error}");
    let image = link(&memory(), &inputs, &externals(&[("strlen", 7)])).expect("it is given");
    assert_eq!(peek_u64(address(&image, "p")), 7);
}

#[test]
fn a_protected_symbol_is_the_image_s_own() {
    let source =
        ".protected strlen\n.globl strlen\n.data\nstrlen: .quad 5\n.globl p\np: .quad strlen\n";
    let object = Workshop::new().assemble("protected", source);
    let image = link_files(&memory(), &[("protected.o", &object)]);
    assert_eq!(peek_u64(address(&image, "p")), address(&image, "strlen"));
}

#[test]
fn a_version_of_the_process_is_used_where_a_reference_names_one() {
    let source =
        |version: &str| format!(".symver old, memcpy@{version}\n.data\n.globl p\np: .quad old\n");
    let workshop = Workshop::new();
    let object = workshop.assemble("old", &source("GLIBC_2.2.5"));
    let inputs = [file("old.o", &object)];
    let expected = codeslab::process_symbol_version("memcpy", "GLIBC_2.2.5").expect("memcpy");
    let image = link(&memory(), &inputs, &LinkOptions::default()).expect("the process has it");
    assert_eq!(peek_u64(address(&image, "p")), expected.value());
    let image = link(&memory(), &inputs, &externals(&[("memcpy", 7)])).expect("it is given");
    assert_eq!(
        peek_u64(address(&image, "p")),
        7,
        "an external has all versions"
    );
    let object = workshop.assemble("none", &source("NO_SUCH_VERSION"));
    let error = link_error(&[file("none.o", &object)], &LinkOptions::default());
    assert_eq!(fact(&error, "symbol"), "memcpy@NO_SUCH_VERSION");
}

#[test]
fn a_reference_means_the_default_version_unless_it_names_another() {
    let library = "
        .data
        .globl new, old
        .symver new, foo@@V2
        .symver old, foo@V1
        new: .quad 2
        old: .quad 1
    ";
    let user = "
        .symver exact, foo@V2
        .symver first, foo@V1
        .data
        .globl p
        p: .quad foo, exact, first
    ";
    let workshop = Workshop::new();
    let library = workshop.assemble("library", library);
    let user = workshop.assemble("user", user);
    workshop.run("ar", &["rcs", "library.a", "library.o"]);
    let archive = workshop.read("library.a");
    let values = |image: &codeslab_link::Image| {
        let p = address(image, "p");
        [0, 8, 16].map(|offset| peek_u64(peek_u64(p + offset)))
    };
    for order in [
        [("library.o", &library[..]), ("user.o", &user[..])],
        [("user.o", &user[..]), ("library.o", &library[..])],
    ] {
        let image = link_files(&memory(), &order);
        assert_eq!(values(&image), [2, 2, 1]);
        assert_eq!(address(&image, "foo"), address(&image, "foo@V2"));
        assert_eq!(peek_u64(address(&image, "foo@V1")), 1);
    }
    let options = LinkOptions {
        libraries: vec![file("library.a", &archive)],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("user.o", &user)], &options).expect("the index has it");
    assert_eq!(values(&image), [2, 2, 1]);
}

#[test]
fn a_name_and_its_default_version_are_one_symbol_of_an_object() {
    let source = ".data\n.globl foo\n.symver foo, foo@@V2\nfoo: .quad 2\n";
    let object = Workshop::new().assemble("both", source);
    let image = link_files(&memory(), &[("both.o", &object)]);
    assert_eq!(peek_u64(address(&image, "foo")), 2);
    assert_eq!(peek_u64(address(&image, "foo@V2")), 2);
}

#[test]
fn a_common_symbol_takes_the_member_that_gives_it_a_value_and_no_other() {
    let workshop = Workshop::new();
    let user = workshop.assemble(
        "user",
        ".comm block, 8, 8\n.data\n.globl p\np: .quad block\n",
    );
    workshop.assemble("value", ".data\n.globl block\nblock: .quad 77\n");
    workshop.assemble(
        "common",
        ".comm block, 64, 8\n.data\n.globl other\nother: .quad 1\n",
    );
    for (member, is_taken, value) in [("value", true, 77), ("common", false, 0)] {
        workshop.run(
            "ar",
            &["rcs", &format!("{member}.a"), &format!("{member}.o")],
        );
        let archive = workshop.read(&format!("{member}.a"));
        let options = LinkOptions {
            libraries: vec![file("lib.a", &archive)],
            ..LinkOptions::default()
        };
        let image = link(&memory(), &[file("user.o", &user)], &options).expect(member);
        assert_eq!(peek_u64(peek_u64(address(&image, "p"))), value, "{member}");
        let object = image.symbol("block").expect("block").object.to_string();
        assert_eq!(object.contains(member), is_taken, "{object}");
        assert_eq!(image.address("other"), None);
    }
    // What is looked into for its value can still be taken for something else.
    let also = workshop.assemble(
        "also",
        ".comm block, 8, 8\n.data\n.globl p\np: .quad block, other\n",
    );
    let archive = workshop.read("common.a");
    let options = LinkOptions {
        libraries: vec![file("lib.a", &archive)],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("also.o", &also)], &options).expect("it links");
    assert_eq!(peek_u64(address(&image, "other")), 1);
}

#[test]
fn the_ends_of_sections_cover_all_of_a_name_whatever_their_protection() {
    let workshop = Workshop::new();
    let use_of =
        ".data\n.globl first, last\nfirst: .quad __start_table\nlast: .quad __stop_table\n";
    let use_of = workshop.assemble("use", use_of);
    let entry = |name: &str, flags: &str, value: u64| {
        let source = format!(".section table, \"{flags}\"\n.globl {name}\n{name}: .quad {value}\n");
        workshop.assemble(name, &source)
    };
    let (constant, data, code) = (
        entry("constant", "a", 3),
        entry("data", "aw", 4),
        entry("code", "ax", 5),
    );
    let entries = |others: [&[u8]; 2]| {
        let image = link_files(
            &memory(),
            &[
                ("use.o", &use_of),
                ("one.o", others[0]),
                ("two.o", others[1]),
            ],
        );
        let (first, last) = (
            peek_u64(address(&image, "first")),
            peek_u64(address(&image, "last")),
        );
        let symbols = image.symbols().filter(|symbol| symbol.size == 0);
        let table = symbols.filter(|symbol| ["constant", "data", "code"].contains(&&*symbol.name));
        let protections: Vec<_> = table.map(|symbol| symbol.protection).collect();
        assert_eq!(protections[0], protections[1]);
        let all: Vec<u64> = (first..last).step_by(8).map(peek_u64).collect();
        (all, protections[0].map(codeslab::Protection::name))
    };
    assert_eq!(entries([&constant, &data]), (vec![3, 4], Some("rw")));
    assert_eq!(entries([&data, &constant]), (vec![4, 3], Some("rw")));
    assert_eq!(entries([&constant, &code]), (vec![3, 5], Some("rx")));
    let inputs = [("use.o", &use_of), ("data.o", &data), ("code.o", &code)];
    let inputs = inputs.map(|(name, bytes)| file(name, bytes));
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(error.code(), "WRITABLE_CODE", "{error}");
}

#[test]
fn the_ends_of_an_image_s_memory_are_its_own() {
    let source = "
        .text
        .globl code
        code: ret
        .data
        .globl p, value
        value: .quad 7
        p: .quad __executable_start, _etext, _edata, __bss_start, _end
        .bss
        .globl zeros
        zeros: .zero 64
    ";
    let object = Workshop::new().assemble("ends", source);
    let image = link_files(&memory(), &[("ends.o", &object)]);
    let p = address(&image, "p");
    let [start, etext, edata, bss, end] = [0, 8, 16, 24, 32].map(|offset| peek_u64(p + offset));
    assert_eq!(start, address(&image, "code"));
    assert_eq!(etext, start + 1);
    assert_eq!((edata, bss), (p + 40, p + 40));
    assert_eq!(end, address(&image, "zeros") + 64);
}

#[test]
fn what_describes_a_file_says_that_there_is_nothing_and_weak_references_to_it_are_null() {
    let workshop = Workshop::new();
    let weak = ".weak __ehdr_start\n.hidden __ehdr_start\n.data\n.globl p\np: .quad __ehdr_start\n";
    let weak = workshop.assemble("weak", weak);
    let image = link_files(&memory(), &[("weak.o", &weak)]);
    assert_eq!(peek_u64(address(&image, "p")), 0);
    let strong = ".data\n.globl p\np: .quad __ehdr_start, _DYNAMIC\n";
    let strong = workshop.assemble("strong", strong);
    let image = link_files(&memory(), &[("strong.o", &strong)]);
    let p = address(&image, "p");
    let (header, dynamic) = (peek_u64(p), peek_u64(p + 8));
    assert_eq!(&peek::<4>(header), b"\x7fELF");
    // e_phoff, e_phnum with e_shentsize, and the tag that ends a dynamic section.
    assert_eq!(peek_u64(header + 32), 0);
    assert_eq!(peek::<2>(header + 56), [0; 2]);
    assert_eq!(peek_u64(dynamic), 0);
    assert!(image.address("_DYNAMIC").is_some());
}

#[test]
fn names_that_are_no_text_find_each_other_and_can_be_asked_for() {
    let workshop = Workshop::new();
    let definition = ".data\n.globl gr\u{1}\u{2}e\ngr\u{1}\u{2}e: .quad 42\n";
    let reference = ".data\n.globl p\np: .quad gr\u{1}\u{2}e\n";
    let [definition, reference] =
        [("definition", definition), ("reference", reference)].map(|(name, source)| {
            // In Latin-1, as an editor of the time would have written it.
            let source = source.replace(['\u{1}', '\u{2}'], "x");
            let mut object = workshop.assemble(name, &source);
            let at = object
                .windows(5)
                .position(|bytes| bytes == b"grxxe")
                .expect("a name");
            object[at + 2..at + 4].copy_from_slice(b"\xf6\xdf");
            object
        });
    std::fs::write(workshop.path("definition.o"), &definition).expect("it is writable");
    workshop.run("ar", &["rcs", "names.a", "definition.o"]);
    let image = link_files(&memory(), &[("d.o", &definition), ("r.o", &reference)]);
    assert_eq!(peek_u64(peek_u64(address(&image, "p"))), 42);
    assert_eq!(
        image
            .address("gr\\xf6\\xdfe")
            .map(|at| peek_u64(at.value())),
        Some(42)
    );
    let archive = workshop.read("names.a");
    let options = LinkOptions {
        libraries: vec![file("names.a", &archive)],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("r.o", &reference)], &options).expect("the index has it");
    assert_eq!(peek_u64(peek_u64(address(&image, "p"))), 42);
}

#[test]
fn alignments_of_several_mebibytes_are_kept() {
    let source = |align: u32| {
        format!(
            ".section .data.far, \"aw\"\n.p2align {align}\n.globl far\nfar: .quad 7\n\
             .text\n.p2align {align}\n.globl code\ncode: ret\n\
             .section .rodata\n.p2align {align}\n.globl table\ntable: .quad 9\n"
        )
    };
    for align in [20, 21, 22] {
        let object = Workshop::new().assemble("aligned", &source(align));
        let memory = memory();
        let image = link_files(&memory, &[("aligned.o", &object)]);
        for name in ["far", "code", "table"] {
            assert_eq!(address(&image, name) % (1 << align), 0, "{name}");
        }
        assert_eq!(peek_u64(address(&image, "far")), 7);
        assert_eq!(peek_u64(address(&image, "table")), 9);
    }
    let object = Workshop::new().assemble("aligned", &source(23));
    let error = link_error(&[file("aligned.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "INVALID_ALIGNMENT");
}
