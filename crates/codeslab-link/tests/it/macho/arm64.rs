//! What Apple's 64-bit Arm has of its own, executed where such a processor runs: pages, entries, far branches, and what is refused.

use super::assembled;
use crate::support::{
    address, externals, file, function, link, link_files, memory, peek_i32, peek_u64,
};
use crate::unwinding::is_described;
use codeslab::Address;
use codeslab_link::Image;

fn call(image: &Image, name: &str) -> u64 {
    function!(image, name, extern "C" fn() -> u64)()
}

extern "C" fn far_function() -> u64 {
    0x77
}

/// Comes by values in all ways that relocations of this machine are for.
const OPERANDS: &str = "
    .text
    .p2align 2
    .globl _page, _byte, _half, _word, _wide, _quad, _stored, _behind_it
    _page:      adrp x0, _data@PAGE
                add x0, x0, _data@PAGEOFF
                ret
    _byte:      adrp x1, _data@PAGE
                ldrb w0, [x1, _data@PAGEOFF]
                ret
    _half:      adrp x1, _data@PAGE+2
                ldrsh x0, [x1, _data@PAGEOFF+2]
                ret
    _word:      adrp x1, _data@PAGE+4
                ldr w0, [x1, _data@PAGEOFF+4]
                ret
    _wide:      adrp x1, _data@PAGE+8
                ldr x0, [x1, _data@PAGEOFF+8]
                ret
    _quad:      adrp x1, _data@PAGE
                ldr q0, [x1, _data@PAGEOFF]
                fmov x0, d0
                ret
    _stored:    adrp x1, _room@PAGE
                mov w0, #0x5a
                str w0, [x1, _room@PAGEOFF]
                ldr x0, [x1, _room@PAGEOFF]
                ret
    _behind_it: adrp x0, _data@PAGE+0x123456
                add x0, x0, _data@PAGEOFF+0x123456
                ret
    .globl _near, _far, _far_jump, _entry, _own_entry
    _seven:     mov w0, #7
                ret
    _near:      str x30, [sp, #-16]!
                bl _seven
                ldr x30, [sp], #16
                ret
    _far:       str x30, [sp, #-16]!
                bl _there
                ldr x30, [sp], #16
                ret
    _far_jump:  b _there
    _entry:     adrp x0, _there@GOTPAGE
                ldr x0, [x0, _there@GOTPAGEOFF]
                ret
    _own_entry: adrp x8, _data@GOTPAGE
                ldr x8, [x8, _data@GOTPAGEOFF]
                ldrb w0, [x8]
                ret
    .data
    .p2align 4
    .globl _data, _room, _own, _foreign, _distance, _to_entry
    _data:      .byte 0x85, 0, 0x84, 0x83
                .long 0xfedcba98
                .quad 0x1122334455667788
    _room:      .quad 0, 0
    _own:       .quad _seven
    _foreign:   .quad _there
    _distance:  .quad _data - _room
                .long _seven - _near
    _to_entry:  .long _there@GOT - .
";

#[test]
fn every_operand_of_the_machine_is_right() {
    let test = "every_operand_of_the_machine_is_right";
    let Some(object) = assembled(test, OPERANDS) else {
        return;
    };
    let there = far_function as *const () as u64;
    let options = externals(&[("there", there)]);
    let image = link(&memory(), &[file("operands.o", &object)], &options);
    let image = image.unwrap_or_else(|error| panic!("{error}"));
    let data = address(&image, "data");
    #[rustfmt::skip] // A table is read by columns.
    let expected = [
        ("page", data), ("byte", 0x85), ("half", 0xffff_ffff_ffff_8384), ("word", 0xfedc_ba98), ("wide", 0x1122_3344_5566_7788),
        ("quad", 0xfedc_ba98_8384_0085), ("stored", 0x5a), ("behind_it", data + 0x12_3456), ("near", 7),
        ("far", 0x77), ("far_jump", 0x77), ("entry", there), ("own_entry", 0x85),
    ];
    for (name, value) in expected {
        assert_eq!(call(&image, name), value, "{name}");
    }
    let at = |name| address(&image, name);
    assert_eq!(peek_u64(at("own")), at("near") - 8);
    assert_eq!(peek_u64(at("foreign")), there);
    assert_eq!(peek_u64(at("distance")), 16_u64.wrapping_neg());
    assert_eq!(peek_i32(at("distance") + 8), -8);
    let entry = at("to_entry").wrapping_add_signed(peek_i32(at("to_entry")));
    assert_eq!(peek_u64(entry), there);
}

/// Functions whose frames a compiler describes in DWARF's form are known to the unwinder of this system.
#[test]
fn the_unwinder_is_told_of_functions_that_are_described_for_it() {
    let test = "the_unwinder_is_told_of_functions_that_are_described_for_it";
    let source = "
        .text
        .p2align 2
        .globl _plain, _odd
        _plain: mov w0, #1
                ret
        _odd:   .cfi_startproc
                .cfi_def_cfa_offset 32
                .cfi_escape 0x2e, 0x10
                mov w0, #2
                ret
                .cfi_endproc
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let image = link_files(&memory(), &[("odd.o", &object)]);
    for (name, value, is_there) in [("plain", 1, false), ("odd", 2, true)] {
        assert_eq!(call(&image, name) as u32, value, "{name}");
        let at = Address::new(address(&image, name));
        assert_eq!(is_described(at), is_there, "{name}");
    }
}
