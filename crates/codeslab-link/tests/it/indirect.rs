//! Indirect functions: a resolver says which body is called, before anything else of the image runs.

use crate::support::{Workshop, address, file, function, link, link_error, link_files, memory};
use codeslab_link::LinkOptions;

type Unary = extern "C" fn(i32) -> i32;

/// What a resolver chooses may depend on what the image is, and constructors may use what was chosen.
const PROGRAM: &str = r#"
static int one(int n) { return n + 1; }
static int two(int n) { return n + 2; }
static int (*const bodies[])(int) = {one, two};
static int which(void) { return 1; }
typedef int Body(int);
static Body *pick(void) { return bodies[which()]; }
static Body *pick_first(void) { return one; }
int f(int) __attribute__((ifunc("pick")));
int also(int) __attribute__((alias("f")));
static int hidden(int) __attribute__((ifunc("pick_first")));
Body *table[] = {f, hidden};
Body *const constant = f;
int early;
__attribute__((constructor)) static void start(void) { early = f(10) + table[0](100); }
int call(int n) { return f(n); }
int call_hidden(int n) { return hidden(n); }
int through_table(int n) { return table[0](n) * 1000 + table[1](n); }
int is_one_address(int n) { return table[n] == f && constant == f; }
int tell_early(int n) { return early + n; }
"#;

const OTHER: &str = "
int f(int);
int (*elsewhere)(int) = f;
int call_elsewhere(int n) { return f(n) + 10 * (elsewhere == f); }
int jump(int n) { return f(n); }
int also(int);
int call_alias(int n) { return also(n); }
";

const FLAGS: [&[&str]; 7] = [
    &["-O2"],
    &["-O0"],
    &["-O2", "-fPIC"],
    &["-O2", "-fPIC", "-fno-plt"],
    &["-O2", "-fno-pic"],
    &["-O2", "-fno-pic", "-mcmodel=large"],
    &["-O2", "-fPIC", "-mcmodel=large"],
];

#[test]
fn calls_and_pointers_reach_what_the_resolver_chose_and_its_address_is_one_everywhere() {
    let workshop = Workshop::new();
    for flags in FLAGS {
        let program = workshop.compile("program", PROGRAM, flags);
        let other = workshop.compile("other", OTHER, flags);
        let memory = memory();
        let image = link_files(&memory, &[("program.o", &program), ("other.o", &other)]);
        let call = |name: &str, n: i32| function!(image, name, Unary)(n);
        assert_eq!(call("call", 5), 7, "{flags:?}");
        assert_eq!(call("f", 5), 7, "by its own address, {flags:?}");
        assert_eq!(call("also", 5), 7, "{flags:?}");
        assert_eq!(call("call_alias", 5), 7, "{flags:?}");
        assert_eq!(call("call_hidden", 5), 6, "{flags:?}");
        assert_eq!(call("through_table", 5), 7006, "{flags:?}");
        assert_eq!(call("is_one_address", 0), 1, "{flags:?}");
        assert_eq!(call("call_elsewhere", 5), 17, "{flags:?}");
        assert_eq!(call("jump", 5), 7, "{flags:?}");
        assert_eq!(call("tell_early", 0), 114, "{flags:?}");
        assert_ne!(address(&image, "f"), address(&image, "call"), "{flags:?}");
    }
}

#[test]
fn what_was_linked_and_has_a_resolver_is_no_image_before_it_is_started() {
    let program = Workshop::new().compile("program", PROGRAM, &["-O2"]);
    let memory = memory();
    let inputs = [file("program.o", &program)];
    let linked = codeslab_link::link(&memory, &inputs, &LinkOptions::default()).expect("it links");
    assert_eq!(linked.program().indirects.len(), 3);
    let linked = linked.into_image().expect_err("it has to be started");
    drop(linked);
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn a_resolver_that_is_not_in_code_is_refused() {
    let source = ".data\n.globl pick\n.type pick, @gnu_indirect_function\npick: .quad 0\n";
    let object = Workshop::new().assemble("odd", source);
    let error = link_error(&[file("odd.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "MALFORMED");
    assert!(
        error.to_string().contains("pick lies in the section .data"),
        "{error}"
    );
}

#[test]
fn functions_of_the_process_that_are_indirect_are_called_as_any_other() {
    let source = "
        #include <string.h>
        size_t (*length)(const char *) = strlen;
        int f(int n) { const char *volatile text = \"four\"; return (int)strlen(text) + (int)length(text) + n; }
    ";
    let workshop = Workshop::new();
    for flags in [&["-O0", "-fPIC"], &["-O0", "-fno-pic"]] {
        let object = workshop.compile("strings", source, flags);
        let memory = memory();
        let image = link(
            &memory,
            &[file("strings.o", &object)],
            &LinkOptions::default(),
        );
        let image = image.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        assert_eq!(function!(image, "f", Unary)(1), 9);
    }
}
