//! References to things that the linker did not place.

use crate::support::{
    Workshop, address, externals, fact, file, function, link, link_error, memory, peek_u64,
};
use codeslab_link::LinkOptions;

const FAR: u64 = 0x1234_5678_9abc;

#[test]
fn calls_reach_the_process_wherever_it_is() {
    let source = "unsigned long strlen(const char *); unsigned long f(const char *s) { return strlen(s) + 1; }";
    let workshop = Workshop::new();
    for flags in [
        &["-O2", "-fno-builtin"][..],
        &["-O2", "-fno-builtin", "-fno-pic"],
        &["-O2", "-fno-builtin", "-fPIC", "-fno-plt"],
    ] {
        let object = workshop.compile("call", source, flags);
        let memory = memory();
        let image =
            link(&memory, &[file("call.o", &object)], &LinkOptions::default()).expect("it links");
        let f = function!(image, "f", extern "C" fn(*const u8) -> u64);
        assert_eq!(f(c"four".as_ptr().cast()), 5, "{flags:?}");
    }
}

#[test]
fn data_of_the_process_is_reached_directly() {
    let source = "
        .text
        .globl f, g
        f: mov stderr(%rip), %rax
           ret
        g: lea stdout(%rip), %rax
           ret
    ";
    let object = Workshop::new().assemble("direct", source);
    let memory = memory();
    let image = link(
        &memory,
        &[file("direct.o", &object)],
        &LinkOptions::default(),
    )
    .expect("it links");
    let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    let process = |name| codeslab::process_symbol(name).expect(name).value();
    assert_eq!(call("f"), peek_u64(process("stderr")));
    assert_eq!(call("g"), process("stdout"));
    assert!(address(&image, "f").abs_diff(process("stderr")) < 1 << 31);
}

#[test]
fn code_with_32_bit_addresses_lies_low() {
    let source = "
        .text
        .globl f, g
        f: mov $value, %eax
           mov (%rax), %eax
           ret
        g: mov value(,%rdi,4), %eax
           ret
        .data
        .globl value
        value: .long 7, 8
    ";
    let object = Workshop::new().assemble("low", source);
    let memory = memory();
    let image =
        link(&memory, &[file("low.o", &object)], &LinkOptions::default()).expect("it links");
    assert!(address(&image, "value") < 1 << 31);
    assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 7);
    assert_eq!(function!(image, "g", extern "C" fn(u64) -> i32)(1), 8);
}

#[test]
fn symbols_that_no_place_reaches_at_once_are_named() {
    let source = ".text\nmov $here, %eax\npush there(%rip)\n.data\nhere: .byte 0\n";
    let object = Workshop::new().assemble("conflict", source);
    let inputs = [file("conflict.o", &object)];
    let error = link_error(&inputs, &externals(&[("there", FAR)]));
    assert_eq!(error.code(), "CONFLICTING_SYMBOLS");
    assert_eq!(
        (fact(&error, "first"), fact(&error, "second")),
        ("there".into(), ".data".into())
    );
    let distance: u64 = fact(&error, "distance").parse().expect("a number");
    assert!(
        distance.abs_diff(FAR - (1 << 32) - (1 << 31)) < 1 << 20,
        "{error}"
    );
}

#[test]
fn a_window_without_room_names_the_symbol_that_asks_for_it() {
    // Nothing may be mapped in the upper half of the address space.
    let object = Workshop::new().assemble("high", ".text\nmov there(%rip), %rax\n");
    let inputs = [file("high.o", &object)];
    let error = link_error(&inputs, &externals(&[("there", u64::MAX - 0xffff)]));
    assert_eq!(error.code(), "OUT_OF_REACH");
    assert_eq!(fact(&error, "symbol"), "there");
    assert!(
        error
            .to_string()
            .starts_with("cannot reach there directly: "),
        "{error}"
    );
}

#[test]
fn a_null_weak_symbol_can_be_compared_and_its_call_is_bound() {
    let source = "
        .weak absent
        .text
        .globl f
        f: xor %eax, %eax
           cmpq $0, absent@GOTPCREL(%rip)
           je 1f
           call absent
        1: ret
    ";
    let object = Workshop::new().assemble("weak", source);
    let memory = memory();
    let image =
        link(&memory, &[file("weak.o", &object)], &LinkOptions::default()).expect("it links");
    assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 0);
}

#[test]
fn a_direct_reference_to_a_null_weak_symbol_lies_low() {
    let source = ".weak absent\n.text\n.globl f\nf: lea absent(%rip), %rax\nret\n";
    let object = Workshop::new().assemble("weak", source);
    let memory = memory();
    let image =
        link(&memory, &[file("weak.o", &object)], &LinkOptions::default()).expect("it links");
    assert_eq!(function!(image, "f", extern "C" fn() -> u64)(), 0);
}

#[test]
fn a_field_that_is_too_narrow_names_the_distance() {
    let source = ".data\n.2byte there - .\n";
    let object = Workshop::new().assemble("narrow", source);
    let error = link_error_after_placement(&object, &externals(&[("there", FAR)]));
    assert_eq!(error.code(), "OUT_OF_REACH");
    assert_eq!(fact(&error, "relocation"), "R_X86_64_PC16");
    assert_eq!(fact(&error, "address"), format!("{FAR:#x}"));
    let limits = [i16::MIN, i16::MAX].map(|limit| limit.to_string());
    assert!(limits.contains(&fact(&error, "limit")));
    assert!(
        fact(&error, "distance")
            .parse::<i128>()
            .expect("a number")
            .abs()
            > 1 << 20
    );
}

#[test]
fn an_absolute_field_that_is_too_narrow_names_the_value() {
    let object = Workshop::new().assemble("narrow", ".data\n.long there\n");
    let error = link_error_after_placement(&object, &externals(&[("there", FAR)]));
    assert_eq!(
        (error.code(), fact(&error, "value")),
        ("OVERFLOW", FAR.to_string())
    );
    assert_eq!(fact(&error, "limit"), u32::MAX.to_string());
}

/// These are found when a place is known already: the memory gets it back, though its block stays.
fn link_error_after_placement(object: &[u8], options: &LinkOptions<'_>) -> codeslab_link::Error {
    let memory = memory();
    let error = link(&memory, &[file("narrow.o", object)], options).expect_err("it does not fit");
    let stats = memory.stats();
    assert_eq!((stats.in_flight, stats.live, stats.used_bytes), (0, 0, 0));
    error
}
