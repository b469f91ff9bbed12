//! Exceptions and whatever else unwinds: through images, between them, and out of them.
#![allow(unsafe_code, reason = "what was linked is called")]

use crate::support::{Workshop, file, function, has_cpp, link, memory};
use codeslab::{Address, CodeMemory};
use codeslab_link::runtime::{Exception, guarded};
use codeslab_link::{Error, Image, Input, LinkOptions};
use codeslab_testing::{assert_passed, is_child, run_alone};
use std::sync::{Arc, Once};
use std::time::Instant;

/// Brings the C++ runtime into the process, for everything that is linked after that.
pub(crate) fn load_cpp_runtime() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let flags = libc::RTLD_NOW | libc::RTLD_GLOBAL;
        // SAFETY: it is the runtime of the compiler, which may be loaded at any time.
        let library = unsafe { libc::dlopen(c"libstdc++.so.6".as_ptr(), flags) };
        assert!(!library.is_null(), "g++ brings it along");
    });
}

fn link_cpp(memory: &CodeMemory, source: &str, externals: &[(&str, Address)]) -> Image {
    link_cpp_with(memory, source, externals, &["-O2", "-fPIC"])
}

fn link_cpp_with(
    memory: &CodeMemory,
    source: &str,
    externals: &[(&str, Address)],
    flags: &[&str],
) -> Image {
    load_cpp_runtime();
    let object = Workshop::new().compile_cpp("code", source, flags);
    let externals = externals.iter().map(|(name, at)| ((*name).to_owned(), *at));
    let options = LinkOptions {
        externals: externals.collect(),
        ..LinkOptions::default()
    };
    let image = link(memory, &[file("code.o", &object)], &options);
    image.unwrap_or_else(|error| panic!("{error}"))
}

const CATCHES: &str = r#"
#include <stdexcept>
#include <string>
struct Counted { static int alive; Counted() { alive++; } ~Counted() { alive--; } };
int Counted::alive = 0;
__attribute__((noinline)) static void deep(int n) {
    Counted here;
    if (n == 0) throw std::runtime_error("deep");
    deep(n - 1);
}
extern "C" int caught(int n) {
    try { if (n) deep(n); return 0; } catch (const std::exception &e) { return std::string(e.what()) == "deep" ? 42 : 1; }
}
extern "C" int alive() { return Counted::alive; }
extern "C" int rethrown() {
    try { try { deep(3); } catch (...) { throw; } } catch (std::runtime_error &) { return 7; }
    return 0;
}
extern "C" void thrown(int n) { if (n) deep(n); }
extern "C" void number(int n) { throw n; }
"#;

#[test]
fn an_exception_is_caught_in_the_image_that_throws_it() {
    if !has_cpp("an_exception_is_caught_in_the_image_that_throws_it") {
        return;
    }
    let memory = memory();
    let image = link_cpp(&memory, CATCHES, &[]);
    let caught = function!(image, "caught", extern "C" fn(i32) -> i32);
    assert_eq!((caught(0), caught(9)), (0, 42));
    assert_eq!(function!(image, "rethrown", extern "C" fn() -> i32)(), 7);
    assert_eq!(function!(image, "alive", extern "C" fn() -> i32)(), 0);
    image.free();
    assert_eq!(memory.stats().live, 0);
}

/// Its handlers name the types that they catch by 32 bits each.
#[test]
fn an_exception_is_caught_by_code_that_is_not_position_independent() {
    if !has_cpp("an_exception_is_caught_by_code_that_is_not_position_independent") {
        return;
    }
    let source = r#"
        #include <new>
        #include <stdexcept>
        #include <typeinfo>
        struct Own : std::out_of_range { Own() : out_of_range("own") {} };
        static int thrown(int n) {
            if (n == 1) throw 7;
            if (n == 2) throw Own();
            if (n == 3) throw std::bad_alloc();
            if (n == 4) throw "text";
            return 0;
        }
        extern "C" int caught(int n) {
            try { return thrown(n); }
            catch (int number) { return number; }
            catch (const std::logic_error &e) { return typeid(e) == typeid(Own) ? 20 : 21; }
            catch (const std::exception &) { return 30; }
            catch (...) { return 40; }
        }
    "#;
    for level in ["-O0", "-O2"] {
        let memory = memory();
        let flags = [level, "-fno-pic", "-fno-pie"];
        let image = link_cpp_with(&memory, source, &[], &flags);
        let caught = function!(image, "caught", extern "C" fn(i32) -> i32);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|n| caught(n)),
            [0, 7, 20, 30, 40],
            "{level}"
        );
        image.free();
        assert_eq!(memory.stats().live, 0);
    }
}

/// Whether the process's unwinder knows of the code at an address.
pub(crate) fn is_described(address: Address) -> bool {
    #[link(name = "gcc_s")]
    unsafe extern "C" {
        fn _Unwind_Find_FDE(code: *const u8, bases: *mut [usize; 3]) -> *const u8;
    }
    let code = std::ptr::without_provenance(address.value() as usize);
    // SAFETY: the unwinder compares the address and follows it nowhere; the bases have room.
    unsafe { !_Unwind_Find_FDE(code, &mut [0; 3]).is_null() }
}

#[test]
fn the_unwinder_knows_an_image_from_its_start_to_its_end() {
    let object = Workshop::new().compile("one", "int one(void) { return 1; }", &[]);
    let memory = memory();
    let inputs = [file("one.o", &object)];
    let linked = codeslab_link::link(&memory, &inputs, &LinkOptions::default()).expect("it links");
    let one = linked.address("one").expect("it is defined");
    assert!(!is_described(one));
    let image = linked.into_image().expect("there is nothing to run");
    let others: Vec<Image> = (0..10)
        .map(|_| link(&memory, &inputs, &LinkOptions::default()).expect("it links"))
        .collect();
    let addresses: Vec<Address> = others
        .iter()
        .map(|other| other.address("one").expect("it is defined"))
        .collect();
    assert!(is_described(one));
    assert!(addresses.iter().all(|other| is_described(*other)));
    drop(image);
    assert!(!is_described(one), "its neighbours are still known");
    assert!(addresses.iter().all(|other| is_described(*other)));
    drop(others);
    assert!(!addresses.iter().any(|other| is_described(*other)));
}

#[test]
fn an_exception_finds_its_handler_as_fast_among_thousands_of_images() {
    const NAME: &str =
        "unwinding::an_exception_finds_its_handler_as_fast_among_thousands_of_images";
    if !has_cpp(NAME) {
        return;
    }
    // Others have tables, files and threads as well.
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let memory = memory();
    let image = link_cpp(&memory, CATCHES, &[]);
    let caught = function!(image, "caught", extern "C" fn(i32) -> i32);
    let shortest = || {
        let times = (0..50).map(|_| {
            let start = Instant::now();
            assert_eq!(caught(2), 42);
            start.elapsed()
        });
        times.min().expect("there are some")
    };
    let alone = shortest();
    let object = Workshop::new().compile("one", "int one(void) { return 1; }", &[]);
    let inputs = [file("one.o", &object)];
    let others: Vec<Image> = (0..4000)
        .map(|_| link(&memory, &inputs, &LinkOptions::default()).expect("it links"))
        .collect();
    let among_others = shortest();
    // One by one they take several hundred times as long.
    assert!(among_others < alone * 30, "{alone:?}, {among_others:?}");
    drop(others);
}

#[test]
fn an_exception_passes_from_one_image_to_another() {
    if !has_cpp("an_exception_passes_from_one_image_to_another") {
        return;
    }
    let memory = memory();
    let thrower = link_cpp(&memory, CATCHES, &[]);
    let catcher = r#"
        #include <stdexcept>
        extern "C" void thrown(int);
        extern "C" int tried(int n) { try { thrown(n); return 0; } catch (std::runtime_error &e) { return 5; } }"#;
    let thrown = thrower.address("thrown").expect("it is defined");
    let catcher = link_cpp(&memory, catcher, &[("thrown", thrown)]);
    let tried = function!(catcher, "tried", extern "C" fn(i32) -> i32);
    assert_eq!((tried(0), tried(4)), (0, 5));
    assert_eq!(function!(thrower, "alive", extern "C" fn() -> i32)(), 0);
}

#[test]
fn an_image_says_whether_an_exception_may_leave_it() {
    let workshop = Workshop::new();
    let link_c = |source: &str, libraries: Vec<Input<'_>>| {
        let options = LinkOptions {
            externals: [("_ZSt4fakev".to_owned(), Address::new(64))].into(),
            libraries,
            ..LinkOptions::default()
        };
        let object = workshop.compile("c", source, &[]);
        link(&memory(), &[file("c.o", &object)], &options).expect("it links")
    };
    let plain =
        "#include <stdlib.h>\nstatic void f(void) {}\nint plain(void) { return atexit(f); }";
    assert!(!link_c(plain, Vec::new()).may_unwind());
    let throws = "void _ZSt4fakev(void); void throws(void) { _ZSt4fakev(); }";
    let throws = Arc::new(link_c(throws, Vec::new()));
    assert!(throws.may_unwind());
    let user = "void throws(void); void user(void) { throws(); }";
    let user = link_c(user, vec![Input::Loaded(&throws)]);
    assert!(user.may_unwind(), "what it calls does");
}

#[test]
fn an_exception_that_leaves_an_image_says_what_it_was() {
    if !has_cpp("an_exception_that_leaves_an_image_says_what_it_was") {
        return;
    }
    let memory = memory();
    let image = link_cpp(&memory, CATCHES, &[]);
    let alive = function!(image, "alive", extern "C" fn() -> i32);
    let thrown = function!(image, "thrown", extern "C-unwind" fn(i32));
    // SAFETY: the frames between own nothing but what Rust drops.
    let outcome = unsafe { guarded(|| thrown(3)) };
    let exception = outcome.expect_err("it throws");
    assert_eq!(exception.to_string(), "std::runtime_error: deep");
    assert_eq!(alive(), 0);
    // SAFETY: as before.
    assert_eq!(unsafe { guarded(|| thrown(0)) }, Ok(()));
    let number = function!(image, "number", extern "C-unwind" fn(i32));
    // SAFETY: as before.
    let exception = unsafe { guarded(|| number(3)) }.expect_err("it throws");
    assert_eq!(exception.type_name, "int");
    assert_eq!(exception.message, "");
}

extern "C-unwind" fn panics() {
    std::panic::resume_unwind(Box::new("ours"));
}

#[test]
fn a_panic_of_rusts_goes_through_an_image() {
    if !has_cpp("a_panic_of_rusts_goes_through_an_image") {
        return;
    }
    let memory = memory();
    let source = "extern \"C\" void panics(); extern \"C\" int through() { panics(); return 0; }";
    let panics = Address::new(panics as *const () as u64);
    let image = link_cpp(&memory, source, &[("panics", panics)]);
    let through = function!(image, "through", extern "C-unwind" fn() -> i32);
    // SAFETY: the frames between own nothing.
    let outcome = std::panic::catch_unwind(|| unsafe { guarded(|| through()) });
    let panic = outcome.expect_err("it panics");
    assert_eq!(panic.downcast_ref(), Some(&"ours"));
}

#[test]
fn a_constructor_that_throws_fails_the_start_and_leaves_nothing() {
    if !has_cpp("a_constructor_that_throws_fails_the_start_and_leaves_nothing") {
        return;
    }
    load_cpp_runtime();
    let source = r#"
        #include <stdexcept>
        extern "C" int ended;
        struct First { ~First() { ended++; } } first;
        struct Second { Second() { throw std::logic_error("no"); } } second;
        extern "C" __attribute__((destructor)) void never() { ended += 100; }"#;
    let object = Workshop::new().compile_cpp("throws", source, &["-O2", "-fPIC"]);
    let mut ended = 0_i32;
    let address = Address::new((&raw mut ended).expose_provenance() as u64);
    let options = LinkOptions {
        externals: [("ended".to_owned(), address)].into(),
        ..LinkOptions::default()
    };
    let memory = memory();
    let error = link(&memory, &[file("throws.o", &object)], &options).expect_err("it throws");
    let expected = Exception::clone(match &error {
        Error::Start(codeslab_link::runtime::Error::Constructor { exception }) => exception,
        other => panic!("{other}"),
    });
    assert_eq!(expected.to_string(), "std::logic_error: no");
    assert_eq!(error.code(), "EXCEPTION");
    // SAFETY: nothing else refers to it any more.
    assert_eq!(unsafe { (&raw const ended).read() }, 1);
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn a_backtrace_passes_through_an_image() {
    let source = r"
        #include <execinfo.h>
        int frames(void **to, int count) { int n = backtrace(to, count); return n; }";
    let object = Workshop::new().compile("frames", source, &["-O1"]);
    let image = link(
        &memory(),
        &[file("frames.o", &object)],
        &LinkOptions::default(),
    );
    let image = image.expect("it links");
    let frames = function!(image, "frames", extern "C" fn(*mut u64, i32) -> i32);
    let mut all = [0_u64; 64];
    let count = frames(all.as_mut_ptr(), 64);
    let inside = image.address("frames").expect("it is there").value();
    // A sanitizer's `backtrace` comes before the function that called it.
    let mut first = all[..2].iter();
    assert!(
        first.any(|at| (inside..inside + 64).contains(at)),
        "{all:x?}"
    );
    // The test, and the harness that called it.
    assert!(count > 4, "{count}");
}

#[test]
fn a_thread_that_ends_or_is_cancelled_inside_an_image_runs_its_cleanup_handlers() {
    let source = r"
        #define _GNU_SOURCE
        #include <pthread.h>
        #include <unistd.h>
        static int cleaned;
        static void clean(void *by) { cleaned += *(int *)by; }
        __attribute__((noinline)) static void inner(int cancel) {
            int by __attribute__((cleanup(clean))) = 10;
            if (cancel) for (;;) pause();
            pthread_exit(0);
        }
        static void *body(void *cancel) {
            int by = 1;
            pthread_cleanup_push(clean, &by);
            inner(cancel != 0);
            pthread_cleanup_pop(0);
            return 0;
        }
        int run(void) {
            pthread_t thread;
            cleaned = 0;
            if (pthread_create(&thread, 0, body, 0) || pthread_join(thread, 0)) return -1;
            if (pthread_create(&thread, 0, body, (void *)1)) return -2;
            if (pthread_cancel(thread) || pthread_join(thread, 0)) return -3;
            return cleaned;
        }";
    let object = Workshop::new().compile("ends", source, &["-O1", "-fexceptions"]);
    let image = link(
        &memory(),
        &[file("ends.o", &object)],
        &LinkOptions::default(),
    );
    let image = image.expect("it links");
    assert_eq!(function!(image, "run", extern "C" fn() -> i32)(), 22);
}

#[test]
fn eight_threads_link_throw_and_free_again_and_again() {
    const NAME: &str = "unwinding::eight_threads_link_throw_and_free_again_and_again";
    const ROUNDS: i32 = 200;
    if !has_cpp(NAME) {
        return;
    }
    // Others have tables, files and threads as well.
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    load_cpp_runtime();
    let source = r#"
        #include <stdexcept>
        static int made;
        struct Made { Made() { made++; } ~Made() { made--; } };
        static Made global;
        extern "C" int run(int n) {
            static Made local;
            try { if (n & 1) throw std::runtime_error("odd"); } catch (std::exception &) { return made + 100; }
            return made;
        }"#;
    let object = Workshop::new().compile_cpp("again", source, &["-O2", "-fPIC"]);
    let memory = memory();
    let files = || std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    let before = files();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let image = link(
                        &memory,
                        &[file("again.o", &object)],
                        &LinkOptions::default(),
                    );
                    let image = image.expect("it links");
                    let run = function!(image, "run", extern "C" fn(i32) -> i32);
                    let odd = round & 1;
                    assert_eq!(run(odd), 2 + 100 * odd);
                    image.free();
                }
            });
        }
    });
    assert_eq!(memory.stats().live, 0);
    assert_eq!(memory.stats().used_bytes, 0);
    // The memory file of the code memory is there now.
    let opened = files().zip(before).map(|(after, before)| after - before);
    assert!(opened.is_none_or(|count| count <= 8), "{opened:?}");
}
