//! The shapes of LLVM's own tests of ELF objects for 64-bit Arm (`JITLink`), from what they are about, with inputs of our own; those that
//! another file has already are only named.

use crate::support::{
    Workshop, address, assert_tests_exist, externals, fact, file, function, link, link_error,
    link_files, memory, peek_i32, peek_u64,
};
use crate::unwinding::is_described;
use codeslab::Address;
use codeslab_link::{Image, LinkOptions};

/// Each shape, by the name of LLVM's test, and the test of ours that has it.
#[rustfmt::skip] // A table is read by columns.
const SHAPES: [(&str, &str); 11] = [
    ("ELF_R_AARCH64_ABS32",                    "an_address_in_32_bits_fits_or_is_refused_by_name"),
    ("ELF_aarch64_be",                         "objects_whose_bytes_come_in_the_other_order_are_refused_by_name"),
    ("ELF_aarch64_ehframe",                    "the_unwinder_finds_every_function_of_a_table"),
    ("ELF_ehframe",                            "the_unwinder_finds_every_function_of_a_table"),
    ("ELF_ehframe_be",                         "objects_whose_bytes_come_in_the_other_order_are_refused_by_name"),
    ("ELF_got_plt_optimizations",              "what_branches_and_pages_do_not_span_is_reached_by_stubs_and_entries"),
    ("ELF_minimal",                            "a_function_of_no_size_is_a_symbol_all_the_same"),
    ("ELF_relocations",                        "every_operand_of_the_small_model_is_right"),
    ("ELF_relocations_be",                     "objects_whose_bytes_come_in_the_other_order_are_refused_by_name"),
    ("ELF_section_start_and_stop_symbols",     "the_ends_of_a_section_are_where_it_begins_and_ends"),
    ("ELF_zero_sized_symbols_with_show_addrs", "a_function_of_no_size_is_a_symbol_all_the_same"),
];

#[test]
fn every_shape_has_a_test() {
    assert_tests_exist(&SHAPES, &["tests/it/aarch64"]);
}

fn call(image: &Image, name: &str) -> u64 {
    function!(image, name, extern "C" fn() -> u64)()
}

#[test]
fn an_address_in_32_bits_fits_or_is_refused_by_name() {
    let source = ".data\n.globl field\nfield: .word there, 0\n";
    let object = Workshop::new().assemble("narrow", source);
    let inputs = [file("narrow.o", &object)];
    let linked = |value| link(&memory(), &inputs, &externals(&[("there", value)]));
    for value in [0x1234_5678, 0xffff_ffff] {
        let image = linked(value).expect("it fits");
        assert_eq!(peek_u64(address(&image, "field")), value);
    }
    let error = linked(0x1_2345_6789).expect_err("it does not fit");
    assert_eq!(error.code(), "OVERFLOW", "{error}");
    assert_eq!(fact(&error, "relocation"), "R_AARCH64_ABS32");
    assert_eq!(fact(&error, "symbol"), "there");
}

#[test]
fn objects_whose_bytes_come_in_the_other_order_are_refused_by_name() {
    let workshop = Workshop::new();
    let source = ".text\n.globl f\nf: .cfi_startproc\nret\n.cfi_endproc\n";
    std::fs::write(workshop.path("big.s"), source).expect("the temporary directory is writable");
    workshop.run("cc", &["-mbig-endian", "-c", "big.s", "-o", "big.o"]);
    let object = workshop.read("big.o");
    // ELFDATA2MSB
    assert_eq!(object[5], 2);
    let error = link_error(&[file("big.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "WRONG_ARCHITECTURE", "{error}");
    assert!(error.to_string().starts_with("big.o: "), "{error}");
}

#[test]
fn the_unwinder_finds_every_function_of_a_table() {
    let source = "
        .text
        .globl plain, framed, signed
        plain:  .cfi_startproc
                mov w0, #1
                ret
                .cfi_endproc
        framed: .cfi_startproc
                stp x29, x30, [sp, #-16]!
                .cfi_def_cfa_offset 16
                .cfi_offset 29, -16
                .cfi_offset 30, -8
                bl plain
                add w0, w0, #1
                ldp x29, x30, [sp], #16
                .cfi_restore 30
                .cfi_restore 29
                .cfi_def_cfa_offset 0
                ret
                .cfi_endproc
        signed: .cfi_startproc
                hint #25
                .cfi_negate_ra_state
                mov w0, #3
                hint #29
                .cfi_negate_ra_state
                ret
                .cfi_endproc
        .globl without
        without: mov w0, #4
                ret
    ";
    let object = Workshop::new().assemble("framed", source);
    let image = link_files(&memory(), &[("framed.o", &object)]);
    for (name, value, is_there) in [
        ("plain", 1, true),
        ("framed", 2, true),
        ("signed", 3, true),
        ("without", 4, false),
    ] {
        assert_eq!(call(&image, name) as u32, value, "{name}");
        let at = Address::new(address(&image, name));
        assert_eq!(is_described(at), is_there, "{name}");
    }
}

#[test]
fn a_function_of_no_size_is_a_symbol_all_the_same() {
    let source = "
        .text
        .globl sizeless, untyped
        .type sizeless, %function
        sizeless: mov w0, wzr
                  ret
        .size sizeless, 0
        untyped:  mov w0, #2
                  ret
    ";
    let object = Workshop::new().assemble("sizeless", source);
    let image = link_files(&memory(), &[("sizeless.o", &object)]);
    assert_eq!(image.symbol("sizeless").expect("it is there").size, 0);
    assert_eq!((call(&image, "sizeless"), call(&image, "untyped")), (0, 2));
    let [at, next] = ["sizeless", "untyped"].map(|name| address(&image, name));
    assert_eq!(next - at, 8);
}

#[test]
fn the_ends_of_a_section_are_where_it_begins_and_ends() {
    let source = "
        .section chosen, \"aw\"
        .globl inside
        inside: .word 42, 43
        .data
        .globl ends
        .balign 8
        ends:   .xword __start_chosen, __stop_chosen
        .text
        .globl length
        length: adrp x0, ends
                add x0, x0, :lo12:ends
                ldp x1, x2, [x0]
                sub x0, x2, x1
                ret
    ";
    let object = Workshop::new().assemble("ends", source);
    let image = link_files(&memory(), &[("ends.o", &object)]);
    let ends = address(&image, "ends");
    let inside = address(&image, "inside");
    assert_eq!(
        [0, 8].map(|offset| peek_u64(ends + offset)),
        [inside, inside + 8]
    );
    assert_eq!(call(&image, "length"), 8);
}

/// Functions that come by a value in all ways of the small model; the table below says what each returns.
const OPERANDS: &str = "
    .text
    .globl by_call, by_jump, page, byte, signed_byte, half, signed_half, word, wide, quad
    seven:       mov w0, #7
                 ret
    by_call:     str x30, [sp, #-16]!
                 bl seven
                 ldr x30, [sp], #16
                 ret
    by_jump:     b seven
    page:        adrp x0, data
                 add x0, x0, :lo12:data
                 ret
    byte:        adrp x1, data
                 ldrb w0, [x1, :lo12:data]
                 ret
    signed_byte: adrp x1, data
                 ldrsb w0, [x1, :lo12:data]
                 ret
    half:        adrp x1, data + 2
                 ldrh w0, [x1, :lo12:data + 2]
                 ret
    signed_half: adrp x1, data + 2
                 ldrsh w0, [x1, :lo12:data + 2]
                 ret
    word:        adrp x1, data + 4
                 ldr w0, [x1, :lo12:data + 4]
                 ret
    wide:        adrp x1, data + 8
                 ldr x0, [x1, :lo12:data + 8]
                 ret
    quad:        adrp x1, data
                 ldr q0, [x1, :lo12:data]
                 fmov x0, d0
                 ret
    .globl stored, moved, put_together, if_zero, if_equal, far_call, far_jump, entry
    stored:      adrp x1, room
                 mov w0, #0x5a
                 strb w0, [x1, :lo12:room]
                 strh w0, [x1, :lo12:room + 2]
                 str w0, [x1, :lo12:room + 4]
                 ldr x0, [x1, :lo12:room]
                 str x0, [x1, :lo12:room + 8]
                 ldr x0, [x1, :lo12:room + 8]
                 ret
    moved:       movz x0, #:abs_g3:data
                 movk x0, #:abs_g2_nc:data
                 movk x0, #:abs_g1_nc:data
                 movk x0, #:abs_g0_nc:data
                 ret
    put_together: movz x0, #:abs_g0_nc:data
                 movz x1, #:abs_g1_nc:data
                 movz x2, #:abs_g2_nc:data
                 movk x2, #:abs_g3:data
                 orr x0, x0, x1
                 orr x0, x0, x2
                 ret
    if_zero:     mov w0, #11
                 cbz xzr, behind
                 ret
    if_equal:    mov w0, #11
                 cmp w0, w0
                 b.eq behind
                 ret
    far_call:    str x30, [sp, #-16]!
                 bl there
                 ldr x30, [sp], #16
                 ret
    far_jump:    b there
    entry:       adrp x0, :got:outside
                 ldr x0, [x0, :got_lo12:outside]
                 ret
    .skip 1 << 19
    .globl behind
    behind:      add w0, w0, #1
                 ret
    .data
    .balign 16
    .globl data, own, foreign, room, distance
    data:        .byte 0x85, 0, 0x84, 0x83
                 .word 0xfedcba98
                 .xword 0x1122334455667788
    room:        .xword 0, 0
    own:         .xword seven
    foreign:     .xword there
    distance:    .word seven - ., there_too - .
    there_too:   .word 0
";

extern "C" fn far_function() -> u64 {
    0x77
}

#[test]
fn every_operand_of_the_small_model_is_right() {
    let object = Workshop::new().assemble("operands", OPERANDS);
    let there = far_function as *const () as u64;
    let outside = 0xdead_beef;
    let options = externals(&[("there", there), ("outside", outside)]);
    let image = link(&memory(), &[file("operands.o", &object)], &options).expect("it links");
    let data = address(&image, "data");
    #[rustfmt::skip] // A table is read by columns.
    let expected = [
        ("by_call", 7), ("by_jump", 7), ("page", data), ("byte", 0x85), ("signed_byte", 0xffff_ff85),
        ("half", 0x8384), ("signed_half", 0xffff_8384), ("word", 0xfedc_ba98), ("wide", 0x1122_3344_5566_7788),
        ("quad", 0xfedc_ba98_8384_0085), ("stored", 0x0000_005a_005a_005a), ("moved", data),
        ("put_together", data), ("if_zero", 12), ("if_equal", 12), ("far_call", 0x77), ("far_jump", 0x77), ("entry", outside),
    ];
    for (name, value) in expected {
        assert_eq!(call(&image, name), value, "{name}");
    }
    assert_eq!(peek_u64(address(&image, "foreign")), there);
    let seven = peek_u64(address(&image, "own"));
    assert_eq!(seven, address(&image, "by_call") - 8);
    let distance = address(&image, "distance");
    assert_eq!(distance.wrapping_add_signed(peek_i32(distance)), seven);
    assert_eq!(peek_i32(distance + 4), 4);
}
