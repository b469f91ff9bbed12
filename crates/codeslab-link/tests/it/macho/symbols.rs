//! Symbols: which of several definitions counts, what may be missing, and what names are.

use super::assembled;
use crate::support::{
    address, externals, fact, file, function, link, link_error, link_files, memory, peek_u64,
};
use codeslab_link::LinkOptions;

#[test]
fn names_are_those_of_c_and_others_are_marked() {
    let test = "names_are_those_of_c_and_others_are_marked";
    let source = ".data\n.globl _f, f, __f\n_f: .quad 1\nf: .quad 2\n__f: .quad 3\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("names.o", &object)]);
    let values = ["f", "\u{1}f", "_f"].map(|name| peek_u64(address(&image, name)));
    assert_eq!(values, [1, 2, 3]);
}

#[test]
fn weak_definitions_give_way_and_weak_references_may_be_missing() {
    let test = "weak_definitions_give_way_and_weak_references_may_be_missing";
    let weak = "
        .section __TEXT,__const
        .globl _which, _seen
        .weak_definition _which
        _which: .quad 1
        .data
        _seen:  .quad _which
        .globl _maybe, _distance
        .weak_reference _missing
        _maybe: .quad _missing
        _distance: .quad _which - _seen
    ";
    let strong = ".data\n.globl _which\n_which: .quad 2\n";
    let (Some(weak), Some(strong)) = (assembled(test, weak), assembled(test, strong)) else {
        return;
    };
    let memory = memory();
    let both = link_files(&memory, &[("weak.o", &weak), ("strong.o", &strong)]);
    assert_eq!(peek_u64(peek_u64(address(&both, "seen"))), 2);
    assert_eq!(peek_u64(address(&both, "maybe")), 0);
    let distance = address(&both, "which").wrapping_sub(address(&both, "seen"));
    assert_eq!(peek_u64(address(&both, "distance")), distance);
    let twice = link_files(&memory, &[("weak.o", &weak)]);
    assert_eq!(peek_u64(address(&twice, "which")), 1);
}

#[test]
fn private_externs_are_seen_by_all_objects_of_the_image() {
    let test = "private_externs_are_seen_by_all_objects_of_the_image";
    let one =
        ".data\n.private_extern _inner\n.globl _outer\n_inner: .quad 5\n_outer: .quad _inner\n";
    let two = ".data\n.globl _other\n_other: .quad _inner\n";
    let (Some(one), Some(two)) = (assembled(test, one), assembled(test, two)) else {
        return;
    };
    let image = link_files(&memory(), &[("one.o", &one), ("two.o", &two)]);
    let seen = ["outer", "other"].map(|name| peek_u64(address(&image, name)));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(peek_u64(seen[0]), 5);
}

#[test]
fn common_symbols_share_memory_of_the_largest_and_are_aligned() {
    let test = "common_symbols_share_memory_of_the_largest_and_are_aligned";
    let small = ".comm _pool, 8, 3\n.data\n.globl _small\n_small: .quad _pool\n";
    let large = ".comm _pool, 4096, 6\n.data\n.globl _large\n_large: .quad _pool\n";
    let (Some(small), Some(large)) = (assembled(test, small), assembled(test, large)) else {
        return;
    };
    let image = link_files(&memory(), &[("small.o", &small), ("large.o", &large)]);
    let pool = address(&image, "pool");
    assert_eq!(pool % 64, 0);
    let seen = ["small", "large"].map(|name| peek_u64(address(&image, name)));
    assert_eq!(seen, [pool, pool]);
}

#[test]
fn absolute_symbols_aliases_and_further_entries_are_where_they_say() {
    let test = "absolute_symbols_aliases_and_further_entries_are_where_they_say";
    let source = "
        .globl _number, _code, _middle, _same, _asks
        _number = 0x1234567
        .text
        _code:   movl $1, %eax
        .alt_entry _middle
        _middle: addl $41, %eax
                 ret
        .set _same, _code
        .data
        _asks:   .quad _number, _middle - _code
        .no_dead_strip _kept
        _kept:   .quad 3
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let options = LinkOptions {
        roots: vec!["same".to_owned(), "asks".to_owned()],
        gc: true,
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("entries.o", &object)], &options).expect("it links");
    assert_eq!(function!(image, "same", extern "C" fn() -> i32)(), 42);
    assert_eq!(address(&image, "middle") - address(&image, "code"), 5);
    let asks = address(&image, "asks");
    assert_eq!((peek_u64(asks), peek_u64(asks + 8)), (0x123_4567, 5));
}

#[test]
fn zeros_literals_and_ends_of_sections_are_there() {
    let test = "zeros_literals_and_ends_of_sections_are_there";
    let source = "
        .zerofill __DATA,__bss,_zeros,4096,12
        .cstring
        .globl _text
        _text:   .asciz \"seventy\"
        .literal8
        .globl _eight
        _eight:  .quad 0x4009000000000000
        .literal16
        .globl _sixteen
        _sixteen: .quad 1, 2
        .section __DATA,__list
        .quad 5, 6, 7
        .data
        .globl _ends, _at
        _ends:   .quad section$start$__DATA$__list, section$end$__DATA$__list
        _at:     .quad _zeros
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("kinds.o", &object)]);
    assert_eq!(
        &peek_u64(address(&image, "text")).to_le_bytes(),
        b"seventy\0"
    );
    assert_eq!(peek_u64(address(&image, "eight")), 0x4009_0000_0000_0000);
    assert_eq!(address(&image, "sixteen") % 16, 0);
    let zeros = peek_u64(address(&image, "at"));
    assert_eq!((zeros % 4096, peek_u64(zeros + 4088)), (0, 0));
    let ends = address(&image, "ends");
    let (start, end) = (peek_u64(ends), peek_u64(ends + 8));
    assert_eq!(
        (end - start, peek_u64(start), peek_u64(end - 8)),
        (24, 5, 7)
    );
}

#[test]
fn a_resolver_chooses_what_its_symbol_is() {
    let test = "a_resolver_chooses_what_its_symbol_is";
    let source = "
        .text
        .globl _chosen, _call
        .symbol_resolver _chosen
        _chosen: leaq l_answer(%rip), %rax
                 ret
        l_answer: movl $42, %eax
                 ret
        _call:   jmp _chosen
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("chosen.o", &object)]);
    assert_eq!(function!(image, "call", extern "C" fn() -> i32)(), 42);
}

#[test]
fn what_is_defined_twice_or_nowhere_is_named_as_in_c() {
    let test = "what_is_defined_twice_or_nowhere_is_named_as_in_c";
    let (Some(one), Some(user)) = (
        assembled(test, ".data\n.globl _it\n_it: .quad 1\n"),
        assembled(test, ".data\n.quad _nowhere\n"),
    ) else {
        return;
    };
    let none = externals(&[]);
    let error = link_error(&[file("a.o", &one), file("b.o", &one)], &none);
    assert_eq!(
        (error.code(), &*fact(&error, "symbol")),
        ("DUPLICATE_SYMBOL", "it")
    );
    let error = link_error(&[file("user.o", &user)], &none);
    assert_eq!(
        (error.code(), &*fact(&error, "symbol")),
        ("UNDEFINED_SYMBOL", "nowhere")
    );
}
