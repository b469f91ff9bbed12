//! 64-bit Arm: what its compiler makes, linked and called on it.

mod debian;
mod foreign;
mod jitlink;

use crate::support::{
    Workshop, address, externals, fact, file, function, link, link_files, memory, peek_u64,
};
use codeslab::{Address, Layout, Options, Protection, Request, Window};
use codeslab_link::LinkOptions;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A program that uses its own data, of each size, functions and data of the process, and a table of a switch.
const PROGRAM: &str = r#"
    #include <stdio.h>
    #include <string.h>
    extern char **environ;
    static char bytes[8]; static short halves[8]; static int words[8]; static long longs[8];
    static __int128 quads[8]; static double doubles[8];
    int shared = 40;
    static int choose(int n) {
        switch (n) { case 0: return 7; case 1: return 11; case 2: return 13; case 3: return 17; case 4: return 19; case 5: return 23; default: return 1; }
    }
    int (*pointer)(int) = choose;
    int f(int n) {
        bytes[1] += n; halves[2] += n; words[3] += n; longs[4] += n; quads[5] += n; doubles[6] += n;
        char text[64];
        snprintf(text, sizeof text, "%d %d %d %ld %d %.1f", bytes[1], halves[2], words[3], longs[4], (int)quads[5], doubles[6]);
        return strlen(text) * 1000 + pointer(n) + shared + (environ != 0) + (stderr != 0);
    }
"#;

#[test]
fn a_program_computes_the_same_under_all_code_models() {
    let workshop = Workshop::new();
    for flags in [
        &["-O2"][..],
        &["-O0"],
        &["-O2", "-fno-pic", "-fno-pie"],
        &["-O2", "-fPIC"],
        &["-O2", "-fpic"],
        &["-O2", "-fPIE", "-mbranch-protection=standard"],
        &["-O2", "-fno-pic", "-mcmodel=large"],
        &["-O2", "-fPIC", "-fno-plt"],
        &["-O2", "-mpc-relative-literal-loads"],
    ] {
        let object = workshop.compile("program", PROGRAM, flags);
        let memory = memory();
        let image = link_files(&memory, &[("program.o", &object)]);
        let f = function!(image, "f", extern "C" fn(i32) -> i32);
        // "2 2 2 2 2 2.0" has 13 characters; the switch says 13.
        assert_eq!(f(2), 13_000 + 13 + 40 + 2, "{flags:?}");
        assert_eq!(f(3), 13_000 + 17 + 40 + 2, "{flags:?}");
    }
}

#[test]
fn atomic_operations_that_are_called_are_there() {
    let source = r"
        #define EACH(type, name) \
            type add_##name(type *at, type n) { return __atomic_fetch_add(at, n, __ATOMIC_SEQ_CST); } \
            type and_##name(type *at, type n) { return __atomic_fetch_and(at, n, __ATOMIC_ACQUIRE); } \
            type or_##name(type *at, type n) { return __atomic_fetch_or(at, n, __ATOMIC_RELEASE); } \
            type xor_##name(type *at, type n) { return __atomic_fetch_xor(at, n, __ATOMIC_RELAXED); } \
            type swap_##name(type *at, type n) { return __atomic_exchange_n(at, n, __ATOMIC_ACQ_REL); } \
            type full_##name(type *at, type n) { return __sync_fetch_and_add(at, n); } \
            int cas_##name(type *at, type was, type n) { return __atomic_compare_exchange_n(at, &was, n, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); }
        EACH(unsigned char, 1) EACH(unsigned short, 2) EACH(unsigned, 4) EACH(unsigned long, 8)
        #define CHECK(type, name) { type v = 5; \
            if (add_##name(&v, 3) != 5 || v != 8) return name * 100 + 1; \
            if (and_##name(&v, 12) != 8 || v != 8) return name * 100 + 2; \
            if (or_##name(&v, 3) != 8 || v != 11) return name * 100 + 3; \
            if (xor_##name(&v, 1) != 11 || v != 10) return name * 100 + 4; \
            if (swap_##name(&v, 77) != 10 || v != 77) return name * 100 + 5; \
            if (full_##name(&v, (type)-1) != 77 || v != 76) return name * 100 + 6; \
            if (cas_##name(&v, 75, 1) || v != 76) return name * 100 + 7; \
            if (!cas_##name(&v, 76, 1) || v != 1) return name * 100 + 8; \
            v = (type)-1; if (full_##name(&v, 1) != (type)-1 || v != 0) return name * 100 + 9; }
        int check(void) { CHECK(unsigned char, 1) CHECK(unsigned short, 2) CHECK(unsigned, 4) CHECK(unsigned long, 8) return 0; }
        void count(unsigned long *at, int n) { while (n--) __atomic_fetch_add(at, 1, __ATOMIC_RELAXED); }
    ";
    let workshop = Workshop::new();
    let object = workshop.compile("atomics", source, &["-O2", "-moutline-atomics"]);
    let text = String::from_utf8_lossy(&object);
    assert!(text.contains("__aarch64_ldadd4_acq_rel") && text.contains("__aarch64_cas1_acq_rel"));
    let memory = memory();
    let image = link_files(&memory, &[("atomics.o", &object)]);
    assert_eq!(function!(image, "check", extern "C" fn() -> i32)(), 0);
    let count = function!(image, "count", extern "C" fn(*mut u64, i32));
    let total = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| count(total.as_ptr(), 10_000));
        }
    });
    assert_eq!(total.into_inner(), 40_000);
}

#[test]
fn every_thread_has_its_own_variables_in_every_model_of_thread_local_storage() {
    let source = r"
        __thread int counter = 40; static __thread int more[4] = {1, 2}; extern __thread int far;
        int f(void) { counter += 1; more[1] += 1; far += 1; return counter * 10000 + more[1] * 100 + far; }
    ";
    let workshop = Workshop::new();
    let other = workshop.compile("other", "__thread int far = 5;", &[]);
    for flags in [
        &["-fPIC", "-ftls-model=global-dynamic"][..],
        &["-fPIC", "-mtls-dialect=trad", "-ftls-model=global-dynamic"],
        &["-fPIC", "-mtls-dialect=trad", "-ftls-model=local-dynamic"],
        &["-fPIC", "-ftls-model=initial-exec"],
        &["-fno-pic", "-ftls-model=local-exec"],
        &["-fno-pic", "-ftls-model=local-exec", "-mtls-size=32"],
        &["-fno-pic", "-ftls-model=local-exec", "-mtls-size=48"],
        &["-fno-pic", "-ftls-model=local-exec", "-mtls-size=12"],
    ] {
        let object = workshop.compile("own", source, &[&["-O2"], flags].concat());
        let memory = memory();
        let image = link_files(&memory, &[("own.o", &object), ("other.o", &other)]);
        let f = function!(image, "f", extern "C" fn() -> i32);
        let expected = [410_306, 420_407];
        assert_eq!([f(), f()], expected, "{flags:?}");
        let elsewhere = std::thread::spawn(move || [f(), f()]).join().unwrap();
        assert_eq!(elsewhere, expected, "{flags:?}");
    }
}

/// A function that returns the number `value`, in one of these windows.
fn placed(
    memory: &codeslab::CodeMemory,
    windows: &[Window],
    value: u32,
) -> (codeslab::Allocation, Address) {
    let mut layout = Layout::new();
    let code = layout.add(Protection::ReadExecute, 12, 16).unwrap();
    let place = |window| memory.allocate(&Request::new(&layout).within(&[window]));
    let placed = windows.iter().find_map(|window| place(*window).ok());
    let mut in_flight = placed.expect("room in one of them");
    // bti c; mov w0, #value; ret
    let instructions = [0xd503_245f_u32, 0x5280_0000 | value << 5, 0xd65f_03c0];
    let bytes = instructions.map(u32::to_le_bytes).concat();
    in_flight.write(code, 0, &bytes).unwrap();
    let at = in_flight.address(code);
    (in_flight.finalize().unwrap(), at)
}

/// Calls, jumps to, and takes the address of a function, and reads a variable by way of the GOT.
const FAR: &str = "
    .text
    .globl call, jump, take, load
    call: stp x29, x30, [sp, #-16]!
          bl there
          add w0, w0, #1
          ldp x29, x30, [sp], #16
          ret
    jump: b there
    take: adrp x0, :got:there
          ldr x0, [x0, :got_lo12:there]
          ret
    load: adrp x0, :got:data
          ldr x0, [x0, :got_lo12:data]
          ldr x0, [x0]
          ret
";

#[test]
fn what_branches_and_pages_do_not_span_is_reached_by_stubs_and_entries() {
    let object = Workshop::new().assemble("far", FAR);
    let memory = memory();
    let value = Box::new(0x1234_5678_9abc_u64);
    let (_near, anchor) = placed(&memory, &[Window::ANYWHERE], 3);
    // In reach of a branch; beyond it and in reach of a page; beyond both, with foreign memory between.
    // On either side, since other tests have memory here and there.
    let start = anchor.value();
    let window = |(first, last)| Window::new(Address::new(first), Address::new(last)).unwrap();
    for (from, to, value_there) in [(16, 112, 5_u32), (160, 1536, 6), (5120, 9216, 7)] {
        let (from, to) = (from * MIB, to * MIB);
        let windows = [(start - to, start - from), (start + from, start + to)].map(window);
        let others = codeslab::CodeMemory::new(Options::default()).unwrap();
        let (_there, there) = placed(&others, &windows, value_there);
        assert!((from..=to).contains(&there.distance(anchor)));
        let data = std::ptr::from_ref(&*value) as u64;
        let options = externals(&[("there", there.value()), ("data", data)]);
        let image = link(&memory, &[file("far.o", &object)], &options).unwrap();
        let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
        assert_eq!(call("call") as u32, value_there + 1, "{from:#x}");
        assert_eq!(call("jump") as u32, value_there, "{from:#x}");
        assert_eq!(call("take"), there.value(), "{from:#x}");
        assert_eq!(call("load"), *value, "{from:#x}");
        // Instructions as they were written: a branch that arrives is direct, others go to a stub, which may be called (bti c).
        let at = address(&image, "jump");
        let word = peek_u64(at) as u32;
        let arrives = at.wrapping_add_signed(i64::from((word << 6).cast_signed() >> 6) * 4);
        let is_direct = arrives == there.value();
        let fits = there.value().abs_diff(at) < 128 * MIB;
        assert_eq!(is_direct, fits, "{from:#x}");
        assert!(is_direct || peek_u64(arrives) as u32 == 0xd503_245f);
    }
}

/// Addresses from the GOT: by pairs of instructions, near and far; by one whose page is seen, one that a branch from another comes to, and one
/// that is apart.
const ENTRIES: &str = "
    .section .text.pairs, \"ax\"
    .globl pair, far
    pair:   adrp x0, :got:near
            ldr x0, [x0, :got_lo12:near]
            ret
    far:    adrp x5, :got:distant
            ldr x5, [x5, :got_lo12:distant]
            mov x0, x5
            ret
    .section .text.seen, \"ax\"
    .globl seen
    seen:   adrp x1, :got:near
            ldr x0, [x1, :got_lo12:near]
            ret
    .section .text.shared, \"ax\"
    .globl shared, other
    shared: adrp x0, :got:near
            ldr x0, [x0, :got_lo12:near]
            ret
    other:  adrp x0, :got:near
            b shared + 4
    .section .text.apart, \"ax\"
    .globl apart
    apart:  adrp x0, :got:near
            nop
            ldr x0, [x0, :got_lo12:near]
            ret
    .data
    .balign 16
    .skip 0x123
    .globl near
    near:   .byte 1
";

#[test]
fn an_address_comes_from_the_got_unless_two_instructions_of_their_own_compute_it() {
    let object = Workshop::new().assemble("entries", ENTRIES);
    let distant = 0x1234;
    let options = externals(&[("distant", distant)]);
    let image = link(&memory(), &[file("entries.o", &object)], &options).expect("it links");
    let near = address(&image, "near");
    // Whether the second instruction, or the third, is an addition in the place of the load.
    let is_added = |name: &str, offset: u64| {
        let word = peek_u64(address(&image, name) + offset) as u32;
        let [is_added, is_loaded] = [0x9100_0000, 0xf940_0000].map(|of| word & 0xffc0_0000 == of);
        assert!(is_added || is_loaded, "{name}: {word:#x}");
        is_added
    };
    let is_far = distant.abs_diff(address(&image, "far")) > 4 * GIB;
    let expected = [
        ("pair", near, 4, true),
        ("far", distant, 4, !is_far),
        ("seen", near, 4, false),
        ("shared", near, 4, false),
        ("apart", near, 8, false),
    ];
    for (name, at, offset, added) in expected {
        let value = function!(image, name, extern "C" fn() -> u64)();
        assert_eq!((value, is_added(name, offset)), (at, added), "{name}");
    }
    assert_eq!(function!(image, "other", extern "C" fn() -> u64)(), near);
}

#[test]
fn two_images_more_than_128_mib_apart_call_each_other() {
    let workshop = Workshop::new();
    let first = workshop.compile("first", "int twice(int n) { return 2 * n; }", &["-O2"]);
    let second = workshop.compile(
        "second",
        "int twice(int); int f(int n) { return twice(n) + 1; }",
        &["-O2"],
    );
    let memory = memory();
    let first = link_files(&memory, &[("first.o", &first)]);
    let twice = address(&first, "twice");
    // 300 MiB of code between the two.
    let mut layout = Layout::new();
    layout.add(Protection::ReadExecute, 300 * MIB, 16).unwrap();
    let between = memory.allocate(&Request::new(&layout)).unwrap();
    let mut found = false;
    for _ in 0..4 {
        let other = codeslab::CodeMemory::new(Options::default()).unwrap();
        let inputs = [file("second.o", &second)];
        let image = link(&other, &inputs, &externals(&[("twice", twice)])).unwrap();
        let f = function!(image, "f", extern "C" fn(i32) -> i32);
        assert_eq!(f(21), 43);
        found |= address(&image, "f").abs_diff(twice) > 128 * MIB;
        std::mem::forget(image);
        std::mem::forget(other);
    }
    drop(between);
    assert!(found, "no two of the images lie that far apart");
}

/// One instruction or word that refers to `there`, and how far the type spans backwards and forwards.
#[rustfmt::skip] // A table is read by columns.
const SPANS: [(&str, &str, i64, i64); 9] = [
    (".2byte there - .",                "PREL16",           -(1 << 15), (1 << 15) - 4),
    (".4byte there - .",                "PREL32",           -(1 << 31), (1 << 31) - 4),
    ("tbz w0, #1, there",               "TSTBR14",          -(1 << 15), (1 << 15) - 4),
    ("b.eq there",                      "CONDBR19",         -(1 << 20), (1 << 20) - 4),
    ("cbz x0, there",                   "CONDBR19",         -(1 << 20), (1 << 20) - 4),
    ("ldr x0, there",                   "LD_PREL_LO19",     -(1 << 20), (1 << 20) - 4),
    ("adr x0, there",                   "ADR_PREL_LO21",    -(1 << 20), (1 << 20) - 4),
    ("adrp x0, there",                  "ADR_PREL_PG_HI21", -(1 << 32), (1 << 32) - 4096),
    ("movz x0, #:prel_g0:there",        "MOVW_PREL_G0",     -(1 << 16), (1 << 16) - 4),
];

#[test]
fn a_field_arrives_at_both_ends_of_its_span_and_is_refused_by_name_beyond() {
    let workshop = Workshop::new();
    for (number, (line, kind, least, greatest)) in SPANS.into_iter().enumerate() {
        // In an image, distances are those of the object: what is beyond is an address that the image is given.
        let name = format!("span{number}");
        let source = format!(".text\n.globl at\n.balign 8\nat: {line}\n.balign 8\nret\n");
        let object = workshop.assemble(&name, &source);
        let memory = memory();
        // Where it will lie is known after it was linked once.
        let (_anchor, anchor) = placed(&memory, &[Window::ANYWHERE], 1);
        for (distance, fits) in [
            (least, true),
            (greatest, true),
            (least - 16 * GIB as i64, false),
            (greatest + 16 * GIB as i64, false),
        ] {
            let there = (anchor.value() & !0xfff).wrapping_add_signed(distance);
            if fits
                && kind.starts_with("PREL16")
                    | kind.starts_with("TSTBR14")
                    | kind.starts_with("MOVW")
            {
                // Spans so short that nothing can be placed at their very end from outside; rows test them as data.
                continue;
            }
            let options = externals(&[("there", there)]);
            let linked = link(&memory, &[file("span.o", &object)], &options);
            match linked {
                Ok(image) => assert!(
                    fits || address(&image, "at").abs_diff(there) < 16 * GIB,
                    "{line}"
                ),
                Err(error) => {
                    assert!(!fits || error.code() == "OUT_OF_REACH", "{line}: {error}");
                    assert!(error.to_string().contains("there"), "{line}: {error}");
                }
            }
        }
    }
}

#[test]
fn what_is_too_far_for_a_branch_on_a_condition_is_refused_by_name() {
    let workshop = Workshop::new();
    // Inside of one image: more than a conditional branch spans, and a branch at the end of what it spans.
    for (gap, fits) in [(MIB - 8, true), (MIB, false)] {
        let source = format!(
            ".text\n.globl f\nf: cbz x0, there\nret\n.skip {}\n.section .text.b, \"ax\"\nthere: mov w0, #5\nret\n",
            gap - 8
        );
        let object = workshop.assemble("cond", &source);
        let memory = memory();
        let linked = link(&memory, &[file("cond.o", &object)], &LinkOptions::default());
        match linked {
            Ok(image) => {
                assert!(fits);
                assert_eq!(function!(image, "f", extern "C" fn(u64) -> u32)(0), 5);
            }
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.code(), "OUT_OF_REACH");
                assert_eq!(fact(&error, "relocation"), "R_AARCH64_CONDBR19");
                assert_eq!(memory.stats().live, 0);
            }
        }
    }
}

#[test]
fn numbers_too_large_for_a_move_are_refused_by_name() {
    let workshop = Workshop::new();
    for (line, kind, value) in [
        ("movz x0, #:abs_g0:there", "MOVW_UABS_G0", 1_u64 << 16),
        ("movz x0, #:abs_g1:there", "MOVW_UABS_G1", 1 << 32),
        ("movz x0, #:abs_g2:there", "MOVW_UABS_G2", 1 << 48),
        ("movz x0, #:abs_g0_s:there", "MOVW_SABS_G0", 1 << 16),
        ("movz x0, #:abs_g1_s:there", "MOVW_SABS_G1", 1 << 32),
    ] {
        let object = workshop.assemble("moves", &format!(".text\n.globl f\nf: {line}\nret\n"));
        let memory = memory();
        let link = |value: u64| {
            link(
                &memory,
                &[file("moves.o", &object)],
                &externals(&[("there", value)]),
            )
        };
        let error = link(value).unwrap_err();
        assert_eq!(
            (error.code(), fact(&error, "relocation")),
            ("OVERFLOW", format!("R_AARCH64_{kind}"))
        );
        // The largest that fits is what the instruction gives, as far as one instruction gives it.
        let image = link(value - 1).unwrap();
        let part = if kind.ends_with("G2") {
            32
        } else if kind.ends_with("G1") {
            16
        } else {
            0
        };
        let expected = (value - 1) >> part << part;
        assert_eq!(
            function!(image, "f", extern "C" fn() -> u64)(),
            expected,
            "{line}"
        );
    }
}

#[test]
fn a_load_of_an_address_that_is_not_aligned_is_refused_by_name() {
    let source = ".text\n.globl f\nf: adrp x0, odd\nldr x0, [x0, :lo12:odd]\nret\n.data\n.balign 16\n.byte 0\nodd: .8byte 1\n";
    let object = Workshop::new().assemble("odd", source);
    let memory = memory();
    let error = link(&memory, &[file("odd.o", &object)], &LinkOptions::default()).unwrap_err();
    assert_eq!(error.code(), "OVERFLOW");
    assert!(error.to_string().contains("multiple of 8"), "{error}");
    assert_eq!(fact(&error, "relocation"), "R_AARCH64_LDST64_ABS_LO12_NC");
}

#[test]
fn fragments_of_initialisers_and_functions_for_the_exit_run() {
    let assembled = "
        .section .init, \"ax\"
        bl begin
        .section .fini, \"ax\"
        bl finish
    ";
    let source = r"
        #include <stdlib.h>
        int state; int *out;
        static void at_exit(void) { *out += 100; }
        void begin(void) { state += 1; atexit(at_exit); }
        void finish(void) { *out += 10; }
        __attribute__((constructor)) static void construct(void) { state += 1000; }
        void watch(int *at) { out = at; }
        int get(void) { return state; }
    ";
    let workshop = Workshop::new();
    let objects = [
        workshop.assemble("fragments", assembled),
        workshop.compile("state", source, &["-O2"]),
    ];
    let memory = memory();
    let image = link_files(
        &memory,
        &[("fragments.o", &objects[0]), ("state.o", &objects[1])],
    );
    assert_eq!(function!(image, "get", extern "C" fn() -> i32)(), 1001);
    let mut seen = 0;
    function!(image, "watch", extern "C" fn(*mut i32))(&raw mut seen);
    drop(image);
    assert_eq!(seen, 110);
}

#[test]
fn a_weak_function_that_nobody_has_is_null_and_code_that_asks_first_runs() {
    let source =
        "__attribute__((weak)) int absent(int); int f(int n) { return absent ? absent(n) : -n; }";
    let workshop = Workshop::new();
    for flags in [&["-O2", "-fPIC"][..], &["-O2", "-fno-pic"]] {
        let object = workshop.compile("weak", source, flags);
        let memory = memory();
        let image = link_files(&memory, &[("weak.o", &object)]);
        assert_eq!(
            function!(image, "f", extern "C" fn(i32) -> i32)(4),
            -4,
            "{flags:?}"
        );
    }
}
