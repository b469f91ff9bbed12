//! What a link is bound to beside objects: images that were linked before, shared libraries, and what scripts and thin archives name.

use crate::support::{
    Workshop, address, externals, fact, file, function, link, link_error, memory, peek_u64,
};
use codeslab_link::{Files, Image, Input, LinkOptions};
use codeslab_testing::{assert_passed, count_heap, is_child, run_alone};
use std::sync::Arc;

fn with_libraries(libraries: Vec<Input<'_>>) -> LinkOptions<'_> {
    LinkOptions {
        libraries,
        ..LinkOptions::default()
    }
}

/// The path of a shared library that the system's linker makes of some C.
fn shared_library(workshop: &Workshop, name: &str, source: &str) -> String {
    let object = format!("{name}.o");
    workshop.compile(name, source, &["-fPIC"]);
    workshop.run("cc", &["-shared", "-o", &format!("{name}.so"), &object]);
    path(workshop, &format!("{name}.so"))
}

fn path(workshop: &Workshop, name: &str) -> String {
    let path = workshop.path(name);
    path.to_str().expect("a temporary name").to_owned()
}

const USER: &str =
    "extern int far_away(int); extern int state; int probe(int n) { return far_away(n) + state; }";
const LIBRARY: &str = "int state = 100; int far_away(int n) { return n * 2; }";

fn probe(image: &Image) -> i32 {
    function!(image, "probe", extern "C" fn(i32) -> i32)(21)
}

#[test]
fn a_shared_library_serves_what_is_missing_and_stays_open_as_long_as_the_image() {
    const NAME: &str =
        "loaded::a_shared_library_serves_what_is_missing_and_stays_open_as_long_as_the_image";
    // Others look for symbols in all that is loaded, and hold it for as long as that takes.
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let workshop = Workshop::new();
    let library = shared_library(&workshop, "far", LIBRARY);
    let user = workshop.compile("user", USER, &["-fPIC"]);
    let inputs = [file("user.o", &user)];
    let memory = memory();
    let options = with_libraries(vec![Input::Path(&library)]);
    let image = link(&memory, &inputs, &options).expect("the library has it");
    assert_eq!(probe(&image), 142);
    drop(image);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    assert!(!maps.contains(&library), "nothing needs it any more");
}

#[test]
fn what_threads_do_at_their_end_is_the_images_whatever_library_leads_to_the_c_library() {
    let source = "
        int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
        extern void *__dso_handle;
        static void note(void *count) { ++*(int *)count; }
        int probe(int *count) { return __cxa_thread_atexit_impl(note, count, &__dso_handle); }";
    // As Rust does it: any address in the image says whose destructor it is.
    let indirect = source
        .replace(
            "extern void",
            "extern char __dso_handle; static char *own = &__dso_handle; extern void",
        )
        .replace("extern void *__dso_handle;", "")
        .replace("&__dso_handle)", "&own)");
    let versioned = format!(
        "__asm__(\".symver __cxa_thread_atexit_impl, __cxa_thread_atexit_impl@GLIBC_2.18\\n\");{source}"
    );
    let workshop = Workshop::new();
    for source in [source, &indirect, &versioned] {
        let object = workshop.compile("user", source, &["-fPIC"]);
        for libraries in [vec![], vec![Input::Path("libgcc_s.so.1")]] {
            let mut count = 0;
            let options = with_libraries(libraries);
            let image = link(&memory(), &[file("user.o", &object)], &options).expect("it links");
            let probe = function!(image, "probe", extern "C" fn(*mut i32) -> i32);
            assert_eq!(probe(&raw mut count), 0);
            drop(image);
            assert_eq!(count, 1, "it would run when the code is gone");
        }
    }
}

#[test]
fn a_shared_library_is_found_by_its_name_where_the_dynamic_linker_looks() {
    let source = "extern double cbrt(double); double probe(double x) { return cbrt(x); }";
    let user = Workshop::new().compile("user", source, &["-fPIC", "-fno-builtin"]);
    let options = LinkOptions {
        process_symbols: false,
        ..with_libraries(vec![Input::Path("libm.so.6")])
    };
    let image = link(&memory(), &[file("user.o", &user)], &options).expect("it is found");
    let cbrt = function!(image, "probe", extern "C" fn(f64) -> f64);
    assert!((cbrt(27.0) - 3.0).abs() < 1e-9);
    let options = with_libraries(vec![Input::Path("libcodeslab-has-none.so")]);
    let error = link_error(&[file("user.o", &user)], &options);
    assert_eq!(error.code(), "LIBRARY_UNAVAILABLE", "{error}");
    assert_eq!(fact(&error, "library"), "libcodeslab-has-none.so");
}

#[test]
fn libraries_are_asked_in_their_order_whatever_they_are() {
    let workshop = Workshop::new();
    let shared = shared_library(&workshop, "far", LIBRARY);
    let object = workshop.compile("near", "int far_away(int n) { return n; } int state;", &[]);
    let user = workshop.compile("user", USER, &["-fPIC"]);
    let inputs = [file("user.o", &user)];
    let (shared, object) = (Input::Path(&shared), file("near.o", &object));
    for (libraries, result) in [(vec![shared, object], 142), (vec![object, shared], 21)] {
        let image = link(&memory(), &inputs, &with_libraries(libraries)).expect("it links");
        assert_eq!(probe(&image), result);
    }
}

#[test]
fn the_bytes_of_a_shared_library_are_refused_with_what_to_pass_instead() {
    let workshop = Workshop::new();
    let library = shared_library(&workshop, "far", LIBRARY);
    let bytes = std::fs::read(&library).expect("it was made");
    let error = link_error(&[file("far.so", &bytes)], &LinkOptions::default());
    assert_eq!(error.code(), "NOT_RELOCATABLE");
    assert!(error.to_string().contains("pass its path"), "{error}");
}

#[test]
fn an_image_serves_what_is_missing_and_stays_as_long_as_the_image_that_uses_it() {
    let workshop = Workshop::new();
    let memory = memory();
    let library = workshop.compile("library", LIBRARY, &["-fPIC"]);
    let user = workshop.compile("user", USER, &["-fPIC"]);
    let inputs = [file("user.o", &user)];
    let first = link(
        &memory,
        &[file("library.o", &library)],
        &LinkOptions::default(),
    );
    let first = Arc::new(first.expect("it links"));
    let code = first.address("far_away").expect("far_away");
    let image = link(
        &memory,
        &inputs,
        &with_libraries(vec![Input::Loaded(&first)]),
    );
    let image = image.expect("the image has it");
    assert_eq!(probe(&image), 142);
    drop(first);
    assert!(memory.find(code).is_some(), "the other image needs it");
    assert_eq!(probe(&image), 142);
    drop(image);
    assert!(memory.find(code).is_none());
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn an_image_that_is_not_used_is_not_kept_and_what_is_hidden_in_it_serves_no_other() {
    let workshop = Workshop::new();
    let memory = memory();
    let source =
        "__attribute__((visibility(\"hidden\"))) int far_away(int n) { return n; } int state;";
    let library = workshop.compile("library", source, &["-fPIC"]);
    let first = link(
        &memory,
        &[file("library.o", &library)],
        &LinkOptions::default(),
    );
    let first = Arc::new(first.expect("it links"));
    let user = workshop.compile("user", USER, &["-fPIC"]);
    let options = with_libraries(vec![Input::Loaded(&first)]);
    let error = match link(&memory, &[file("user.o", &user)], &options) {
        Ok(image) => panic!("linked: {image:?}"),
        Err(error) => error,
    };
    assert_eq!(
        (error.code(), fact(&error, "symbol").as_str()),
        ("UNDEFINED_SYMBOL", "far_away")
    );
    let alone = workshop.compile("alone", "int one(void) { return 1; }", &[]);
    let alone = link(&memory, &[file("alone.o", &alone)], &options).expect("it needs nothing");
    drop(first);
    assert_eq!(memory.stats().live, 1);
    drop(alone);
}

#[test]
fn a_linker_script_stands_for_the_files_that_it_names() {
    let workshop = Workshop::new();
    let shared = shared_library(&workshop, "far", "int far_away(int n) { return n * 2; }");
    workshop.compile("state", "int state = 100;", &[]);
    workshop.run("ar", &["rcs", "libstate.a", "state.o"]);
    let script = format!(
        "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( {shared} AS_NEEDED ( /no/such/library.so ) )\nINPUT(-lstate)\n"
    );
    std::fs::write(workshop.path("libboth.so"), &script).expect("writable");
    let script_path = path(&workshop, "libboth.so");
    let user = workshop.compile("user", USER, &["-fPIC"]);
    let inputs = [file("user.o", &user)];
    for library in [
        Input::Path(&script_path),
        file(&script_path, script.as_bytes()),
    ] {
        let image = link(&memory(), &inputs, &with_libraries(vec![library]));
        assert_eq!(probe(&image.expect("the script names both")), 142);
    }
    let missing = b"GROUP ( /x/libm-2.36.a )";
    let error = link_error(&[file("libm.a", missing)], &LinkOptions::default());
    assert_eq!(error.code(), "UNREADABLE");
    assert_eq!(
        (fact(&error, "object"), fact(&error, "path")),
        ("libm.a".to_owned(), "/x/libm-2.36.a".to_owned())
    );
    assert!(error.to_string().contains("script"), "{error}");
}

#[test]
fn a_script_that_names_itself_is_read_once() {
    let workshop = Workshop::new();
    std::fs::write(workshop.path("again.a"), "INPUT(again.a)").expect("writable");
    let script = path(&workshop, "again.a");
    let image = link(&memory(), &[], &with_libraries(vec![Input::Path(&script)]));
    assert_eq!(image.expect("it is nothing").symbols().count(), 0);
}

/// Members of a thin archive, in a folder beside it.
fn thin(workshop: &Workshop) -> Vec<u8> {
    std::fs::create_dir_all(workshop.path("parts")).expect("writable");
    let source = |name: &str, value: u32| format!(".data\n.globl {name}\n{name}: .quad {value}\n");
    workshop.assemble("parts/one", &source("one", 1));
    workshop.assemble("parts/a_member_with_a_long_name", &source("two", 2));
    let members = ["parts/one.o", "parts/a_member_with_a_long_name.o"];
    workshop.run("ar", &[&["rcsT", "thin.a"][..], &members].concat());
    workshop.read("thin.a")
}

#[test]
fn a_thin_archive_links_like_one_that_holds_its_members() {
    let workshop = Workshop::new();
    let bytes = thin(&workshop);
    let archive = path(&workshop, "thin.a");
    let whole = link(
        &memory(),
        &[file(&archive, &bytes)],
        &LinkOptions::default(),
    );
    let whole = whole.expect("its members can be read");
    let values = ["one", "two"].map(|name| peek_u64(address(&whole, name)));
    assert_eq!(values, [1, 2]);
    let user = workshop.assemble("user", ".data\n.globl p\np: .quad two\n");
    let options = with_libraries(vec![file(&archive, &bytes)]);
    let image = link(&memory(), &[file("user.o", &user)], &options).expect("the index has it");
    assert_eq!(peek_u64(peek_u64(address(&image, "p"))), 2);
    assert_eq!(image.address("one"), None);
    let object = image.symbol("two").expect("two").object.to_string();
    assert!(
        object.ends_with("(parts/a_member_with_a_long_name.o)"),
        "{object}"
    );
}

#[test]
fn a_file_that_has_many_names_is_read_once() {
    let workshop = Workshop::new();
    let source = ".data\n.globl large\nlarge: .zero 1000000\n";
    workshop.assemble("large", source);
    workshop.run("ar", &["rcsT", "thin.a", "large.o"]);
    // 300 names of the one member: each begins a little later in the table of long names.
    let names = format!("{}large.o/\n", "./".repeat(299));
    let header = |name: &str, size: usize| {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644)
    };
    let members = (0..300).map(|number| header(&format!("/{}", number * 2), 1_000_000));
    let members: String = members.collect();
    let names = names.clone() + if names.len() % 2 == 1 { "\n" } else { "" };
    let archive = format!("!<thin>\n{}{names}{members}", header("//", names.len()));
    let script = (0..300).map(|number| format!("{}large.o ", "./".repeat(number)));
    let script = format!("INPUT({})", script.collect::<String>());
    for (name, bytes) in [("many.a", archive), ("many.so", script)] {
        std::fs::write(workshop.path(name), &bytes).expect("writable");
        let library = path(&workshop, name);
        let (linked, heap) =
            count_heap(|| link(&memory(), &[Input::Path(&library)], &LinkOptions::default()));
        let image = linked.expect("no symbol is defined twice");
        assert_eq!(image.symbols().count(), 1, "{name}");
        // The file, the archive that is made of it, and room for one of them to grow.
        assert!(heap.peak < 20_000_000, "{name}: {heap:?}");
    }
}

#[test]
fn a_thin_archive_without_its_members_is_refused_with_the_file_that_is_missing() {
    let workshop = Workshop::new();
    let bytes = thin(&workshop);
    std::fs::remove_file(workshop.path("parts/one.o")).expect("it was there");
    let archive = path(&workshop, "thin.a");
    let error = link_error(&[file(&archive, &bytes)], &LinkOptions::default());
    assert_eq!(error.code(), "UNREADABLE");
    assert_eq!(fact(&error, "path"), path(&workshop, "parts/one.o"));
}

#[test]
fn a_link_that_may_read_no_files_refuses_inputs_that_name_some() {
    let workshop = Workshop::new();
    let bytes = thin(&workshop);
    let archive = path(&workshop, "thin.a");
    let options = LinkOptions {
        files: Files::None,
        ..externals(&[])
    };
    for input in [
        file(&archive, &bytes),
        file("libm.a", b"GROUP(/x/libm.a)"),
        Input::Path(&archive),
        Input::Path("libm.so.6"),
    ] {
        let error = link_error(&[input], &options);
        assert_eq!(error.code(), "UNREADABLE", "{error}");
        assert!(error.to_string().contains("may read no files"), "{error}");
    }
}

#[test]
fn thread_local_variables_of_a_library_are_the_librarys_own() {
    let workshop = Workshop::new();
    let source = "__thread int own = 5; int read_own(void) { return own; }";
    std::fs::write(workshop.path("lib.c"), source).expect("the folder is writable");
    workshop.run("cc", &["-shared", "-fPIC", "lib.c", "-o", "libown.so"]);
    let library = path(&workshop, "libown.so");
    let source = "extern __thread int own; int read_own(void);
        int both(void) { own += 1; return own * 100 + read_own(); }";
    for model in ["global-dynamic", "initial-exec"] {
        let flags = ["-fPIC", &format!("-ftls-model={model}")];
        let object = workshop.compile("user", source, &flags);
        let options = with_libraries(vec![Input::Path(&library)]);
        let linked = link(&memory(), &[file("user.o", &object)], &options);
        let image = match linked {
            Ok(image) => image,
            // The library has lost its place at one distance from all threads, or never had one.
            Err(error) => {
                assert_eq!(
                    (error.code(), model),
                    ("STATIC_THREAD_LOCAL", "initial-exec")
                );
                continue;
            }
        };
        let both = function!(image, "both", unsafe extern "C" fn() -> i32);
        let call = move || {
            #[allow(unsafe_code, reason = "calling what was linked is the point")]
            // SAFETY: it takes nothing and returns a number, and the image is kept.
            let result = unsafe { both() };
            result
        };
        assert_eq!(std::thread::spawn(call).join().expect("it returns"), 606);
        assert_eq!(std::thread::spawn(call).join().expect("it returns"), 606);
    }
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let error = link_error(&[Input::Path("/dev/zero")], &LinkOptions::default());
    assert_eq!(error.code(), "UNREADABLE");
    assert!(error.to_string().contains("no regular file"), "{error}");
}
