//! The shapes of LLVM's own tests of Mach-O objects (`JITLink`), from what they are about, with inputs of our own; those that another file
//! has already are only named.

use super::assembled;
use crate::support::{
    address, assert_tests_exist, externals, fact, file, function, link, link_error, link_files,
    memory, peek_u64,
};
use crate::unwinding::is_described;
use codeslab::Address;

/// Each shape, by the name of LLVM's test, and the test of ours that has it. What is about signed pointers is refused as a machine; what is
/// about the dynamic linker of Apple's systems, or LLVM's own tools, has no part here.
const SHAPES: [(&str, &str); 40] = [
    (
        "x86-64/MachO_relocations",
        "distances_count_from_the_end_of_the_instruction",
    ),
    (
        "x86-64/MachO_subtractor_single_block",
        "addresses_and_differences_are_those_of_their_symbols",
    ),
    (
        "x86-64/MachO_self_relocation",
        "what_refers_to_itself_finds_itself",
    ),
    (
        "x86-64/MachO_self_relocation_exec",
        "what_refers_to_itself_finds_itself",
    ),
    (
        "x86-64/MachO-duplicate-local",
        "local_symbols_may_share_a_name",
    ),
    (
        "x86-64/MachO_unnamed_external",
        "a_name_of_nothing_is_a_name",
    ),
    (
        "x86-64/MachO_was_private_extern",
        "what_was_a_private_extern_is_local",
    ),
    ("x86-64/MachO_weak_local", "weak_definitions_may_be_local"),
    (
        "x86-64/MachO_weak_references",
        "weak_definitions_give_way_and_weak_references_may_be_missing",
    ),
    (
        "x86-64/MachO_foo-in-weak-dylib",
        "a_weak_reference_finds_what_is_there",
    ),
    (
        "AArch64/MachO_weak_link",
        "a_weak_reference_finds_what_is_there",
    ),
    (
        "x86-64/MachO_archive_support",
        "members_are_found_by_the_names_of_c",
    ),
    (
        "x86-64/MachO_archive_two_objects_same_name",
        "members_are_found_by_the_names_of_c",
    ),
    (
        "x86-64/MachO_cstring_section_alignment",
        "texts_keep_their_alignment_and_their_neighbours",
    ),
    (
        "x86-64/MachO_cstring_section_splitting",
        "texts_keep_their_alignment_and_their_neighbours",
    ),
    (
        "x86-64/MachO_non_subsections_via_symbols",
        "absolute_symbols_aliases_and_further_entries_are_where_they_say",
    ),
    (
        "x86-64/MachO_alt_entry",
        "absolute_symbols_aliases_and_further_entries_are_where_they_say",
    ),
    (
        "x86-64/MachO-check-dwarf-filename",
        "c_of_every_kind_of_code_runs",
    ),
    (
        "x86-64/MachO_ehframe",
        "the_unwinder_is_told_of_sound_tables_only",
    ),
    (
        "x86-64/MachO_ehframe_bad_fde_cie-ptr_out-of-range",
        "the_unwinder_is_told_of_sound_tables_only",
    ),
    (
        "x86-64/MachO_ehframe_bad_fde_pc-begin_out-of-range",
        "the_unwinder_is_told_of_sound_tables_only",
    ),
    (
        "x86-64/MachO_compact_unwind",
        "what_callers_keep_in_registers_survives_exceptions_through_every_kind_of_frame",
    ),
    (
        "x86-64/MachO_compact_unwind_dso_base",
        "cpp_throws_and_catches_where_the_process_has_its_runtime",
    ),
    (
        "x86-64/MachO_zero_fill_alignment",
        "zeros_literals_and_ends_of_sections_are_there",
    ),
    (
        "x86-64/MachO_common_symbols",
        "common_symbols_share_memory_of_the_largest_and_are_aligned",
    ),
    ("x86-64/MachO_tlv", "every_thread_has_variables_of_its_own"),
    (
        "AArch64/MachO_relocations",
        "sections_are_what_another_linker_makes_of_them",
    ),
    (
        "AArch64/MachO_subtractor_single_block",
        "sections_are_what_another_linker_makes_of_them",
    ),
    (
        "AArch64/MachO_got_stub_optimizations",
        "entries_of_64_bit_arm_lead_to_their_symbols",
    ),
    (
        "AArch64/MachO_ehframe",
        "unwind_tables_of_64_bit_arm_lead_to_their_functions",
    ),
    (
        "AArch64/MachO_compact_unwind",
        "what_callers_keep_in_registers_survives_exceptions_through_every_kind_of_frame",
    ),
    (
        "AArch64/MachO_compact_unwind_dso_base",
        "cpp_throws_and_catches_where_the_process_has_its_runtime",
    ),
    (
        "AArch64/MachO_common_symbol_x_multiple_defs",
        "a_definition_takes_the_place_of_a_common_symbol",
    ),
    (
        "AArch64/MachO_section_start_and_stop_symbols",
        "zeros_literals_and_ends_of_sections_are_there",
    ),
    (
        "AArch64/MachO_universal_slice_selection",
        "of_a_file_for_several_machines_the_part_for_this_one_counts",
    ),
    (
        "AArch64/MachO_ptrauth-globals",
        "files_for_others_are_refused_with_what_they_are",
    ),
    (
        "AArch64/MachO_ptrauth-null-global",
        "files_for_others_are_refused_with_what_they_are",
    ),
    (
        "AArch64/MachO_ptrauth_dependencies",
        "files_for_others_are_refused_with_what_they_are",
    ),
    (
        "Generic/MachO_universal_binaries",
        "of_a_file_for_several_machines_the_part_for_this_one_counts",
    ),
    (
        "Generic/MachO_universal_binaries_weak_library",
        "a_weak_reference_finds_what_is_there",
    ),
];

#[test]
fn every_shape_has_a_test() {
    assert_tests_exist(&SHAPES, &["tests/it/macho", "src/apple_tests"]);
}

#[test]
fn what_refers_to_itself_finds_itself() {
    let test = "what_refers_to_itself_finds_itself";
    let source = "
        .text
        .globl _where, _twice
        _where: leaq _where(%rip), %rax
                ret
        _twice: decl %edi
                jz l_end
                callq _twice
        l_end:  leaq _twice(%rip), %rax
                ret
        .data
        .globl _self
        _self:  .quad _self, . - _self
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("self.o", &object)]);
    let call = |name: &str| function!(image, name, extern "C" fn(i32) -> u64)(3);
    for name in ["where", "twice"] {
        assert_eq!(call(name), address(&image, name));
    }
    let own = address(&image, "self");
    assert_eq!((peek_u64(own), peek_u64(own + 8)), (own, 8));
}

/// Replaces bytes of an object that are there once.
fn patched(object: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places = || {
        object
            .windows(from.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == from)
    };
    assert_eq!(places().count(), 1, "{from:?}");
    let at = places().next().map(|(at, _)| at).expect("there is one");
    let mut patched = object.to_vec();
    patched[at..at + to.len()].copy_from_slice(to);
    patched
}

#[test]
fn local_symbols_may_share_a_name() {
    let test = "local_symbols_may_share_a_name";
    let source = ".data\n.globl _both\n_both: .quad _x1, _x2\n_x1: .quad 1\n_x2: .quad 2\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let object = patched(&object, b"\0_x2\0", b"\0_x1\0");
    let image = link_files(&memory(), &[("locals.o", &object)]);
    let both = address(&image, "both");
    let values = [0, 8].map(|offset| peek_u64(peek_u64(both + offset)));
    assert_eq!(values, [1, 2]);
}

#[test]
fn a_name_of_nothing_is_a_name() {
    let test = "a_name_of_nothing_is_a_name";
    let Some(object) = assembled(test, ".data\n.quad _nameless\n") else {
        return;
    };
    let object = patched(&object, b"_nameless", b"\0");
    let error = link_error(&[file("it.o", &object)], &externals(&[]));
    assert_eq!(error.code(), "UNDEFINED_SYMBOL");
    assert_eq!(fact(&error, "symbol"), "\u{1}");
}

#[test]
fn what_was_a_private_extern_is_local() {
    let test = "what_was_a_private_extern_is_local";
    let source =
        ".data\n.private_extern _inner\n_inner: .quad 5\n.globl _outer\n_outer: .quad _inner\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    // The symbol's type, section 2, no description: an external one no more.
    let object = patched(&object, &[0x1f, 2, 0, 0], &[0x1e, 2, 0, 0]);
    let image = link_files(&memory(), &[("one.o", &object)]);
    assert_eq!(peek_u64(peek_u64(address(&image, "outer"))), 5);
    assert!(image.address("inner").is_none());
}

#[test]
fn weak_definitions_may_be_local() {
    let test = "weak_definitions_may_be_local";
    let source =
        ".data\n.globl _seen\n.weak_definition _local\n_local: .quad 6\n_seen: .quad _local\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("weak.o", &object)]);
    assert_eq!(peek_u64(peek_u64(address(&image, "seen"))), 6);
}

#[test]
fn a_weak_reference_finds_what_is_there() {
    let test = "a_weak_reference_finds_what_is_there";
    let source = ".data\n.globl _maybe\n.weak_reference _foo\n_maybe: .quad _foo\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let memory = memory();
    for (given, expected) in [(&[("foo", 0x1234)][..], 0x1234), (&[], 0)] {
        let image = link(&memory, &[file("weak.o", &object)], &externals(given));
        let image = image.expect("it links");
        assert_eq!(peek_u64(address(&image, "maybe")), expected);
    }
}

#[test]
fn a_definition_takes_the_place_of_a_common_symbol() {
    let test = "a_definition_takes_the_place_of_a_common_symbol";
    let common = ".comm _x, 4, 2\n.data\n.globl _seen\n_seen: .quad _x\n";
    let strong = ".data\n.globl _x\n_x: .quad 42\n";
    let (Some(common), Some(strong)) = (assembled(test, common), assembled(test, strong)) else {
        return;
    };
    let orders = [
        [("common.o", &common[..]), ("strong.o", &strong[..])],
        [("strong.o", &strong[..]), ("common.o", &common)],
    ];
    for order in orders {
        let image = link_files(&memory(), &order);
        assert_eq!(peek_u64(peek_u64(address(&image, "seen"))), 42);
    }
}

#[test]
fn texts_keep_their_alignment_and_their_neighbours() {
    let test = "texts_keep_their_alignment_and_their_neighbours";
    let source = "
        .cstring
        .p2align 4
        l_first: .asciz \"abc\"
        l_next:  .asciz \"defg\"
        .data
        .globl _texts
        _texts:  .quad l_first, l_next, l_next + 2
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("texts.o", &object)]);
    let texts = address(&image, "texts");
    let [first, next, inside] = [0, 8, 16].map(|offset| peek_u64(texts + offset));
    assert_eq!((first % 16, next - first, inside - next), (0, 4, 2));
    assert_eq!(&crate::support::peek::<5>(next), b"defg\0");
}

/// The table is that of the assembler, without relocations; damages are to its lengths and distances. The function says something that
/// the compact form cannot, so nothing else describes it.
#[test]
fn the_unwinder_is_told_of_sound_tables_only() {
    let test = "the_unwinder_is_told_of_sound_tables_only";
    let source = "
        .text
        .globl _f
        _f: .cfi_startproc
            pushq %rbp
            .cfi_def_cfa_offset 16
            .cfi_offset %rbp, -16
            .cfi_escape 0x2e, 0
            movl $9, %eax
            popq %rbp
            ret
            .cfi_endproc
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    // The distance of a description from what it shares with others.
    let is_description = |bytes: &[u8]| bytes[..4] == [0x1c, 0, 0, 0] && bytes[8..] == [0xff; 4];
    let at = object.windows(12).position(is_description);
    let at = at.expect("there is one");
    let with = |offset: usize, bytes: &[u8]| {
        let mut damaged = object.clone();
        damaged[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    for (object, is_sound) in [
        (object.clone(), true),
        (with(0, &[0xff, 0xff, 0, 0]), false),
        (with(4, &[0x7f; 8]), false),
    ] {
        let image = link_files(&memory(), &[("unwind.o", &object)]);
        let function = address(&image, "f");
        assert_eq!(is_described(Address::new(function)), is_sound);
        assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 9);
    }
}
