//! Who defines a symbol when several could.

use crate::support::{
    Workshop, address, externals, fact, file, function, link, link_error, link_files, memory,
    peek_u64,
};
use codeslab_link::LinkOptions;

fn data(name: &str, binding: &str, value: u64) -> String {
    format!(".data\n.{binding} {name}\n{name}: .quad {value}\n")
}

#[test]
fn a_definition_beats_a_weak_one_in_either_order() {
    let workshop = Workshop::new();
    let weak = workshop.assemble("weak", &data("it", "weak", 1));
    let strong = workshop.assemble("strong", &data("it", "globl", 2));
    let (weak, strong) = (("weak.o", &weak[..]), ("strong.o", &strong[..]));
    for order in [[weak, strong], [strong, weak]] {
        let image = link_files(&memory(), &order);
        assert_eq!(peek_u64(address(&image, "it")), 2);
        assert_eq!(&*image.symbol("it").expect("it").object, "strong.o");
    }
}

#[test]
fn of_two_weak_definitions_the_first_counts() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", &data("it", "weak", 1));
    let two = workshop.assemble("two", &data("it", "weak", 2));
    let image = link_files(&memory(), &[("one.o", &one), ("two.o", &two)]);
    assert_eq!(peek_u64(address(&image, "it")), 1);
}

#[test]
fn two_definitions_are_an_error_that_names_both_objects() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", &data("it", "globl", 1));
    let two = workshop.assemble("two", &data("it", "globl", 2));
    let error = link_error(&[file("one.o", &one), file("two.o", &two)], &externals(&[]));
    assert_eq!(error.code(), "DUPLICATE_SYMBOL");
    assert_eq!(fact(&error, "symbol"), "it");
    assert_eq!(
        (fact(&error, "first"), fact(&error, "second")),
        ("one.o".into(), "two.o".into())
    );
}

#[test]
fn common_symbols_share_zero_filled_memory_of_the_largest_size_and_alignment() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", ".comm it, 16, 8\n.data\n.globl p\np: .quad it\n");
    let two = workshop.assemble("two", ".comm it, 64, 256\n.data\n.globl q\nq: .quad it\n");
    let image = link_files(&memory(), &[("one.o", &one), ("two.o", &two)]);
    let it = address(&image, "it");
    assert_eq!(it % 256, 0);
    assert_eq!(
        (
            peek_u64(address(&image, "p")),
            peek_u64(address(&image, "q"))
        ),
        (it, it)
    );
    for offset in (0..64).step_by(8) {
        assert_eq!(peek_u64(it + offset), 0);
    }
}

#[test]
fn a_common_symbol_gives_way_to_a_definition_and_not_to_a_weak_one() {
    let workshop = Workshop::new();
    let common = workshop.assemble("common", ".comm it, 8, 8\n");
    let strong = workshop.assemble("strong", &data("it", "globl", 2));
    let weak = workshop.assemble("weak", &data("it", "weak", 1));
    let (common, strong, weak) = (
        ("common.o", &common[..]),
        ("strong.o", &strong[..]),
        ("weak.o", &weak[..]),
    );
    for (order, value) in [
        ([common, strong], 2),
        ([strong, common], 2),
        ([common, weak], 0),
        ([weak, common], 0),
    ] {
        let image = link_files(&memory(), &order);
        assert_eq!(
            peek_u64(address(&image, "it")),
            value,
            "{} {}",
            order[0].0,
            order[1].0
        );
    }
}

/// One function of a COMDAT group, with a user of it that only this object has.
fn grouped(value: u32, user: &str) -> String {
    format!(
        "
        .section .text.shared, \"axG\", @progbits, shared, comdat
        .weak shared
        shared: .cfi_startproc
                mov ${value}, %eax
                ret
                .cfi_endproc
        .text
        .globl {user}
        {user}: jmp shared
        "
    )
}

#[test]
fn of_comdat_groups_with_one_name_the_first_is_taken() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", &grouped(1, "first"));
    let two = workshop.assemble("two", &grouped(2, "second"));
    let alone = link_files(&memory(), &[("two.o", &two)]);
    let image = link_files(&memory(), &[("one.o", &one), ("two.o", &two)]);
    let call = |name: &str| function!(image, name, extern "C" fn() -> i32)();
    assert_eq!((call("first"), call("second"), call("shared")), (1, 1, 1));
    assert_eq!(function!(alone, "second", extern "C" fn() -> i32)(), 2);
}

#[test]
fn a_reference_into_a_group_that_is_left_out_is_an_error() {
    let workshop = Workshop::new();
    let one = workshop.assemble("one", &grouped(1, "first"));
    let source = grouped(2, "second") + ".data\n.quad .text.shared\n";
    let two = workshop.assemble("two", &source);
    let error = link_error(&[file("one.o", &one), file("two.o", &two)], &externals(&[]));
    assert_eq!(error.code(), "DISCARDED_SECTION");
    assert_eq!(fact(&error, "object"), "two.o");
    assert_eq!(fact(&error, "symbol"), ".text.shared");
}

#[test]
fn undefined_symbols_are_named_with_the_first_reference() {
    let source = "
        .text
        nop
        call missing_one
        call missing_two
        call missing_one
    ";
    let object = Workshop::new().assemble("user", source);
    let error = link_error(&[file("user.o", &object)], &externals(&[]));
    assert_eq!(error.code(), "UNDEFINED_SYMBOL");
    assert_eq!(fact(&error, "symbol"), "missing_one");
    assert_eq!(fact(&error, "symbols"), "missing_one missing_two");
    assert_eq!(fact(&error, "object"), "user.o");
    assert_eq!(fact(&error, "section"), ".text");
    assert_eq!(fact(&error, "offset"), "2");
}

#[test]
fn an_undefined_symbol_without_a_reference_is_no_error() {
    let object = Workshop::new().assemble("user", ".globl missing\n.text\n.globl f\nf: ret\n");
    let image = link_files(&memory(), &[("user.o", &object)]);
    function!(image, "f", extern "C" fn())();
}

#[test]
fn symbols_of_the_process_are_not_used_if_the_options_say_so() {
    let object = Workshop::new().assemble("user", ".data\n.globl p\np: .quad strlen\n");
    let inputs = [file("user.o", &object)];
    let closed = LinkOptions {
        process_symbols: false,
        ..LinkOptions::default()
    };
    assert_eq!(link_error(&inputs, &closed).code(), "UNDEFINED_SYMBOL");
    let memory = memory();
    let image = link(&memory, &inputs, &LinkOptions::default()).expect("the process has strlen");
    let strlen = codeslab::process_symbol("strlen").expect("strlen").value();
    assert_eq!(peek_u64(address(&image, "p")), strlen);
    let image = link(&memory, &inputs, &externals(&[("strlen", 77)])).expect("it links");
    assert_eq!(
        peek_u64(address(&image, "p")),
        77,
        "the embedder comes before the process"
    );
}

#[test]
fn an_undefined_weak_symbol_is_null_unless_an_input_or_the_process_has_it() {
    let object = Workshop::new().assemble("user", ".weak it\n.data\n.globl p\np: .quad it\n");
    let memory = memory();
    let inputs = [file("user.o", &object)];
    let image = link(&memory, &inputs, &LinkOptions::default()).expect("it links");
    assert_eq!(peek_u64(address(&image, "p")), 0);
    let image = link(&memory, &inputs, &externals(&[("it", 5)])).expect("it links");
    assert_eq!(peek_u64(address(&image, "p")), 5);
}

#[test]
fn absolute_symbols_keep_their_values_and_local_ones_are_not_exported() {
    let source = ".globl fixed\nfixed = 0x1122334455667788\nhidden = 3\n.data\n.globl p\np: .quad fixed\nlocal: .byte 0\n";
    let object = Workshop::new().assemble("absolute", source);
    let image = link_files(&memory(), &[("absolute.o", &object)]);
    let fixed = image.symbol("fixed").expect("fixed");
    assert_eq!(
        (fixed.address.value(), fixed.protection),
        (0x1122_3344_5566_7788, None)
    );
    assert_eq!(peek_u64(address(&image, "p")), 0x1122_3344_5566_7788);
    assert_eq!(
        (image.address("hidden"), image.address("local")),
        (None, None)
    );
}

#[test]
fn symbols_in_empty_sections_have_addresses() {
    let workshop = Workshop::new();
    let empty = workshop.assemble("empty", ".data\n.globl nothing\nnothing:\n");
    let image = link_files(&memory(), &[("empty.o", &empty)]);
    assert_ne!(address(&image, "nothing"), 0);
    let source =
        ".data\n.globl nothing\nnothing:\n.text\n.globl f\nf: lea nothing(%rip), %rax\nret\n";
    let object = workshop.assemble("both", source);
    let image = link_files(&memory(), &[("both.o", &object)]);
    let f = function!(image, "f", extern "C" fn() -> u64);
    assert_eq!(f(), address(&image, "nothing"));
}

#[test]
fn an_object_without_anything_is_an_image_without_symbols() {
    let object = Workshop::new().assemble("empty", "");
    let image = link_files(&memory(), &[("empty.o", &object)]);
    assert_eq!(image.symbols().count(), 0);
}

#[test]
fn a_handle_for_this_image_is_defined_where_it_is_asked_for() {
    let source = ".data\n.globl p\np: .quad __dso_handle\n";
    let object = Workshop::new().assemble("handle", source);
    let memory = memory();
    let one = link_files(&memory, &[("handle.o", &object)]);
    let two = link_files(&memory, &[("handle.o", &object)]);
    let handle = |image| peek_u64(address(image, "p"));
    assert_ne!(handle(&one), 0);
    assert_ne!(handle(&one), handle(&two));
}

#[test]
fn sections_of_one_name_lie_in_a_row_where_its_ends_are_asked_for() {
    let entry = |value: u64| {
        format!(".section entries, \"aw\"\n.balign 8\n.quad {value}\n.data\n.byte 1\n")
    };
    let workshop = Workshop::new();
    let one = workshop.assemble("one", &entry(10));
    let two = workshop.assemble("two", &entry(20));
    let source = entry(30)
        + ".globl first, last, none\nfirst: .quad __start_entries\nlast: .quad __stop_entries\n.weak __start_others\nnone: .quad __start_others\n";
    let three = workshop.assemble("three", &source);
    let image = link_files(
        &memory(),
        &[("one.o", &one), ("two.o", &two), ("three.o", &three)],
    );
    let at = |name| peek_u64(address(&image, name));
    let (first, last) = (at("first"), at("last"));
    assert_eq!(last - first, 24);
    let entries: Vec<u64> = (first..last).step_by(8).map(peek_u64).collect();
    assert_eq!(entries, [10, 20, 30]);
    assert_eq!(at("none"), 0);
}

#[test]
fn an_error_names_as_many_undefined_symbols_as_one_reads() {
    let calls: Vec<String> = (0..20).map(|n| format!("call missing_{n}\n")).collect();
    let object = Workshop::new().assemble("user", &calls.concat());
    let error = link_error(&[file("user.o", &object)], &externals(&[]));
    assert_eq!(fact(&error, "symbols").split(' ').count(), 20);
    let text = error.to_string();
    assert!(
        text.contains("(and 19 more: missing_1, ") && text.ends_with("missing_8, ...)"),
        "{text}"
    );
}
