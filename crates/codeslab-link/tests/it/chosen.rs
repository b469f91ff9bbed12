//! What an embedder chooses beside inputs: what is left out, what names stand for; and what a link says of all that it refuses.

use crate::support::{Workshop, address, fact, file, function, link, link_error, memory, peek_u64};
use codeslab_link::{Error, Image, LinkOptions, estimate};

fn collected(roots: &[&str]) -> LinkOptions<'static> {
    LinkOptions {
        gc: true,
        roots: roots.iter().map(|&root| root.to_owned()).collect(),
        ..LinkOptions::default()
    }
}

fn names(image: &Image) -> Vec<String> {
    image.symbols().map(|symbol| symbol.name.clone()).collect()
}

const SECTIONS: &str = "
    .section .text.used, \"ax\"
    .globl used
    used: call helper
    ret
    .section .text.helper, \"ax\"
    .globl helper
    helper: mov $7, %eax
    ret
    .section .text.unused, \"ax\"
    .globl unused
    unused: call nothing_has_this
    .section .data.kept, \"awR\"
    .globl kept
    kept: .quad 1
";

#[test]
fn what_the_roots_do_not_need_is_left_out_with_what_it_needs() {
    let object = Workshop::new().assemble("sections", SECTIONS);
    let inputs = [file("sections.o", &object)];
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(fact(&error, "symbol"), "nothing_has_this");
    let image = link(&memory(), &inputs, &collected(&["used"])).expect("unused is left out");
    assert_eq!(names(&image), ["helper", "kept", "used"]);
    assert_eq!(function!(image, "used", extern "C" fn() -> i32)(), 7);
}

#[test]
fn without_roots_all_that_the_inputs_show_is_kept_and_what_they_hide_goes() {
    let source = SECTIONS.replace(".globl unused", ".globl unused\n.hidden unused");
    let object = Workshop::new().assemble("sections", &source);
    let image = link(&memory(), &[file("sections.o", &object)], &collected(&[]));
    let image = image.expect("nothing refers to unused");
    assert_eq!(names(&image), ["helper", "kept", "used"]);
}

#[test]
fn sections_whose_ends_are_used_and_constructors_are_needed() {
    let source = "
        .text
        .globl ends
        ends: lea __stop_table(%rip), %rax
        lea __start_table(%rip), %rcx
        sub %rcx, %rax
        ret
        .section table, \"a\"
        .quad 1, 2
        .section .text.start, \"ax\"
        start: movl $5, state(%rip)
        ret
        .section .init_array, \"aw\"
        .quad start
        .bss
        .globl state
        state: .long 0
    ";
    let object = Workshop::new().assemble("ends", source);
    let memory = memory();
    let image = link(&memory, &[file("ends.o", &object)], &collected(&["ends"]));
    let image = image.expect("it links");
    assert_eq!(function!(image, "ends", extern "C" fn() -> u64)(), 16);
    let state = peek_u64(address(&image, "state")) as u32;
    assert_eq!(state, 5, "the constructor ran");
}

#[test]
fn unwind_information_does_not_keep_the_code_that_it_describes() {
    let code = |name: &str| {
        format!(
            ".section .text.{name}, \"ax\"\n.globl {name}\n{name}:\n.cfi_startproc\nnop\nret\n.cfi_endproc\n"
        )
    };
    let object = Workshop::new().assemble("unwind", &(code("used") + &code("unused")));
    let image = link(
        &memory(),
        &[file("unwind.o", &object)],
        &collected(&["used"]),
    );
    assert_eq!(names(&image.expect("it links")), ["used"]);
}

#[test]
fn references_to_a_wrapped_name_go_to_the_wrapper_and_its_own_to_the_name() {
    let workshop = Workshop::new();
    let user = "int f(int); int probe(int n) { return f(n); }";
    let user = workshop.compile("user", user, &["-O2"]);
    let wrapper = "int __real_f(int); int __wrap_f(int n) { return __real_f(n) + 100; }";
    let wrapper = workshop.compile("wrapper", wrapper, &["-O2"]);
    let real = workshop.compile("real", "int f(int n) { return n * 2; }", &["-O2"]);
    let inputs = [
        file("user.o", &user),
        file("wrapper.o", &wrapper),
        file("real.o", &real),
    ];
    let options = LinkOptions {
        wrap: vec!["f".to_owned()],
        ..LinkOptions::default()
    };
    let image = link(&memory(), &inputs, &options).expect("it links");
    assert_eq!(
        function!(image, "probe", extern "C" fn(i32) -> i32)(21),
        142
    );
    assert_eq!(function!(image, "f", extern "C" fn(i32) -> i32)(21), 42);
}

fn assigned(list: &[(&str, &str)]) -> LinkOptions<'static> {
    let list = list.iter();
    LinkOptions {
        defsym: list
            .map(|(name, other)| ((*name).to_owned(), (*other).to_owned()))
            .collect(),
        ..LinkOptions::default()
    }
}

#[test]
fn a_symbol_is_what_it_is_assigned_whatever_the_inputs_say() {
    let source = ".data\n.globl a, b, p\na: .quad 1\nb: .quad 2\np: .quad alias, number, b, unmentioned_not\n";
    let object = Workshop::new().assemble("object", source);
    let options = assigned(&[
        ("alias", "a+8"),
        ("number", "0x30"),
        ("b", "a"),
        ("unmentioned_not", "alias-8"),
        ("unmentioned", "strlen"),
    ]);
    let image = link(&memory(), &[file("object.o", &object)], &options).expect("it links");
    let (p, a) = (address(&image, "p"), address(&image, "a"));
    let values = [0, 8, 16, 24].map(|offset| peek_u64(p + offset));
    assert_eq!(values, [a + 8, 0x30, a, a]);
    assert_eq!(address(&image, "alias"), a + 8);
    let strlen = codeslab::process_symbol("strlen").expect("strlen").value();
    assert_eq!(address(&image, "unmentioned"), strlen);
    let error = link_error(
        &[file("object.o", &object)],
        &assigned(&[("alias", "nowhere_at_all")]),
    );
    assert_eq!(
        (error.code(), fact(&error, "symbol").as_str()),
        ("UNDEFINED_SYMBOL", "nowhere_at_all")
    );
    let error = link_error(&[], &assigned(&[("alias", "a*2")]));
    assert_eq!(error.code(), "INVALID_EXPRESSION");
    assert_eq!(fact(&error, "expression"), "a*2");
}

#[test]
fn all_objects_that_are_refused_are_told_at_once_with_the_roots_that_do_without_them() {
    let workshop = Workshop::new();
    workshop.assemble("good", ".text\n.globl good\ngood: ret\n");
    workshop.assemble("user", ".text\n.globl user\nuser: jmp writable\n");
    let stack = ".section .note.GNU-stack, \"x\", @progbits\n";
    workshop.assemble(
        "stack",
        &format!(".text\n.globl stack\nstack: ret\n{stack}"),
    );
    workshop.assemble(
        "odd",
        ".section .odd, \"awx\"\n.globl writable\nwritable: ret\n",
    );
    let members = ["good.o", "user.o", "stack.o", "odd.o"];
    workshop.run("ar", &[&["rcs", "all.a"][..], &members].concat());
    let archive = workshop.read("all.a");
    let inputs = [file("all.a", &archive)];
    let error = link_error(&inputs, &LinkOptions::default());
    assert_eq!(
        (error.code(), fact(&error, "object").as_str()),
        ("UNSUPPORTED", "all.a(stack.o)")
    );
    assert_eq!(fact(&error, "roots"), "good");
    assert!(matches!(&error, Error::Refused { all, .. } if all.len() == 2));
    let text = error.to_string();
    assert!(text.contains("2 objects are refused"), "{text}");
    assert!(
        text.contains("1 for executable-stack (all.a(stack.o))"),
        "{text}"
    );
    assert!(
        text.contains("1 for WRITABLE_CODE (all.a(odd.o))"),
        "{text}"
    );
    let options = LinkOptions {
        roots: vec!["good".to_owned()],
        ..LinkOptions::default()
    };
    link(&memory(), &inputs, &options).expect("that root avoids them");
}

#[test]
fn an_estimate_says_what_a_link_takes_and_takes_nothing() {
    let source = ".text\nnop\nret\n.data\n.quad 1\n.section .rodata\n.long 1\n.bss\n.zero 100\n";
    let object = Workshop::new().assemble("object", source);
    let inputs = [file("object.o", &object)];
    let estimate = estimate(&inputs, &LinkOptions::default()).expect("it would link");
    assert_eq!(
        (estimate.code, estimate.constants, estimate.data),
        (2, 4, 108)
    );
    assert_eq!(estimate.objects, ["object.o"]);
}

#[test]
fn a_symbol_may_lie_beyond_the_end_of_its_section_or_below_zero() {
    let source = "
        .data
        here: .quad 1
        .globl beyond, below, minus, p
        beyond = here + 0x100
        below = here - 0x10
        minus = -5
        p: .quad beyond, below, minus, here
    ";
    let object = Workshop::new().assemble("beyond", source);
    let image = link(
        &memory(),
        &[file("beyond.o", &object)],
        &LinkOptions::default(),
    );
    let image = image.expect("it links");
    let p = address(&image, "p");
    let [beyond, below, minus, here] = [0, 8, 16, 24].map(|offset| peek_u64(p + offset));
    assert_eq!((beyond, below), (here + 0x100, here - 0x10));
    assert_eq!(minus, (-5_i64).cast_unsigned());
}

#[test]
fn of_sections_that_are_linked_once_the_first_is_taken() {
    let source = |value: u32| {
        format!(".section .gnu.linkonce.t.f, \"ax\"\n.weak f\nf: mov ${value}, %eax\nret\n")
    };
    let workshop = Workshop::new();
    let (one, two) = (
        workshop.assemble("one", &source(1)),
        workshop.assemble("two", &source(2)),
    );
    let inputs = [file("one.o", &one), file("two.o", &two)];
    let image = link(&memory(), &inputs, &LinkOptions::default()).expect("it links");
    assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 1);
    let estimate = estimate(&inputs, &LinkOptions::default()).expect("it would link");
    assert_eq!(estimate.code, 6, "the other is left out");
}

/// Where the header of a section lies.
fn header_of(object: &[u8], name: &str) -> usize {
    let word = |at: usize| u32::from_le_bytes(object[at..at + 4].try_into().expect("a word"));
    let table = word(40) as usize;
    let names = word(table + 64 * usize::from(object[62]) + 24) as usize;
    let headers = (0..usize::from(object[60])).map(|index| table + 64 * index);
    let is_called = |header: &usize| {
        let start = names + word(*header) as usize;
        object[start..].starts_with(format!("{name}\0").as_bytes())
    };
    headers.into_iter().find(is_called).expect(name)
}

#[test]
fn relocations_in_compact_form_are_applied() {
    let source = ".data\n.globl p, q\np: .quad q + 3\nq: .quad p\n";
    let mut object = Workshop::new().assemble("compact", source);
    let header = header_of(&object, ".rela.data");
    let at = u64::from_le_bytes(object[header + 24..][..8].try_into().expect("an offset")) as usize;
    let symbol = |object: &[u8], entry: usize| object[at + 24 * entry + 12];
    let (q, p) = (symbol(&object, 0), symbol(&object, 1));
    let minus = |from: u8, to: u8| (to.wrapping_sub(from)) & 0x7f;
    // Two entries with addends; each has its distance from the one before, and what differs from that: symbol, type, addend.
    let compact = [2 << 3 | 4, 0x07, q, 1, 3, 8 << 3 | 0x05, minus(q, p), 0x7d];
    object[at..at + compact.len()].copy_from_slice(&compact);
    // sh_type, sh_size
    object[header + 4..][..4].copy_from_slice(&0x4000_0014_u32.to_le_bytes());
    object[header + 32..][..8].copy_from_slice(&(compact.len() as u64).to_le_bytes());
    let image = link(
        &memory(),
        &[file("compact.o", &object)],
        &LinkOptions::default(),
    );
    let image = image.expect("it links");
    let (p, q) = (address(&image, "p"), address(&image, "q"));
    assert_eq!((peek_u64(p), peek_u64(q)), (q + 3, p));
}

#[test]
fn an_undefined_symbol_comes_with_the_name_or_the_library_that_was_meant() {
    let workshop = Workshop::new();
    let source =
        |name: &str| format!(".text\n.globl compute_sum\ncompute_sum: ret\n.data\n.quad {name}\n");
    for (name, expected) in [
        ("compute_smu", "did you mean compute_sum?"),
        ("ZSTD_noSuchFunction", "libzstd.a usually has it"),
    ] {
        let object = workshop.assemble("user", &source(name));
        let text = link_error(&[file("user.o", &object)], &LinkOptions::default()).to_string();
        assert!(text.contains(expected), "{text}");
    }
}
