//! The life of an image: what runs at its start and at its end, once and in which order.

use crate::support::{Workshop, file, function, link, link_files, memory};
use codeslab::{Address, CodeMemory};
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
    let text = text.to_string_lossy().into_owned();
    // A thread that ends may have no notes any more.
    let _ = NOTES.try_with(|notes| notes.borrow_mut().push(text));
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
fn a_constructor_may_jump_within_itself() {
    let source = "
        #include <setjmp.h>
        static jmp_buf place;
        int rounds;
        static void __attribute__((noinline)) out(int n) { longjmp(place, n); }
        __attribute__((constructor)) static void begin(void) {
            int n = setjmp(place);
            rounds += 1;
            if (n < 3) out(n + 1);
        }
        int count(void) { return rounds; }
    ";
    let object = Workshop::new().compile("jumps", source, &["-O1"]);
    let image = link_files(&memory(), &[("jumps.o", &object)]);
    let count = function!(image, "count", unsafe extern "C" fn() -> i32);
    #[allow(unsafe_code, reason = "calling what was linked is the point")]
    // SAFETY: it takes nothing and returns a number.
    let rounds = unsafe { count() };
    assert_eq!(rounds, 4);
}

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
    assert!(!linked.program().runs_nothing());
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

/// What runs `source` as C, whose function `run` is called once, until the image has gone; and the memory that it lay in.
fn life_of(source: &str, flags: &[&str]) -> (String, CodeMemory) {
    let object = Workshop::new().compile("life", source, flags);
    let memory = memory();
    let image = link(&memory, &[file("life.o", &object)], &options());
    let image = image.unwrap_or_else(|error| panic!("{error}"));
    let run = function!(image, "run", extern "C" fn() -> i32);
    assert_eq!(run(), 0);
    note(c"|".as_ptr());
    image.free();
    (notes(), memory)
}

/// Forks a child that ends at once.
#[allow(unsafe_code, reason = "the C library's fork runs handlers")]
fn fork_and_wait() {
    // SAFETY: the child calls nothing but `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it may be called at any time.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the child is this one's, and the status has room.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((ended, status), (child, 0));
}

#[test]
fn what_an_image_registers_for_the_exit_runs_once_when_it_is_freed_the_latest_first() {
    let source = r#"
        #define _DEFAULT_SOURCE
        #include <stdlib.h>
        #include <pthread.h>
        void note(const char *);
        static void first(void) { note("first"); }
        static void second(int status, void *text) { note(status == 0 ? text : "wrong"); }
        static void third(void) { note("third"); }
        static void never(void) { note("never"); }
        __attribute__((destructor)) static void end(void) { note("end"); }
        int run(void) {
            return atexit(first) | on_exit(second, "second") | atexit(third)
                | at_quick_exit(never) | pthread_atfork(never, never, never);
        }"#;
    let (notes, memory) = life_of(source, &[]);
    assert_eq!(notes, "| end third second first");
    assert_eq!(memory.stats().live, 0);
    // What was registered for forks is forgotten: a fork would call code that is gone.
    fork_and_wait();
}

#[test]
fn fragments_of_initialisers_make_one_function() {
    let (a, b) = (
        ".section .init, \"ax\"\ncall one\n.text\none: lea text(%rip), %rdi\njmp note@PLT\n.section .rodata\ntext: .string \"one\"\n",
        ".section .init, \"ax\"\n.p2align 4\ncall two\n.section .fini, \"ax\"\ncall two\n.text\n.globl probe\nprobe: mov $7, %eax\nret\ntwo: lea text(%rip), %rdi\njmp note@PLT\n.section .rodata\ntext: .string \"two\"\n",
    );
    let workshop = Workshop::new();
    let (a, b) = (workshop.assemble("a", a), workshop.assemble("b", b));
    let inputs = [file("a.o", &a), file("b.o", &b)];
    let image = link(&memory(), &inputs, &options()).expect("it links");
    assert_eq!(notes(), "one two");
    let probe = function!(image, "probe", extern "C" fn() -> i32);
    assert_eq!(probe(), 7);
    drop(image);
    assert_eq!(notes(), "two");
}

#[test]
fn fragments_that_bring_their_own_beginning_and_end_are_left_alone() {
    let source = ".section .init, \"ax\"\n.globl _init\n_init: sub $8, %rsp\nlea text(%rip), %rdi\ncall note@PLT\nadd $8, %rsp\nret\n.section .rodata\ntext: .string \"own\"\n";
    let object = Workshop::new().assemble("own", source);
    let image = link(&memory(), &[file("own.o", &object)], &options()).expect("it links");
    assert_eq!(notes(), "own");
    assert!(image.address("_init").is_some());
}

#[test]
fn what_the_linker_makes_is_no_symbol_of_the_image() {
    let source = "#include <stdlib.h>\nstatic void f(void) {}\nint run(void) { return atexit(f); }";
    let object = Workshop::new().compile("made", source, &[]);
    let image = link(&memory(), &[file("made.o", &object)], &options()).expect("it links");
    let names: Vec<&str> = image.symbols().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["run"]);
}

#[test]
fn an_object_of_a_thread_is_destroyed_when_its_image_is_freed_there_or_the_thread_ends() {
    let source = r#"
        void note(const char *);
        int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
        extern void *__dso_handle;
        static void destroy(void *text) { note(text); }
        __attribute__((destructor)) static void end(void) { note("end"); }
        int run(void) {
            return __cxa_thread_atexit_impl(destroy, "first", &__dso_handle)
                | __cxa_thread_atexit_impl(destroy, "second", &__dso_handle);
        }"#;
    for _ in 0..3 {
        let (notes, memory) = life_of(source, &[]);
        assert_eq!(notes, "| second first end");
        assert_eq!(memory.stats().live, 0);
    }
    let object = Workshop::new().compile("thread", source, &[]);
    let memory = memory();
    let image = link(&memory, &[file("thread.o", &object)], &options()).expect("it links");
    let run = function!(image, "run", extern "C" fn() -> i32);
    let (freed, wait_for_free) = std::sync::mpsc::channel();
    let (started, wait_for_start) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        assert_eq!(run(), 0);
        started.send(()).expect("the other waits");
        wait_for_free.recv().expect("the other says so");
    });
    wait_for_start.recv().expect("it starts");
    image.free();
    assert_eq!(
        memory.stats().live,
        1,
        "the thread has something to destroy"
    );
    assert_eq!(notes(), "");
    freed.send(()).expect("the other waits");
    thread.join().expect("it ends");
    // The thread is joined when it has told so, and ends a little later.
    while memory.stats().live > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_constructor_may_link_again() {
    extern "C" fn link_more() -> i32 {
        let object = Workshop::new().compile(
            "inner",
            "void note(const char *);
            __attribute__((constructor)) static void start(void) { note(\"inner\"); }
            int seven(void) { return 7; }",
            &[],
        );
        let image = link(&memory(), &[file("inner.o", &object)], &options()).expect("it links");
        function!(image, "seven", extern "C" fn() -> i32)()
    }
    let source = "int link_more(void); static int n;
        __attribute__((constructor)) static void start(void) { n = link_more(); }
        int run(void) { return n; }";
    let object = Workshop::new().compile("outer", source, &[]);
    let mut options = options();
    let address = Address::new(link_more as *const () as u64);
    options.externals.insert("link_more".to_owned(), address);
    let image = link(&memory(), &[file("outer.o", &object)], &options).expect("it links");
    assert_eq!(notes(), "inner");
    assert_eq!(function!(image, "run", extern "C" fn() -> i32)(), 7);
}

#[test]
fn objects_that_were_compiled_with_older_headers_find_stat() {
    let source = r#"
        #include <sys/stat.h>
        int __xstat(int, const char *, struct stat *);
        int __fxstat(int, int, struct stat *);
        int run(void) {
            struct stat a, b;
            if (__xstat(1, "/", &a) || stat("/", &b)) return 1;
            return a.st_ino != b.st_ino || __fxstat(1, -1, &a) != -1;
        }"#;
    assert_eq!(life_of(source, &[]).0, "|");
}
