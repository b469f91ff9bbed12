//! The life of an image: what runs at its start and at its end, once and in which order.

use crate::support::{Workshop, file, link, memory};
use codeslab::Address;
use codeslab_link::{Input, LinkOptions, link as link_only};
use std::cell::RefCell;
use std::ffi::{CStr, c_char};

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What linked code calls to say that it runs.
extern "C" fn note(text: *const c_char) {
    #[allow(unsafe_code, reason = "it is called by linked C")]
    // SAFETY: the fixtures pass string literals.
    let text = unsafe { CStr::from_ptr(text) };
    NOTES.with_borrow_mut(|notes| notes.push(text.to_string_lossy().into_owned()));
}

/// What was noted since it was asked last.
fn notes() -> String {
    NOTES.take().join(" ")
}

fn options() -> LinkOptions<'static> {
    LinkOptions {
        externals: [("note".to_owned(), Address::new(note as *const () as u64))].into(),
        ..LinkOptions::default()
    }
}

const ORDER: &str = r#"
void note(const char *);
#define SAY(name) static void name(void) { note(#name); }
SAY(pre) SAY(plain) SAY(early) SAY(late) SAY(ctor) SAY(ctor_last) SAY(ctor_first)
SAY(end_plain) SAY(end_early) SAY(end_late) SAY(dtor)
typedef void (*function)(void);
__attribute__((section(".init_array"), used)) static function a = plain;
__attribute__((section(".init_array.00200"), used)) static function b = late;
__attribute__((section(".init_array.00101"), used)) static function c = early;
__attribute__((section(".ctors"), used)) static function d[] = { ctor_last, ctor };
__attribute__((section(".ctors.65380"), used)) static function e = ctor_first;
__attribute__((section(".preinit_array"), used)) static function f = pre;
__attribute__((section(".fini_array"), used)) static function g = end_plain;
__attribute__((section(".fini_array.00200"), used)) static function h = end_late;
__attribute__((section(".fini_array.00101"), used)) static function i = end_early;
__attribute__((section(".dtors"), used)) static function j[] = { (function)-1, dtor, 0 };
"#;

#[test]
fn constructors_run_by_priority_and_destructors_the_other_way_round() {
    let object = Workshop::new().compile("order", ORDER, &["-O1", "-fno-toplevel-reorder"]);
    let memory = memory();
    let image = link(&memory, &[file("order.o", &object)], &options()).expect("it links");
    assert_eq!(notes(), "pre early ctor_first late plain ctor ctor_last");
    image.free();
    assert_eq!(notes(), "dtor end_plain end_late end_early");
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn objects_are_started_in_the_order_in_which_they_were_given() {
    let workshop = Workshop::new();
    let object = |name: &str| {
        let source = format!(
            "void note(const char *);
            __attribute__((constructor)) static void start(void) {{ note(\"+{name}\"); }}
            __attribute__((destructor)) static void end(void) {{ note(\"-{name}\"); }}"
        );
        workshop.compile(name, &source, &[])
    };
    let (a, b) = (object("a"), object("b"));
    let inputs: [Input<'_>; 2] = [file("a.o", &a), file("b.o", &b)];
    let image = link(&memory(), &inputs, &options()).expect("it links");
    assert_eq!(notes(), "+a +b");
    drop(image);
    assert_eq!(notes(), "-b -a");
}

#[test]
fn linking_runs_nothing() {
    let object = Workshop::new().compile("order", ORDER, &["-O1", "-fno-toplevel-reorder"]);
    let memory = memory();
    let linked = link_only(&memory, &[file("order.o", &object)], &options()).expect("it links");
    let linked = linked.into_image().expect_err("there is something to run");
    assert!(!linked.program().is_empty());
    drop(linked);
    assert_eq!(notes(), "");
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn constructors_are_passed_the_arguments_and_the_environment_of_the_process() {
    let source = r#"
        #include <stdlib.h>
        #include <string.h>
        void note(const char *);
        __attribute__((constructor)) static void start(int argc, char **argv, char **envp) {
            int n = 0;
            while (argv[n]) n++;
            note(argv[0]);
            note(n == argc ? "counted" : "wrong");
            int found = 0;
            for (char **e = envp; *e; e++) found |= strncmp(*e, "PATH=", 5) == 0;
            note(found ? "PATH" : "no PATH");
        }"#;
    let object = Workshop::new().compile("arguments", source, &[]);
    let image = link(&memory(), &[file("arguments.o", &object)], &options()).expect("it links");
    let program = std::env::args().next().expect("a program");
    assert_eq!(notes(), format!("{program} counted PATH"));
    drop(image);
}
