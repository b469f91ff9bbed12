//! Relocations, each checked against its formula by reading what it made, or by running it.

use super::assembled;
use crate::support::{
    address, externals, file, function, link, link_error, link_files, memory, peek, peek_i32,
    peek_u64,
};

#[test]
fn addresses_and_differences_are_those_of_their_symbols() {
    let test = "addresses_and_differences_are_those_of_their_symbols";
    let source = "
        .section __TEXT,__const
        .globl _local
        _local:  .quad 0
        l_inner: .quad 0
        .data
        .globl _wide, _wide_more, _inner, _before, _behind, _between, _narrow, _here, _same, _there
        _wide:      .quad _there
        _wide_more: .quad _there + 0x123456789
        _inner:     .quad l_inner
        _before:    .quad _local - _wide
        _behind:    .quad _wide - _local + 3
        _between:   .quad _there_too - _local
        _narrow:    .long _local - _narrow
        _here:      .long _local - .
        _same:      .quad _there - _wide + 5
        _there:     .quad 7
        .section __DATA,__other
        .globl _there_too
        _there_too: .quad 8
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("data.o", &object)]);
    let at = |name: &str| address(&image, name);
    assert_eq!(peek_u64(at("wide")), at("there"));
    assert_eq!(peek_u64(at("wide_more")), at("there") + 0x1_2345_6789);
    assert_eq!(peek_u64(at("inner")), at("local") + 8);
    assert_eq!(peek_u64(at("before")), at("local").wrapping_sub(at("wide")));
    let behind = at("wide").wrapping_sub(at("local")).wrapping_add(3);
    assert_eq!(peek_u64(at("behind")), behind);
    let between = at("there_too").wrapping_sub(at("local"));
    assert_eq!(peek_u64(at("between")), between, "of two other sections");
    let distance = |from: &str| at("local").wrapping_sub(at(from)).cast_signed();
    assert_eq!(peek_i32(at("narrow")), distance("narrow"));
    assert_eq!(peek_i32(at("here")), distance("here"));
    assert_eq!(peek_u64(at("same")), at("there") - at("wide") + 5);
}

/// Operands at a distance with immediates of all sizes behind them, to symbols and to places without one.
#[test]
fn distances_count_from_the_end_of_the_instruction() {
    let test = "distances_count_from_the_end_of_an_instruction";
    let source = "
        .text
        .globl _plain, _one, _two, _four, _local_one, _local_four, _call, _jump, _take
        _plain:   movl _value(%rip), %eax
                  ret
        _one:     cmpb $7, _byte(%rip)
                  sete %al
                  movzbl %al, %eax
                  ret
        _two:     movw $0x1234, _value+4(%rip)
                  movzwl _value+4(%rip), %eax
                  ret
        _four:    movl $0x12345678, _value+4(%rip)
                  movl _value+4(%rip), %eax
                  ret
        _local_one:  cmpb $9, L_byte+1(%rip)
                  sete %al
                  movzbl %al, %eax
                  ret
        _local_four: movl $0x1234567, L_word(%rip)
                  movl L_word(%rip), %eax
                  ret
        _call:    subq $8, %rsp
                  callq _answer
                  addq $8, %rsp
                  ret
        _jump:    jmp _answer
        _take:    leaq _answer(%rip), %rax
                  ret
        .section __TEXT,__more,regular,pure_instructions
        .globl _answer
        _answer:  movl $42, %eax
                  ret
        .data
        .globl _value, _byte
        _value:   .long 17, 0
        _byte:    .byte 7
        L_byte:   .byte 8, 9
        L_word:   .long 0
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("distances.o", &object)]);
    let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    for (name, value) in [
        ("plain", 17),
        ("one", 1),
        ("two", 0x1234),
        ("four", 0x1234_5678),
        ("local_one", 1),
        ("local_four", 0x123_4567),
        ("call", 42),
        ("jump", 42),
    ] {
        assert_eq!(call(name), value, "{name}");
    }
    assert_eq!(call("take"), address(&image, "answer"));
}

extern "C" fn far_function() -> u64 {
    77
}

static FAR_VALUE: u64 = 78;

/// What is far away is called through a stub and read through an entry; what is near is read without.
#[test]
fn entries_lead_to_what_is_far_and_are_left_out_for_what_is_near() {
    let test = "entries_lead_to_what_is_far_and_are_left_out_for_what_is_near";
    let source = "
        .text
        .globl _call, _call_entry, _load, _load_near, _push
        _call:       subq $8, %rsp
                     callq _far_function
                     addq $8, %rsp
                     ret
        _call_entry: subq $8, %rsp
                     callq *_far_function@GOTPCREL(%rip)
                     addq $8, %rsp
                     ret
        _load:       movq _far_value@GOTPCREL(%rip), %rax
                     movq (%rax), %rax
                     ret
        _load_near:  movq _near@GOTPCREL(%rip), %rax
                     movq (%rax), %rax
                     ret
        _push:       pushq _near@GOTPCREL(%rip)
                     popq %rax
                     movq (%rax), %rax
                     ret
        .data
        .globl _near, _entry, _entry_more
        _near:       .quad 79
        _entry:      .long _near@GOTPCREL
        _entry_more: .long _near@GOTPCREL + 4
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let options = externals(&[
        ("far_function", far_function as *const () as u64),
        ("far_value", &raw const FAR_VALUE as u64),
    ]);
    let image = link(&memory(), &[file("entries.o", &object)], &options).expect("it links");
    let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    assert_eq!((call("call"), call("call_entry")), (77, 77));
    assert_eq!(
        (call("load"), call("load_near"), call("push")),
        (78, 79, 79)
    );
    // leaq, not movq
    assert_eq!(peek::<2>(address(&image, "load_near")), [0x48, 0x8d]);
    let near = address(&image, "near");
    for (name, past) in [("entry", 4), ("entry_more", 0)] {
        let field = address(&image, name);
        let entry = (field + past).wrapping_add_signed(peek_i32(field));
        assert_eq!(peek_u64(entry), near, "{name}");
    }
}

#[test]
fn a_relocation_that_does_not_exist_is_named_with_its_place() {
    let test = "a_relocation_that_does_not_exist_is_named_with_its_place";
    let Some(mut object) = assembled(test, ".data\n.quad _there\n") else {
        return;
    };
    // Offset 0, symbol 0, 8 bytes, external, type 0.
    let entry = [0, 0, 0, 0, 0, 0, 0, 0x0e];
    let found = object.windows(8).position(|bytes| bytes == entry);
    let last = found.expect("there is one relocation") + 7;
    for (byte, said) in [
        (0xee, "type 14 of 8 bytes"),
        (0x0f, "type 0 of 8 bytes, from its place"),
        (0x08, "type 0 of 1 bytes"),
        (0x2e, "type 2 of 8 bytes"),
    ] {
        object[last] = byte;
        let error = link_error(&[file("odd.o", &object)], &externals(&[("there", 0)]));
        let expected = format!("odd.o(__DATA,__data+0x0): {said}");
        assert_eq!(error.code(), "UNKNOWN_RELOCATION", "{error}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
