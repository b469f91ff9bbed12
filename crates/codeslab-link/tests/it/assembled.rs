//! Relocations that compilers seldom write, each checked against its formula.

use crate::support::{
    Workshop, address, externals, file, function, link, link_error, link_files, memory, peek,
    peek_i32, peek_u64,
};

#[test]
fn narrow_fields_hold_addresses_and_distances() {
    let source = "
        .section .data.one, \"aw\"
        .globl eight, sixteen, near8, near16, near32, near64
        eight:   .byte small + 1
        sixteen: .2byte small + 0x100
        near8:   .byte there - .
        near16:  .2byte there - .
        near32:  .long there - .
        near64:  .quad there - .
        .section .data.two, \"aw\"
        .globl there
        there:   .byte 0
    ";
    let object = Workshop::new().assemble("narrow", source);
    let memory = memory();
    let options = externals(&[("small", 0x70)]);
    let image = link(&memory, &[file("narrow.o", &object)], &options).expect("it links");
    let at = |name| address(&image, name);
    assert_eq!(peek::<1>(at("eight")), [0x71]);
    assert_eq!(peek::<2>(at("sixteen")), [0x70, 0x01]);
    let [near8] = peek::<1>(at("near8"));
    assert_eq!(u64::from(near8), at("there") - at("near8"));
    let near16 = u16::from_le_bytes(peek(at("near16")));
    assert_eq!(u64::from(near16), at("there") - at("near16"));
    assert_eq!(
        peek_i32(at("near32")),
        (at("there") - at("near32")).cast_signed()
    );
    assert_eq!(peek_u64(at("near64")), at("there") - at("near64"));
}

#[test]
fn narrow_fields_accept_both_readings_and_refuse_the_rest() {
    let object = Workshop::new().assemble("byte", ".data\n.globl field\nfield: .byte small\n");
    let memory = memory();
    let byte = |value: u64| {
        let options = externals(&[("small", value)]);
        link(&memory, &[file("byte.o", &object)], &options)
            .map(|image| peek::<1>(address(&image, "field"))[0])
    };
    assert_eq!(byte(0xff), Ok(0xff));
    assert_eq!(byte(0x80), Ok(0x80));
    let error = byte(0x100).expect_err("it does not fit");
    assert_eq!(error.code(), "OVERFLOW");
    let text = error.to_string();
    assert_eq!(
        text,
        "byte.o(.data+0x0): R_X86_64_8 small: value 0x100 does not fit (limit 0xff); symbol at 0x100"
    );
}

#[test]
fn sizes_are_those_of_the_definition() {
    let source = "
        .data
        .globl size32, size64
        size32: .long thing@SIZE
        size64: .quad thing@SIZE + 1
    ";
    let workshop = Workshop::new();
    let user = workshop.assemble("user", source);
    let definer = workshop.compile("definer", "char thing[77];", &[]);
    let image = link_files(&memory(), &[("user.o", &user), ("definer.o", &definer)]);
    assert_eq!(peek_i32(address(&image, "size32")), 77);
    assert_eq!(peek_u64(address(&image, "size64")), 78);
}

#[test]
fn all_relocations_that_involve_the_table_mean_the_same_one() {
    let source = "
        .data
        .globl base64, base32, offset, entry32, entry64, entry_plt, entry_distance, code_offset
        base64:  .quad _GLOBAL_OFFSET_TABLE_ - .
        base32:  .long _GLOBAL_OFFSET_TABLE_ - .
        offset:  .quad f@GOTOFF
        entry32: .long f@GOT
        entry64: .quad f@GOT
        entry_plt: .quad f@GOTPLT
        entry_distance: .quad f@GOTPCREL
        code_offset: .quad f@PLTOFF
        .text
        .globl f
        f: ret
    ";
    let object = Workshop::new().assemble("table", source);
    let image = link_files(&memory(), &[("table.o", &object)]);
    let at = |name| address(&image, name);
    let table = at("base64").wrapping_add(peek_u64(at("base64")));
    assert_eq!(
        at("base32").wrapping_add_signed(peek_i32(at("base32"))),
        table
    );
    let f = at("f");
    assert_eq!(table.wrapping_add(peek_u64(at("offset"))), f);
    assert_eq!(table.wrapping_add(peek_u64(at("code_offset"))), f);
    assert_eq!(peek_u64(table + peek_u64(at("entry64"))), f);
    assert_eq!(peek_u64(table + peek_u64(at("entry_plt"))), f);
    assert_eq!(
        peek_u64(table.wrapping_add_signed(peek_i32(at("entry32")))),
        f
    );
    let entry = at("entry_distance").wrapping_add(peek_u64(at("entry_distance")));
    assert_eq!(peek_u64(entry), f);
}

/// Loads, calls, jumps and arithmetic through GOT entries, which become shorter ways when the symbol is near or small.
#[test]
fn relaxed_instructions_compute_the_same() {
    let source = "
        .text
        .globl load, load_high, invoke, leap, compare, add_small, test_small, xor_small
        load:       mov near@GOTPCREL(%rip), %rax
                    ret
        load_high:  push %r13
                    mov near@GOTPCREL(%rip), %r13
                    mov %r13, %rax
                    pop %r13
                    ret
        invoke:     sub $8, %rsp
                    call *answer@GOTPCREL(%rip)
                    add $8, %rsp
                    ret
        leap:       jmp *answer@GOTPCREL(%rip)
        compare:    xor %eax, %eax
                    cmp small@GOTPCREL(%rip), %rdi
                    sete %al
                    ret
        add_small:  mov %rdi, %rax
                    add small@GOTPCREL(%rip), %rax
                    ret
        test_small: xor %eax, %eax
                    test %rdi, small@GOTPCREL(%rip)
                    setne %al
                    ret
        xor_small:  mov %rdi, %r9
                    xor small@GOTPCREL(%rip), %r9
                    mov %r9, %rax
                    ret
        answer:     mov $42, %eax
                    ret
        .globl near
        .data
        near: .quad 0
    ";
    let object = Workshop::new().assemble("relaxed", source);
    let memory = memory();
    let options = externals(&[("small", 0x1234)]);
    let image = link(&memory, &[file("relaxed.o", &object)], &options).expect("it links");
    let nullary = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    assert_eq!(nullary("load"), address(&image, "near"));
    assert_eq!(nullary("load_high"), address(&image, "near"));
    assert_eq!(nullary("invoke"), 42);
    assert_eq!(nullary("leap"), 42);
    assert_eq!(
        peek::<2>(address(&image, "leap"))[0],
        0xe9,
        "jmp is relaxed"
    );
    let unary = |name: &str, x: u64| function!(image, name, extern "C" fn(u64) -> u64)(x);
    assert_eq!((unary("compare", 0x1234), unary("compare", 0x1235)), (1, 0));
    assert_eq!(unary("add_small", 0x1_0000_0000), 0x1_0000_1234);
    assert_eq!((unary("test_small", 0x4), unary("test_small", 0x8)), (1, 0));
    assert_eq!(unary("xor_small", 0x1235), 1);
}

#[test]
fn an_unknown_relocation_is_named_with_its_place() {
    let workshop = Workshop::new();
    let mut object = workshop.assemble("odd", ".data\n.quad 0\n.quad there\n");
    // R_X86_64_64 becomes a type that does not exist: its little-endian info is symbol << 32 | type.
    let info = find_info(&object, 8, 1);
    object[info..info + 4].copy_from_slice(&200_u32.to_le_bytes());
    let error = link_error(&[file("odd.o", &object)], &externals(&[]));
    assert_eq!(error.code(), "UNKNOWN_RELOCATION");
    assert_eq!(
        error.to_string(),
        "odd.o(.data+0x8): type 200 there: relocation of an unknown type"
    );
}

/// Where the type of the relocation at `offset` is written.
fn find_info(object: &[u8], offset: u64, kind: u32) -> usize {
    let pattern = [&offset.to_le_bytes()[..], &kind.to_le_bytes()[..]].concat();
    let mut windows = object.windows(pattern.len());
    let found = windows.position(|bytes| bytes == pattern);
    found.expect("the object has such a relocation") + 8
}
