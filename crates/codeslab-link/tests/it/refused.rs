//! What cannot be linked, refused by name before any memory is taken (`link_error` compares the stats).

use crate::support::{Workshop, externals, fact, file, link_error, memory};
use codeslab_link::{Error, LinkOptions, link};

fn error_of(source: &str) -> codeslab_link::Error {
    let object = Workshop::new().assemble("refused", source);
    link_error(&[file("refused.o", &object)], &LinkOptions::default())
}

#[track_caller]
fn assert_unsupported(source: &str, feature: &str, section: &str, offset: &str, symbol: &str) {
    let error = error_of(source);
    assert_eq!(error.code(), "UNSUPPORTED", "{error}");
    assert_eq!(fact(&error, "feature"), feature, "{error}");
    assert_eq!(fact(&error, "object"), "refused.o");
    assert_eq!(fact(&error, "section"), section);
    assert_eq!(fact(&error, "offset"), offset);
    assert_eq!(fact(&error, "symbol"), symbol);
}

#[test]
fn an_empty_table_of_constructors_links() {
    let source = ".section .init_array, \"aw\", @init_array\n.data\n.quad 1\n";
    let object = Workshop::new().assemble("empty", source);
    link(
        &memory(),
        &[file("empty.o", &object)],
        &LinkOptions::default(),
    )
    .expect("it links");
}

#[test]
fn sections_that_are_both_writable_and_executable_are_refused() {
    let error = error_of(".section .odd, \"awx\"\nnop\n");
    assert_eq!(error.code(), "WRITABLE_CODE");
    assert_eq!(
        (fact(&error, "object"), fact(&error, "section")),
        ("refused.o".into(), ".odd".into())
    );
}

#[test]
fn files_for_other_machines_and_of_other_types_are_refused_by_name() {
    let workshop = Workshop::new();
    let object = workshop.assemble("object", ".text\nret\n");
    let with = |offset: usize, value: u8| {
        let mut bytes = object.clone();
        bytes[offset] = value;
        link_error(&[file("object.o", &bytes)], &LinkOptions::default())
    };
    // e_machine
    assert_eq!(
        with(18, 183).to_string(),
        "object.o: made for aarch64, not for x86_64"
    );
    assert_eq!(fact(&with(18, 243), "found"), "RISC-V");
    assert_eq!(fact(&with(18, 8), "found"), "ELF machine 8");
    // EI_CLASS, EI_DATA
    assert_eq!(fact(&with(4, 1), "found"), "a 32-bit machine");
    assert_eq!(fact(&with(5, 2), "found"), "a big-endian machine");
    assert_eq!(with(4, 9).code(), "MALFORMED");
    // e_type
    for (kind, name) in [
        (2, "executable"),
        (3, "shared object"),
        (4, "core dump"),
        (77, "77"),
    ] {
        let error = with(16, kind);
        assert_eq!(
            (error.code(), fact(&error, "found").as_str()),
            ("NOT_RELOCATABLE", name)
        );
    }
}

#[test]
fn bytes_that_are_neither_object_nor_archive_are_refused() {
    for bytes in [&b""[..], b"\x7fEL", b"!<arch>", b"int main(void);"] {
        let error = link_error(&[file("thing", bytes)], &LinkOptions::default());
        assert_eq!(
            (error.code(), fact(&error, "object").as_str()),
            ("UNKNOWN_FORMAT", "thing")
        );
    }
}

#[test]
fn a_member_that_cannot_be_linked_is_no_error_until_it_is_needed() {
    let workshop = Workshop::new();
    workshop.assemble("good", ".text\n.globl good\ngood: ret\n");
    workshop.assemble("bad", ".globl bad\nbad: ret\n.section .odd, \"awx\"\nnop\n");
    workshop.run("ar", &["rc", "both.a", "good.o", "bad.o"]);
    let archive = workshop.read("both.a");
    let inputs = [file("both.a", &archive)];
    let options = |root: &str| LinkOptions {
        roots: vec![root.to_owned()],
        ..LinkOptions::default()
    };
    link(&memory(), &inputs, &options("good")).expect("only good.o takes part");
    assert_eq!(
        fact(&link_error(&inputs, &options("bad")), "object"),
        "both.a(bad.o)"
    );
    assert_eq!(
        link_error(&inputs, &LinkOptions::default()).code(),
        "WRITABLE_CODE"
    );
}

#[test]
fn an_alignment_that_is_no_power_of_two_or_larger_than_a_block_is_refused() {
    let mut object = Workshop::new().assemble("wide", ".text\n.p2align 4\nret\n");
    // e_shoff; .text is section 1, its alignment the seventh word of its header.
    let table = u64::from_le_bytes(object[40..48].try_into().expect("eight bytes")) as usize;
    let align = table + 64 + 48;
    assert_eq!(object[align], 16);
    for (value, text) in [(24_u64, "24"), (1 << 40, "1099511627776")] {
        object[align..align + 8].copy_from_slice(&value.to_le_bytes());
        let error = link_error(&[file("wide.o", &object)], &externals(&[]));
        assert_eq!(error.code(), "INVALID_ALIGNMENT");
        assert_eq!(
            (
                fact(&error, "section").as_str(),
                fact(&error, "align").as_str()
            ),
            (".text", text)
        );
    }
}

#[test]
fn more_bytes_than_code_can_span_are_refused_with_their_number() {
    let error = error_of(".bss\n.zero 1 << 40\n");
    assert_eq!(
        (error.code(), fact(&error, "size")),
        ("TOO_LARGE", (1_u64 << 40).to_string())
    );
    assert!(matches!(error, Error::Memory(_)), "{error:?}");
}

/// Changes one word of the header of the section that has the relocations of `.data`, or of `.data` itself.
fn with_header_word(section: &str, offset: usize, value: u32) -> Error {
    let mut object = Workshop::new().assemble("refused", ".data\n.quad there\n.globl there\n");
    let word =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a word"));
    let table = word(&object, 40) as usize;
    let names = table + 64 * usize::from(object[62]);
    let names = word(&object, names + 24) as usize;
    let is_called = |header: &usize| {
        let name = names + word(&object, *header) as usize;
        object[name..].starts_with(section.as_bytes()) && object[name + section.len()] == 0
    };
    let headers = (0..usize::from(object[60])).map(|index| table + 64 * index);
    let header = headers.into_iter().find(is_called).expect(section);
    object[header + offset..][..4].copy_from_slice(&value.to_le_bytes());
    link_error(&[file("refused.o", &object)], &LinkOptions::default())
}

#[test]
fn relocation_tables_without_addends_are_refused() {
    // sh_type becomes SHT_REL.
    let error = with_header_word(".rela.data", 4, 9);
    assert_eq!(
        (error.code(), fact(&error, "feature").as_str()),
        ("UNSUPPORTED", "relocation-format")
    );
    assert_eq!(fact(&error, "section"), ".data");
}

#[test]
fn what_starts_a_program_is_refused_by_name() {
    for name in ["__libc_setup_tls", "__asan_init", "__cfi_init"] {
        let source = format!(".globl {name}\n{name}: ret\n");
        let object = Workshop::new().assemble("start", &source);
        let error = link_error(&[file("start.o", &object)], &LinkOptions::default());
        assert_eq!(error.code(), "UNSUPPORTED");
        assert_eq!(fact(&error, "feature"), "process-runtime");
        assert_eq!(fact(&error, "symbol"), name);
        assert!(
            error.to_string().contains("the process's own serves"),
            "{error}"
        );
    }
}

#[test]
fn what_ds_runtime_has_to_be_told_of_is_refused_by_name() {
    for source in [
        ".globl f\nf: .quad _d_dso_registry\n",
        ".globl _d_dso_registry\n_d_dso_registry: .byte 0\n",
    ] {
        let object = Workshop::new().assemble("module", source);
        let error = link_error(&[file("module.o", &object)], &LinkOptions::default());
        assert_eq!(error.code(), "UNSUPPORTED");
        assert_eq!(fact(&error, "feature"), "d-runtime");
        assert_eq!(fact(&error, "symbol"), "_d_dso_registry");
        assert!(error.to_string().contains("-betterC"), "{error}");
    }
}

#[test]
fn packed_relative_relocations_are_refused_in_an_object() {
    let source = ".section .relr.dyn, \"a\", @0x13\n.quad 8\n";
    let object = Workshop::new().assemble("relr", source);
    let error = link_error(&[file("relr.o", &object)], &LinkOptions::default());
    assert_eq!(fact(&error, "feature"), "relocation-format");
}

#[test]
fn compressed_sections_are_refused() {
    // sh_flags becomes writable, loaded and compressed.
    let error = with_header_word(".data", 8, 0x803);
    assert_eq!(
        (error.code(), fact(&error, "feature").as_str()),
        ("UNSUPPORTED", "compressed-section")
    );
}

#[test]
fn headers_that_contradict_the_file_are_malformed() {
    // A size beyond the file, a relocation table of another symbol table, one for a section that is not there.
    assert_eq!(with_header_word(".data", 32, 1 << 30).code(), "MALFORMED");
    assert_eq!(with_header_word(".rela.data", 40, 0).code(), "MALFORMED");
    // A field behind the end of its section.
    assert_eq!(with_header_word(".data", 32, 4).code(), "OUT_OF_BOUNDS");
    // A name behind the end of the names.
    assert_eq!(with_header_word(".data", 0, 1 << 20).code(), "MALFORMED");
}

#[test]
fn objects_of_intermediate_code_are_refused_with_the_flag_to_drop() {
    let flags = ["-O2", "-flto", "-fno-fat-lto-objects"];
    let object = Workshop::new().compile("lto", "int f(void) { return 1; }", &flags);
    let error = link_error(&[file("lto.o", &object)], &LinkOptions::default());
    assert_eq!(
        (error.code(), fact(&error, "feature").as_str()),
        ("UNSUPPORTED", "intermediate-code")
    );
}

#[test]
fn bitcode_is_refused_with_the_flag_to_drop() {
    let wrapped = 0x0b17_c0de_u32.to_le_bytes();
    for bytes in [&b"BC\xc0\xde"[..], &wrapped] {
        let error = link_error(&[file("lto.o", bytes)], &LinkOptions::default());
        assert_eq!(
            (error.code(), fact(&error, "feature").as_str()),
            ("UNSUPPORTED", "intermediate-code")
        );
        assert!(error.to_string().contains("without -flto"), "{error}");
    }
}

#[test]
fn a_stack_that_code_runs_on_is_refused_and_one_that_nothing_is_said_of_is_not() {
    let marked = ".text\nret\n.section .note.GNU-stack, \"x\", @progbits\n";
    assert_unsupported(marked, "executable-stack", ".note.GNU-stack", "0", "");
    let workshop = Workshop::new();
    for note in ["", ".section .note.GNU-stack, \"\", @progbits\n"] {
        let object = workshop.assemble("quiet", &format!(".text\nret\n{note}"));
        link(
            &memory(),
            &[file("quiet.o", &object)],
            &LinkOptions::default(),
        )
        .expect("it links");
    }
}

#[test]
fn each_undefined_symbol_is_told_with_what_needs_it_and_where_it_usually_is() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", ".quad deflate\n");
    let two = workshop.assemble("two", ".quad sin, nobody_has_this, deflate\n");
    let options = LinkOptions {
        process_symbols: false,
        ..LinkOptions::default()
    };
    let error = link_error(&[file("one.o", &one), file("two.o", &two)], &options);
    assert_eq!(fact(&error, "symbols"), "deflate sin nobody_has_this");
    assert_eq!(fact(&error, "neededBy"), "one.o two.o two.o");
    assert_eq!(fact(&error, "libraries"), "libm.so.6 libz.a");
    let text = error.to_string();
    let told = "(and 2 more: sin in two.o, nobody_has_this in two.o)";
    assert!(text.contains(told), "{text}");
    assert!(
        text.ends_with("libraries to look in: libm.so.6, libz.a"),
        "{text}"
    );
}

#[test]
fn all_symbols_that_are_defined_twice_are_told_at_once_with_roots_that_need_none_of_them() {
    let workshop = Workshop::new();
    let define = |names: &[&str]| {
        let lines = names
            .iter()
            .map(|name| format!(".globl {name}\n{name}: ret\n"));
        lines.collect::<String>()
    };
    let one = workshop.assemble("one", &define(&["a", "b", "c"]));
    let two = workshop.assemble("two", &define(&["a", "b"]));
    let three = workshop.assemble("three", &define(&["c", "d"]));
    let four = workshop.assemble("four", &define(&["free_of_them"]));
    let inputs = [
        file("one.o", &one),
        file("two.o", &two),
        file("three.o", &three),
        file("four.o", &four),
    ];
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(error.code(), "DUPLICATE_SYMBOL");
    assert_eq!(fact(&error, "symbol"), "a");
    assert_eq!(
        fact(&error, "refusals").matches("duplicate symbol").count(),
        3
    );
    assert!(fact(&error, "roots").contains("free_of_them"));
    let text = error.to_string();
    let told = "2 objects are refused: 2 for DUPLICATE_SYMBOL (two.o, three.o)";
    assert!(text.contains(told), "{text}");
}
