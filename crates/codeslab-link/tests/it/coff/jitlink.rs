//! The shapes of LLVM's own tests of COFF objects (`JITLink`), from what they are about, with inputs of our own; those that another file
//! has already are only named.

use super::assembled;
use crate::support::{
    address, externals, file, function, link, link_error, link_files, memory, peek, peek_i32,
    peek_u64,
};
use codeslab_link::{Image, Input, LinkOptions, estimate};

/// Each shape, by the name of LLVM's test, and the test of ours that has it.
#[rustfmt::skip] // A table is read by columns.
#[cfg(unix)]
const SHAPES: [(&str, &str); 31] = [
    ("COFF_abs",                             "absolute_symbols_are_numbers_in_fields_of_any_size"),
    ("COFF_addr32nb_reloc",                  "fields_hold_addresses_distances_and_offsets"),
    ("COFF_addr32nb_reloc_neg_addend",       "offsets_from_the_image_take_addends_of_either_sign"),
    ("COFF_comdat_any",                      "of_any_the_first_is_taken_and_no_duplicates_means_an_error"),
    ("COFF_comdat_associative",              "what_is_associated_goes_with_its_section"),
    ("COFF_comdat_associative_dead_strip",   "what_is_associated_lives_and_dies_with_a_section_that_is_no_comdat"),
    ("COFF_comdat_associative_no_dead_strip", "what_is_associated_lives_and_dies_with_a_section_that_is_no_comdat"),
    ("COFF_comdat_exact_match",              "sections_of_one_size_and_equal_ones_are_compared"),
    ("COFF_comdat_intervene",                "comdat_symbols_may_come_in_any_order_and_lie_anywhere_in_their_sections"),
    ("COFF_comdat_largest",                  "the_largest_and_the_newest_are_taken_wherever_they_come"),
    ("COFF_comdat_noduplicate",              "of_any_the_first_is_taken_and_no_duplicates_means_an_error"),
    ("COFF_comdat_offset",                   "comdat_symbols_may_come_in_any_order_and_lie_anywhere_in_their_sections"),
    ("COFF_comdat_same_size",                "sections_of_one_size_and_equal_ones_are_compared"),
    ("COFF_comdat_weak",                     "a_function_of_any_serves_others_once_and_not_beside_a_definition_of_its_own"),
    ("COFF_comdat_weak_duplicate",           "a_function_of_any_serves_others_once_and_not_beside_a_definition_of_its_own"),
    ("COFF_comdat_weak_plus_strong",         "a_function_of_any_serves_others_once_and_not_beside_a_definition_of_its_own"),
    ("COFF_common_symbol",                   "common_symbols_are_shared_aligned_and_give_way_to_values"),
    ("COFF_directive_alternatename",         "alternate_names_stand_in_along_a_chain_and_a_circle_is_undefined"),
    ("COFF_dllimport_iat",                   "cells_of_imports_lead_to_functions_and_to_data"),
    ("COFF_duplicate_externals",             "an_external_may_be_listed_twice"),
    ("COFF_external_var",                    "variables_of_others_and_static_ones_are_read_where_they_are"),
    ("COFF_file_debug",                      "names_of_files_are_no_symbols_and_labels_are_local"),
    ("COFF_label",                           "names_of_files_are_no_symbols_and_labels_are_local"),
    ("COFF_nolibrary_search",                "a_weak_external_stands_for_its_default_until_something_defines_it"),
    ("COFF_pdata_no_strip",                  "unwind_information_lives_and_dies_with_its_function"),
    ("COFF_pdata_strip",                     "unwind_information_lives_and_dies_with_its_function"),
    ("COFF_rel32_4_reloc",                   "distances_count_from_the_end_of_the_instruction"),
    ("COFF_section_relocs",                  "fields_hold_addresses_distances_and_offsets"),
    ("COFF_small_pic_relocations",           "distances_count_from_the_end_of_the_instruction"),
    ("COFF_static_var",                      "variables_of_others_and_static_ones_are_read_where_they_are"),
    ("COFF_weak_external",                   "a_weak_external_stands_for_its_default_until_something_defines_it"),
];

#[cfg(unix)]
#[test]
fn every_shape_has_a_test() {
    crate::support::assert_tests_exist(&SHAPES, &["tests/it/coff"]);
}

/// Where an entry of the symbol table with this short name begins: a name, and then a number of a section.
fn entry_of(object: &[u8], name: &str) -> usize {
    let number = |at: usize| u32::from_le_bytes(*object[at..].first_chunk().unwrap()) as usize;
    let (table, count) = (number(8), number(12));
    let mut padded = [0; 8];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    let mut entries = (0..count).map(|index| table + index * 18);
    entries.find(|at| object[*at..][..8] == padded).expect(name)
}

fn gc(root: &str) -> LinkOptions<'static> {
    LinkOptions {
        roots: vec![root.to_owned()],
        gc: true,
        ..LinkOptions::default()
    }
}

fn call(image: &Image, name: &str) -> u64 {
    function!(image, name, extern "win64" fn() -> u64)()
}

#[test]
fn absolute_symbols_are_numbers_in_fields_of_any_size() {
    let test = "absolute_symbols_are_numbers_in_fields_of_any_size";
    let source = "
        .globl number
        number = 0x1234
        .data
        .globl wide, narrow
        wide:   .quad number
        narrow: .long number
        .text
        .globl get
        get: movl $number, %eax
             ret
    ";
    let other = ".data\n.globl elsewhere\nelsewhere: .quad number + 1\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let other = assembled(test, other).expect("there is an assembler");
    let image = link_files(&memory(), &[("abs.obj", &object), ("other.obj", &other)]);
    assert_eq!(address(&image, "number"), 0x1234);
    assert_eq!(peek_u64(address(&image, "wide")), 0x1234);
    assert_eq!(peek_i32(address(&image, "narrow")), 0x1234);
    assert_eq!(peek_u64(address(&image, "elsewhere")), 0x1235);
    assert_eq!(call(&image, "get"), 0x1234);
}

#[test]
fn offsets_from_the_image_take_addends_of_either_sign() {
    let test = "offsets_from_the_image_take_addends_of_either_sign";
    let source = "
        .section .rdata,\"dr\"
        .globl below, above, base
        base:  .quad __ImageBase
        below: .long there@IMGREL - 4
        above: .long there@IMGREL + 4
        .data
        .quad 0, 0
        .globl there
        there: .quad 0
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("offsets.obj", &object)]);
    let base = peek_u64(address(&image, "base"));
    let offset = |name| u64::from(u32::from_le_bytes(peek(address(&image, name))));
    let there = address(&image, "there");
    assert_eq!(base + offset("below"), there - 4);
    assert_eq!(base + offset("above"), there + 4);
}

#[test]
fn what_is_associated_lives_and_dies_with_a_section_that_is_no_comdat() {
    let test = "what_is_associated_lives_and_dies_with_a_section_that_is_no_comdat";
    let source = "
        .section parent,\"xr\"
        .globl parent_of_it
        parent_of_it: ret
        .section child,\"dr\",associative,parent_of_it
        .globl child_of_it
        child_of_it: .fill 1000, 1, 7
        .section other,\"xr\"
        .globl other_root
        other_root: ret
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let inputs = [file("child.obj", &object)];
    for (root, lives) in [("parent_of_it", true), ("other_root", false)] {
        let options = gc(root);
        let image = link(&memory(), &inputs, &options).expect("it links");
        let names = ["parent_of_it", "child_of_it"].map(|name| image.symbol(name).is_some());
        assert_eq!(names, [lives; 2], "{root}");
        let size = estimate(&inputs, &options).expect("it links").constants;
        assert_eq!(size >= 1000, lives, "{root}: {size}");
    }
}

#[test]
fn comdat_symbols_may_come_in_any_order_and_lie_anywhere_in_their_sections() {
    let test = "comdat_symbols_may_come_in_any_order_and_lie_anywhere_in_their_sections";
    let source = |answer: u32| {
        format!(
            "
            .section .text,\"xr\",discard,first
            .globl first
            nop
            first: movl ${answer}, %eax
                   ret
            .section .text,\"xr\",discard,second
            .globl second
            .quad 0x9090909090909090
            second: movl ${answer} + 1, %eax
                    ret
            "
        )
    };
    let mut objects = Vec::new();
    for answer in [10, 20] {
        let Some(mut object) = assembled(test, &source(answer)) else {
            return;
        };
        // The symbol of the first section comes last: behind the definition of the second one, and its symbol.
        let [first, second] = ["first", "second"].map(|name| entry_of(&object, name));
        object[first..second + 18].rotate_left(18);
        objects.push(object);
    }
    let files = [("one.obj", &objects[0][..]), ("two.obj", &objects[1])];
    let image = link_files(&memory(), &files);
    assert_eq!((call(&image, "first"), call(&image, "second")), (10, 11));
    assert_eq!(peek::<1>(address(&image, "first") - 1), [0x90]);
    assert_eq!(peek::<1>(address(&image, "second") - 8), [0x90]);
}

#[test]
fn a_function_of_any_serves_others_once_and_not_beside_a_definition_of_its_own() {
    let test = "a_function_of_any_serves_others_once_and_not_beside_a_definition_of_its_own";
    let user = ".text\n.globl use\nuse: jmp it\n";
    let any = ".section .text,\"xr\",discard,it\n.globl it\nit: movl $1, %eax\nret\n";
    let strong = ".text\n.globl it\nit: movl $2, %eax\nret\n";
    let mut objects = Vec::new();
    for source in [user, any, strong] {
        let Some(object) = assembled(test, source) else {
            return;
        };
        objects.push(object);
    }
    let [user, any, strong] = &objects[..] else {
        unreachable!()
    };
    let image = link_files(&memory(), &[("user.obj", user), ("any.obj", any)]);
    assert_eq!(call(&image, "use"), 1);
    let all = [("a.obj", &any[..]), ("user.obj", user), ("b.obj", any)];
    assert_eq!(call(&link_files(&memory(), &all), "use"), 1);
    // LLVM's JIT takes the strong one; its test of that is there to say that it should not.
    for pair in [[any, strong], [strong, any]] {
        let inputs = [pair[0], pair[1], user].map(|bytes| file("it.obj", bytes));
        let error = link_error(&inputs, &LinkOptions::default());
        assert_eq!(error.code(), "DUPLICATE_SYMBOL", "{error}");
    }
    // As a library that nothing needs any more, it stays out.
    let options = LinkOptions {
        libraries: vec![file("any.obj", any)],
        ..LinkOptions::default()
    };
    let inputs = [file("user.obj", user), file("strong.obj", strong)];
    let image = link(&memory(), &inputs, &options).expect("it links");
    assert_eq!(call(&image, "use"), 2);
}

extern "win64" fn there() -> u64 {
    33
}

static VALUE: u64 = 0x1234_5678_9abc;

#[test]
fn cells_of_imports_lead_to_functions_and_to_data() {
    let test = "cells_of_imports_lead_to_functions_and_to_data";
    let source = "
        .text
        .globl call, load
        call: subq $40, %rsp
              callq *__imp_there(%rip)
              addq $40, %rsp
              ret
        load: movq __imp_value(%rip), %rax
              movq (%rax), %rax
              ret
        .section .rdata,\"dr\"
        .globl cells
        cells: .quad __imp_there, __imp_value
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let at = [there as *const () as u64, &raw const VALUE as u64];
    let options = externals(&[("there", at[0]), ("value", at[1])]);
    let image = link(&memory(), &[file("cells.obj", &object)], &options).expect("it links");
    assert_eq!((call(&image, "call"), call(&image, "load")), (33, VALUE));
    let cells = address(&image, "cells");
    assert_eq!([0, 8].map(|offset| peek_u64(peek_u64(cells + offset))), at);
}

#[test]
fn an_external_may_be_listed_twice() {
    let test = "an_external_may_be_listed_twice";
    let source = ".data\n.globl both\nboth: .quad func1, func2\n";
    let Some(mut object) = assembled(test, source) else {
        return;
    };
    let second = entry_of(&object, "func2");
    object[second..][..5].copy_from_slice(b"func1");
    let options = externals(&[("func1", 0x1234)]);
    let image = link(&memory(), &[file("twice.obj", &object)], &options).expect("it links");
    let both = address(&image, "both");
    assert_eq!((peek_u64(both), peek_u64(both + 8)), (0x1234, 0x1234));
}

#[test]
fn variables_of_others_and_static_ones_are_read_where_they_are() {
    let test = "variables_of_others_and_static_ones_are_read_where_they_are";
    let source = "
        .text
        .globl outer, inner
        outer: movl far_away_by_name(%rip), %eax
               ret
        inner: movl hidden(%rip), %eax
               incl hidden(%rip)
               ret
        .data
        hidden: .long 4
    ";
    let other = ".data\n.globl far_away_by_name\n.long 0\nfar_away_by_name: .long 9\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let other = assembled(test, other).expect("there is an assembler");
    let image = link_files(&memory(), &[("user.obj", &object), ("other.obj", &other)]);
    assert_eq!(call(&image, "outer"), 9);
    assert_eq!((call(&image, "inner"), call(&image, "inner")), (4, 5));
    assert!(image.symbol("hidden").is_none());
}

#[test]
fn names_of_files_are_no_symbols_and_labels_are_local() {
    const LABEL: u8 = 6;
    let test = "names_of_files_are_no_symbols_and_labels_are_local";
    let source = "
        .file \"a name that takes more than one record of a symbol table.c\"
        .text
        .globl entry, label
        entry: movl $1, %eax
               jmp  label
               nop
        label: incl %eax
               ret
        .data
        .globl at_label
        at_label: .quad label
    ";
    let Some(mut object) = assembled(test, source) else {
        return;
    };
    let class = entry_of(&object, "label") + 16;
    object[class] = LABEL;
    let image = link_files(&memory(), &[("label.obj", &object)]);
    assert_eq!(call(&image, "entry"), 2);
    let label = peek_u64(address(&image, "at_label"));
    assert_eq!(label, address(&image, "entry") + 8);
    let names: Vec<&str> = image.symbols().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["at_label", "entry"]);
}

#[test]
fn unwind_information_lives_and_dies_with_its_function() {
    let test = "unwind_information_lives_and_dies_with_its_function";
    let source = "
        .section .text$one,\"xr\"
        .globl one
        one: ret
        .section .text$two,\"xr\"
        .globl two
        two: .seh_proc two
             subq $40, %rsp
             .seh_stackalloc 40
             .seh_endprologue
             addq $40, %rsp
             ret
             .seh_endproc
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let inputs: [Input<'_>; 1] = [file("unwind.obj", &object)];
    let constants = |root: &str| {
        link(&memory(), &inputs, &gc(root)).expect("it links");
        estimate(&inputs, &gc(root)).expect("it links").constants
    };
    // An entry of three fields and the codes that it names.
    assert_eq!(constants("one"), 0);
    assert!((12 + 6..64).contains(&constants("two")));
}
