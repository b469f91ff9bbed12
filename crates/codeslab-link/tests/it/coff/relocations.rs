//! Relocations, each checked against its formula, and the shapes of LLVM's tests of them.

use super::assembled;
use crate::support::{
    address, externals, file, function, link, link_error, link_files, memory, peek, peek_i32,
    peek_u64,
};

#[test]
fn fields_hold_addresses_distances_and_offsets() {
    let source = "
        .section .rdata,\"dr\"
        .globl wide, wide_more, relative, relative_more, offset, offset_more, number
        wide:          .quad there
        wide_more:     .quad there + 0x123456789
        relative:      .long there@IMGREL
        relative_more: .long there@IMGREL + 8
        offset:        .secrel32 there
        offset_more:   .secrel32 there + 8
        number:        .secidx there
        .globl base
        base:          .quad __ImageBase
        .data
        .globl first, there
        first:         .quad 0
        there:         .quad 0
    ";
    let Some(object) = assembled("fields_hold_addresses_distances_and_offsets", source) else {
        return;
    };
    let image = link_files(&memory(), &[("fields.obj", &object)]);
    let at = |name| address(&image, name);
    let base = peek_u64(at("base"));
    let relative = |name| u64::from(u32::from_le_bytes(peek(at(name))));
    assert_eq!(peek_u64(at("wide")), at("there"));
    assert_eq!(peek_u64(at("wide_more")), at("there") + 0x1_2345_6789);
    assert!(base <= at("wide") && base <= at("there"));
    assert_eq!(base + relative("relative"), at("there"));
    assert_eq!(base + relative("relative_more"), at("there") + 8);
    assert_eq!(relative("offset"), at("there") - at("first"));
    assert_eq!(relative("offset_more"), at("there") - at("first") + 8);
    // Code, constants, data.
    assert_eq!(u16::from_le_bytes(peek(at("number"))), 3);
}

/// Operands at a distance, with immediates of all sizes behind them.
#[test]
fn distances_count_from_the_end_of_the_instruction() {
    let source = "
        .text
        .globl plain, one, two, four, call, jump, jump_if, take
        plain:   movl value(%rip), %eax
                 ret
        one:     cmpb $7, byte(%rip)
                 sete %al
                 movzbl %al, %eax
                 ret
        two:     movw $0x1234, value(%rip)
                 movzwl value(%rip), %eax
                 ret
        four:    movl $0x12345678, value(%rip)
                 movl value(%rip), %eax
                 ret
        call:    subq $40, %rsp
                 call answer
                 addq $40, %rsp
                 ret
        jump:    jmp answer
        jump_if: xorl %eax, %eax
                 je answer
                 ret
        take:    leaq answer(%rip), %rax
                 ret
        .section .text$other,\"xr\"
        answer:  movl $42, %eax
                 ret
        .data
        .globl value
        value:   .long 17
        byte:    .byte 7
    ";
    let Some(object) = assembled("distances_count_from_the_end_of_the_instruction", source) else {
        return;
    };
    let image = link_files(&memory(), &[("distances.obj", &object)]);
    let call = |name: &str| function!(image, name, extern "win64" fn() -> u64)();
    assert_eq!(call("plain"), 17);
    assert_eq!(call("one"), 1);
    assert_eq!(call("two"), 0x1234);
    assert_eq!(call("four"), 0x1234_5678);
    for name in ["call", "jump", "jump_if"] {
        assert_eq!(call(name), 42, "{name}");
    }
    let answer = call("take");
    assert_eq!(peek::<5>(answer), [0xb8, 42, 0, 0, 0]);
}

extern "win64" fn far_function() -> u64 {
    77
}

/// What is far away is called through a stub, and 32-bit addresses of it are those of the stub.
#[test]
fn far_functions_are_reached_through_stubs_and_far_handlers_too() {
    let source = "
        .text
        .globl call, call_cell
        call:      subq $40, %rsp
                   call far_function
                   addq $40, %rsp
                   ret
        call_cell: subq $40, %rsp
                   call *__imp_far_function(%rip)
                   addq $40, %rsp
                   ret
        .section .rdata,\"dr\"
        .globl handler, base
        handler:   .long far_function@IMGREL
        .balign 8
        base:      .quad __ImageBase
    ";
    let test = "far_functions_are_reached_through_stubs_and_far_handlers_too";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let real = far_function as *const () as u64;
    let options = externals(&[("far_function", real)]);
    let image = link(&memory(), &[file("far.obj", &object)], &options).expect("it links");
    let call = |name: &str| function!(image, name, extern "win64" fn() -> u64)();
    assert_eq!((call("call"), call("call_cell")), (77, 77));
    let base = peek_u64(address(&image, "base"));
    let handler = base.wrapping_add_signed(peek_i32(address(&image, "handler")));
    let is_stub = peek::<4>(handler) == [0xf3, 0x0f, 0x1e, 0xfa];
    assert!(handler == real || is_stub, "{handler:#x}");
}

#[test]
fn an_address_in_32_bits_has_the_image_lie_low_or_does_not_fit() {
    let source = "
        .data
        .globl low, field
        low:   .long field
        field: .long small
    ";
    let test = "an_address_in_32_bits_has_the_image_lie_low_or_does_not_fit";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let memory = memory();
    let linked = |value: u64| {
        let options = externals(&[("small", value)]);
        link(&memory, &[file("low.obj", &object)], &options)
    };
    let image = linked(0xffff_ffff).expect("it fits");
    assert_eq!(peek::<4>(address(&image, "field")), [0xff; 4]);
    let low = u64::from(u32::from_le_bytes(peek(address(&image, "low"))));
    assert_eq!(low, address(&image, "field"));
    let error = linked(0x1_0000_0000).expect_err("it does not fit");
    assert_eq!(error.code(), "OVERFLOW");
    let text = error.to_string();
    assert!(
        text.starts_with("low.obj(.data+0x4): IMAGE_REL_AMD64_ADDR32 small"),
        "{text}"
    );
}

#[test]
fn a_type_that_does_not_exist_is_named_with_its_place() {
    let Some(mut object) = assembled(
        "a_type_that_does_not_exist_is_named_with_its_place",
        ".data\n.quad there\n",
    ) else {
        return;
    };
    let types = [200_u16, 0x24];
    // Offset 0, a symbol, IMAGE_REL_AMD64_ADDR64.
    let found = object
        .windows(10)
        .position(|entry| entry[..4] == [0; 4] && entry[8..] == [1, 0]);
    let at = found.expect("there is one relocation") + 8;
    for number in types {
        object[at..at + 2].copy_from_slice(&number.to_le_bytes());
        let error = link_error(&[file("odd.obj", &object)], &externals(&[("there", 0)]));
        let expected = format!("odd.obj(.data+0x0): type {number}: relocation of an unknown type");
        assert_eq!(
            (error.code(), error.to_string()),
            ("UNKNOWN_RELOCATION", expected)
        );
    }
}
