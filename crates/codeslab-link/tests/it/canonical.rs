//! Code that is not position-independent takes the addresses of functions of the process in 32 bits.

use crate::support::{
    Workshop, address, externals, fact, file, function, link, link_error, link_files, memory,
};
use codeslab_link::LinkOptions;

const PROGRAM: &str = r#"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int (*Compare)(const char *, const char *);
typedef long (*Absolute)(long);

static const char *const words[] = {"pear", "apple", "fig"};
Absolute volatile kept = labs;

static int by_text(const void *a, const void *b) { return strcmp(*(const char **)a, *(const char **)b); }

uint64_t address(void) { return (uint64_t)labs; }
int is_kept(void) { return kept == labs; }
long call_kept(long n) { return kept(n); }
long call(long n) { return labs(n); }
Compare chosen_by_processor(void) { return strcmp; }
int compare(const char *a, const char *b) { return chosen_by_processor()(a, b); }
const char *least(void) {
    const char *sorted[3];
    memcpy(sorted, words, sizeof sorted);
    qsort(sorted, 3, sizeof *sorted, by_text);
    return sorted[0];
}
"#;

type Absolute = extern "C" fn(i64) -> i64;

#[test]
fn a_function_has_one_address_in_the_image_and_can_be_called_there() {
    let workshop = Workshop::new();
    for level in ["-O0", "-O2"] {
        let flags = [level, "-fno-pic", "-mcmodel=small", "-fno-builtin"];
        let object = workshop.compile("program", PROGRAM, &flags);
        let memory = memory();
        let image = link_files(&memory, &[("program.o", &object)]);
        let taken = function!(image, "address", extern "C" fn() -> u64)();
        assert!(taken < 1 << 32, "{taken:#x}");
        assert_eq!(function!(image, "is_kept", extern "C" fn() -> i32)(), 1);
        assert_eq!(function!(image, "call_kept", Absolute)(-7), 7);
        assert_eq!(function!(image, "call", Absolute)(-8), 8);
        let compare = function!(image, "compare", extern "C" fn(*const u8, *const u8) -> i32);
        assert!(compare(c"a".as_ptr().cast(), c"b".as_ptr().cast()) < 0);
        assert_eq!(compare(c"a".as_ptr().cast(), c"a".as_ptr().cast()), 0);
        let least = function!(image, "least", extern "C" fn() -> u64)();
        assert_eq!(&crate::support::peek::<6>(least), b"apple\0");
    }
}

#[test]
fn all_ways_of_asking_for_the_address_agree() {
    let source = "
        .text
        .globl f, g, h, i
        f: mov $labs, %eax
           ret
        g: lea labs(%rip), %rax
           ret
        h: mov labs@GOTPCREL(%rip), %rax
           ret
        i: mov table(%rip), %rax
           ret
        .data
        table: .quad labs
    ";
    let object = Workshop::new().assemble("ways", source);
    let memory = memory();
    let image = link_files(&memory, &[("ways.o", &object)]);
    let addresses =
        ["f", "g", "h", "i"].map(|name| function!(image, name, extern "C" fn() -> u64)());
    assert_eq!(addresses, [addresses[0]; 4]);
    let process = codeslab::process_symbol("labs").expect("labs").value();
    assert_ne!(addresses[0], process, "that is out of reach of 32 bits");
}

#[test]
fn a_distance_to_a_function_does_not_keep_the_image_from_lying_low() {
    let source = "
        .text
        .globl f
        f: mov $value, %eax
           lea labs(%rip), %rcx
           mov (%rax), %rdi
           jmp *%rcx
        .data
        .globl value
        value: .quad -5
    ";
    let object = Workshop::new().assemble("low", source);
    let memory = memory();
    let image = link_files(&memory, &[("low.o", &object)]);
    assert!(address(&image, "value") < 1 << 32);
    assert_eq!(function!(image, "f", extern "C" fn() -> i64)(), 5);
}

#[test]
fn an_address_of_a_variable_that_does_not_fit_into_data_is_refused_and_never_replaced() {
    let object = Workshop::new().assemble("data", ".data\n.long stderr\n");
    let memory = memory();
    let inputs = [file("data.o", &object)];
    let error = link(&memory, &inputs, &LinkOptions::default()).expect_err("it does not fit");
    assert_eq!(
        (error.code(), fact(&error, "symbol")),
        ("OVERFLOW", "stderr".to_owned())
    );
    assert_eq!(memory.stats().used_bytes, 0);
}

#[test]
fn a_constant_whose_address_does_not_fit_into_data_has_a_copy_that_everything_in_the_image_agrees_on()
 {
    let source = "
        .text
        .globl in_data, in_code, by_distance, from_got, byte
        in_data: mov table(%rip), %eax
           ret
        in_code: mov $in6addr_loopback, %eax
           ret
        by_distance: lea in6addr_loopback(%rip), %rax
           ret
        from_got: mov in6addr_loopback@GOTPCREL(%rip), %rax
           ret
        byte: movzbl in6addr_loopback(%rdi), %eax
           ret
        .data
        table: .long in6addr_loopback
        .section .rodata
        .byte 1
    ";
    let object = Workshop::new().assemble("constant", source);
    let memory = memory();
    let image = link_files(&memory, &[("constant.o", &object)]);
    let ways = ["in_data", "in_code", "by_distance", "from_got"];
    let addresses = ways.map(|name| function!(image, name, extern "C" fn() -> u64)());
    assert_eq!(addresses, [addresses[0]; 4]);
    assert!(addresses[0] < 1 << 32, "{:#x}", addresses[0]);
    let constant = codeslab::process_symbol("in6addr_loopback").expect("it is there");
    let aligned_to = constant.value().trailing_zeros().min(6);
    let is_aligned = addresses[0].trailing_zeros() >= aligned_to;
    assert!(is_aligned && aligned_to > 0, "{:#x}", addresses[0]);
    let byte = function!(image, "byte", extern "C" fn(u64) -> u64);
    let bytes: Vec<u64> = (0..16).map(|at| byte(at)).collect();
    assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    drop(image);
    assert_eq!(memory.stats().used_bytes, 0);
}

#[test]
fn a_constant_that_is_indexed_at_an_address_in_32_bits_is_copied() {
    let source = ".text\n.globl byte\nbyte: movzbl in6addr_loopback(%rdi), %eax\nret\n";
    let object = Workshop::new().assemble("index", source);
    let memory = memory();
    let image = link_files(&memory, &[("index.o", &object)]);
    let byte = function!(image, "byte", extern "C" fn(u64) -> u64);
    assert_eq!((byte(14), byte(15)), (0, 1));
}

#[test]
fn a_branch_through_far_data_conflicts_with_code_that_has_to_lie_low() {
    let source =
        ".text\nmov $value, %eax\njmp *stderr(%rip)\nlea labs(%rip), %rax\n.data\nvalue: .quad 0\n";
    let object = Workshop::new().assemble("conflict", source);
    let error = link_error(&[file("conflict.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "CONFLICTING_SYMBOLS");
    assert_eq!(fact(&error, "first"), "stderr");
}

extern "C" fn hook() -> i32 {
    31
}

#[test]
fn an_external_of_the_embedder_counts_as_code_if_an_input_calls_it() {
    let options = externals(&[("hook", hook as *const () as u64)]);
    let source = ".text\n.globl f\nf: mov $hook, %eax\njmp *%rax\n";
    let taken = Workshop::new().assemble("taken", source);
    let called = Workshop::new().assemble("called", ".text\n.globl g\ng: jmp hook@PLT\n");
    let memory = memory();
    let inputs = [file("taken.o", &taken), file("called.o", &called)];
    let image = link(&memory, &inputs, &options).expect("it links");
    for name in ["f", "g"] {
        assert_eq!(function!(image, name, extern "C" fn() -> i32)(), 31);
    }
    // Where neither the process nor a call says that it is code, it is taken for data, whose address is its own.
    let image = link(&memory, &inputs[..1], &options).expect("it takes a detour");
    assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 31);
    let kept = Workshop::new().assemble("kept", ".data\n.long hook\n");
    let error = link(&memory, &[file("kept.o", &kept)], &options).expect_err("it does not fit");
    assert_eq!(
        (error.code(), fact(&error, "symbol")),
        ("OVERFLOW", "hook".into())
    );
}
