//! Thread-local variables: every thread has its own, whichever model the code was compiled for, and they go with the image.

use crate::support::{
    Workshop, externals, fact, file, function, has_cpp, link, link_error, link_files, memory,
};
use codeslab::{Architecture, Protection};
use codeslab_link::{
    Content, Definition, Graph, GraphSection, Input, LinkOptions, Relocation, RelocationKind,
    Symbol, SymbolKind,
};
use codeslab_testing::{assert_passed, is_child, run_alone};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

type Unary = extern "C" fn(i32) -> i32;

/// Own variables with and without an initial value, in two objects, and one of the process.
const PROGRAM: &str = r"
#include <errno.h>
__thread int own = 5;
static __thread int mine;
extern __thread int other;
int probe(int n) { mine += n; own += mine; return own + other; }
int *where(int n) { return n ? &own : &mine; }
int swap_errno(int n) { int was = errno; errno = n; return was; }
";

const OTHER: &str = "
static char text[4];
__thread char *pointer = text + 2;
__thread int other = 1000;
int points(int n) { return n + (pointer == text + 2); }
";

const MODELS: [&str; 4] = [
    "-ftls-model=global-dynamic",
    "-ftls-model=local-dynamic",
    "-ftls-model=initial-exec",
    "-ftls-model=local-exec",
];

/// Flags under which compilers come by thread-local variables in ways of their own.
const FLAGS: [&[&str]; 8] = [
    &["-O2", "-fPIC"],
    &["-O0", "-fPIC"],
    &["-O2", "-fno-pic"],
    &["-O2", "-fPIE"],
    &["-O2", "-fPIC", "-fno-plt"],
    &["-O2", "-fPIC", "-mtls-dialect=gnu2"],
    &["-O2", "-fPIC", "-mcmodel=large"],
    &["-O2", "-fno-pic", "-mcmodel=large"],
];

#[test]
fn every_thread_has_its_own_whatever_the_code_was_compiled_for() {
    let workshop = Workshop::new();
    for flags in FLAGS {
        for model in MODELS {
            let flags = [flags, &[model]].concat();
            let program = workshop.compile("program", PROGRAM, &flags);
            let other = workshop.compile("other", OTHER, &flags);
            let memory = memory();
            let image = link_files(&memory, &[("program.o", &program), ("other.o", &other)]);
            let call = |name: &str, n: i32| function!(image, name, Unary)(n);
            assert_eq!(
                (call("probe", 2), call("probe", 2)),
                (1007, 1011),
                "{flags:?}"
            );
            let elsewhere = thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let first = call("probe", 3);
                    (first, call("probe", 3), call("points", 0))
                });
                thread.join().expect("it ends")
            });
            assert_eq!(elsewhere, (1008, 1014, 1), "{flags:?}");
            assert_eq!(call("probe", 0), 1015, "{flags:?}");
            assert_eq!(call("points", 0), 1, "{flags:?}");
        }
    }
}

/// A thread that runs what it is sent.
struct Worker {
    calls: mpsc::Sender<(Unary, i32)>,
    answers: mpsc::Receiver<i32>,
}

impl Worker {
    fn start() -> Self {
        let (calls, received) = mpsc::channel::<(Unary, i32)>();
        let (sent, answers) = mpsc::channel();
        thread::spawn(move || {
            for (function, n) in received {
                if sent.send(function(n)).is_err() {
                    return;
                }
            }
        });
        Self { calls, answers }
    }

    fn call(&self, function: Unary, n: i32) -> i32 {
        self.calls.send((function, n)).expect("the thread runs");
        self.answers.recv().expect("the thread answers")
    }
}

#[test]
fn threads_that_are_older_than_the_image_have_theirs_and_go_on_when_it_is_freed() {
    let workshop = Workshop::new();
    let workers: Vec<Worker> = (0..8).map(|_| Worker::start()).collect();
    for model in MODELS {
        let flags = ["-O2", "-fPIC", model];
        let program = workshop.compile("program", PROGRAM, &flags);
        let other = workshop.compile("other", OTHER, &flags);
        let memory = memory();
        for round in 0..3 {
            let image = link_files(&memory, &[("program.o", &program), ("other.o", &other)]);
            let probe = function!(image, "probe", Unary);
            for (n, worker) in (1..).zip(&workers) {
                // What an image before this one has left in the thread must not be seen.
                assert_eq!(worker.call(probe, n), 1005 + n, "{model} {round}");
            }
            let late = Worker::start();
            assert_eq!(late.call(probe, 7), 1012, "{model} {round}");
            for (n, worker) in (1..).zip(&workers) {
                assert_eq!(worker.call(probe, 0), 1005 + 2 * n, "{model} {round}");
            }
            image.free();
        }
        assert_eq!(memory.stats().live, 0);
    }
}

#[test]
fn variables_of_the_process_are_those_that_it_uses_itself() {
    let workshop = Workshop::new();
    // The name is one of the C library's own, for which it has a function otherwise.
    let source = "
        extern __thread int errno;
        int swap_errno(int n) { int was = errno; errno = n; return was; }
        int *where_errno(int n) { return n ? &errno : 0; }
    ";
    for model in ["-ftls-model=global-dynamic", "-ftls-model=initial-exec"] {
        for dialect in ["-mtls-dialect=gnu", "-mtls-dialect=gnu2"] {
            let object = workshop.compile("process", source, &["-O2", "-fPIC", model, dialect]);
            let memory = memory();
            let image = link_files(&memory, &[("process.o", &object)]);
            let swap = function!(image, "swap_errno", Unary);
            swap(77);
            let seen = std::io::Error::last_os_error().raw_os_error();
            assert_eq!(seen, Some(77), "{model} {dialect}");
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!((swap(5), swap(6)), (0, 5), "{model} {dialect}"));
            });
            assert_eq!(swap(0), 77, "{model} {dialect}");
        }
    }
}

#[test]
fn copies_lie_where_their_alignment_wants_them_and_begin_with_zeros() {
    let workshop = Workshop::new();
    for align in [64_u64, 4096, 65536] {
        let source = format!(
            "__thread char small = 1;
            __thread _Alignas({align}) char large[100000];
            long where(int n) {{ small += n; return (long)large; }}
            int sum(int n) {{ int s = n; for (int i = 0; i < 100000; i++) s += large[i]++; return s; }}"
        );
        let object = workshop.compile("aligned", &source, &["-O2", "-fPIC"]);
        let memory = memory();
        let image = link_files(&memory, &[("aligned.o", &object)]);
        let place = function!(image, "where", extern "C" fn(i32) -> u64);
        let sum = function!(image, "sum", Unary);
        let check = || {
            let at = place(1);
            assert_eq!(at % align, 0, "{at:#x}");
            assert_eq!((sum(0), sum(1)), (0, 100_001), "{align}");
            at
        };
        let here = check();
        let there = thread::scope(|scope| scope.spawn(check).join().expect("it ends"));
        assert_ne!(here, there);
    }
}

#[test]
fn zeros_alone_need_no_initial_values() {
    let source = "static __thread int count; int next(int n) { return count += n; }";
    let workshop = Workshop::new();
    for model in MODELS {
        let object = workshop.compile("zeros", source, &["-O2", "-fPIC", model]);
        let memory = memory();
        let image = link_files(&memory, &[("zeros.o", &object)]);
        let next = function!(image, "next", Unary);
        assert_eq!((next(2), next(3)), (2, 5), "{model}");
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(next(1), 1, "{model}"));
        });
    }
}

#[test]
fn a_variable_that_nobody_has_and_nobody_has_to_have_is_no_reason_not_to_link() {
    let source = "
        extern __thread int absent __attribute__((weak));
        int *where(int n) { return n ? &absent : 0; }
        int f(int n) { return n + 1; }
    ";
    let workshop = Workshop::new();
    for flags in [
        ["-fPIC", "-ftls-model=global-dynamic", "-mtls-dialect=gnu"],
        ["-fPIC", "-ftls-model=global-dynamic", "-mtls-dialect=gnu2"],
        ["-fPIC", "-ftls-model=initial-exec", "-mtls-dialect=gnu"],
    ] {
        let object = workshop.compile("weak", source, &flags);
        let memory = memory();
        let image = link_files(&memory, &[("weak.o", &object)]);
        assert_eq!(function!(image, "f", Unary)(1), 2, "{flags:?}");
        if flags.contains(&"-mtls-dialect=gnu2") {
            // Only a descriptor can say that there is nothing.
            let place = function!(image, "where", extern "C" fn(i32) -> u64);
            assert_eq!(place(1), 0, "{flags:?}");
        }
    }
}

#[test]
fn a_thousand_images_leave_neither_memory_nor_descriptors_nor_static_room_behind() {
    const NAME: &str = "thread_local::a_thousand_images_leave_neither_memory_nor_descriptors_nor_static_room_behind";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let workshop = Workshop::new();
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let memory = memory();
    for model in MODELS {
        let source = "__thread long block[16] = {1}; long bump(int n) { return block[0] += n; }";
        let object = workshop.compile("block", source, &["-O2", "-fPIC", model]);
        let round = |n: i32| {
            let image = link_files(&memory, &[("block.o", &object)]);
            let bump = function!(image, "bump", extern "C" fn(i32) -> i64);
            assert_eq!(bump(n), i64::from(n) + 1, "{model}");
            image
        };
        drop(round(0));
        let (open, mapped) = (descriptors(), mappings());
        for n in 0..250 {
            // Freed in the order in which they were linked: the dynamic linker alone would keep the static room.
            let (first, second) = (round(n), round(n));
            drop(first);
            drop(second);
        }
        assert_eq!(descriptors(), open, "{model}");
        assert!(mappings() <= mapped + 8, "{model}: {} {mapped}", mappings());
        assert_eq!(memory.stats().live, 0);
    }
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines()
        .filter(|line| line.contains("codeslab"))
        .count()
}

#[test]
fn variables_for_which_there_is_no_static_room_are_refused_with_what_to_do() {
    let source = "static __thread char block[1 << 20]; char *where(int n) { return &block[n]; }";
    let workshop = Workshop::new();
    let object = workshop.compile("large", source, &["-O2", "-fPIC", "-ftls-model=local-exec"]);
    let memory = memory();
    let inputs = [file("large.o", &object)];
    let error = link(&memory, &inputs, &LinkOptions::default()).expect_err("too large");
    assert_eq!((memory.stats().live, memory.stats().in_flight), (0, 0));
    assert_eq!(error.code(), "STATIC_THREAD_LOCAL");
    assert_eq!(fact(&error, "size"), (1 << 20).to_string());
    let text = error.to_string();
    assert!(text.contains("-ftls-model=global-dynamic"), "{text}");
    // The same variable links when the code leaves open where it is.
    let object = workshop.compile("large", source, &["-O2", "-fPIC"]);
    let image = link_files(&memory, &[("large.o", &object)]);
    let place = function!(image, "where", extern "C" fn(i32) -> u64);
    assert_eq!(place(5), place(0) + 5);
}

#[test]
fn a_variable_that_one_object_has_for_threads_and_another_for_all_is_refused_by_name() {
    let workshop = Workshop::new();
    let shared = workshop.compile("shared", "int v = 1;", &["-O2"]);
    let local = workshop.compile("local", "__thread int v = 1;", &["-O2"]);
    let uses_shared = "extern int v; int f(int n) { return v + n; }";
    let uses_shared = workshop.compile("uses_shared", uses_shared, &["-O2", "-fPIC"]);
    let uses_local = "extern __thread int v; int f(int n) { return v + n; }";
    let uses_local = workshop.compile("uses_local", uses_local, &["-O2", "-fPIC"]);
    for (definition, user, reason) in [
        (&shared, &uses_local, "is not a thread-local variable"),
        (&local, &uses_shared, "declare it `__thread`"),
    ] {
        let inputs = [file("definition.o", definition), file("user.o", user)];
        let error = link_error(&inputs, &LinkOptions::default());
        assert_eq!(error.code(), "THREAD_LOCAL_ACCESS");
        assert_eq!(fact(&error, "object"), "user.o");
        assert_eq!(fact(&error, "symbol"), "v");
        assert!(error.to_string().contains(reason), "{error}");
    }
    // Where variables lie is not known before their initial values are.
    let source = ".section .tdata, \"awT\", @progbits\nv: .quad v@tpoff\n";
    let object = workshop.assemble("self", source);
    let error = link_error(&[file("self.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "THREAD_LOCAL_ACCESS");
    // The offset of a variable whose home is another library cannot stand in code.
    let source = "
        .section .text
        lea errno@tlsld(%rip), %rdi
        call __tls_get_addr@PLT
        lea errno@dtpoff(%rax), %rax
    ";
    let object = workshop.assemble("process", source);
    let error = link_error(&[file("process.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "THREAD_LOCAL_ACCESS");
    assert!(error.to_string().contains("global-dynamic"), "{error}");
}

#[test]
fn a_variable_that_the_process_lacks_is_undefined_like_any_other_symbol() {
    let source = "extern __thread int nobodys; int f(int n) { return nobodys + n; }";
    let object = Workshop::new().compile("lonely", source, &["-O2", "-fPIC"]);
    let error = link_error(&[file("lonely.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "UNDEFINED_SYMBOL");
    assert_eq!(fact(&error, "symbol"), "nobodys");
}

#[test]
fn variables_of_threads_have_no_address_among_the_symbols() {
    let object = Workshop::new().compile("program", OTHER, &["-O2", "-fPIC"]);
    let memory = memory();
    let inputs = [file("program.o", &object)];
    let image = link(&memory, &inputs, &LinkOptions::default()).expect("it links");
    let names: Vec<&str> = image.symbols().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["points"]);
}

#[test]
fn an_assembler_makes_thread_local_variables_of_sections_that_it_says_so_of() {
    let text = |bytes: &'static [u8]| Content::Bytes(bytes.into());
    let mut graph = Graph::new("made", Architecture::X86_64);
    // mov %fs:offset, %eax; ret
    let code = text(&[0x64, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0xc3]);
    let code = GraphSection::new(".text", Protection::ReadExecute, 16, code);
    let code = graph.add_section(code).expect("a section");
    let values = GraphSection::new(".tdata", Protection::ReadWrite, 4, text(&[7, 0, 0, 0]));
    let values = graph.add_section(values.thread_local()).expect("a section");
    let place = |section| Definition::Section { section, offset: 0 };
    graph
        .add_symbol(Symbol::new("f", place(code)))
        .expect("a symbol");
    let variable = Symbol::new("seven", place(values)).with_kind(SymbolKind::ThreadLocal, 4);
    let symbol = graph.add_symbol(variable).expect("a symbol");
    let relocation = Relocation {
        offset: 4,
        kind: RelocationKind::from_name("R_X86_64_TPOFF32").expect("a type"),
        symbol,
        addend: 0,
    };
    graph
        .add_relocation(code, relocation)
        .expect("a relocation");
    let memory = memory();
    let image = link(&memory, &[Input::Graph(&graph)], &LinkOptions::default()).expect("it links");
    let f = function!(image, "f", extern "C" fn() -> i32);
    assert_eq!(f(), 7);
    let odd = Symbol::new("odd", place(code)).with_kind(SymbolKind::ThreadLocal, 4);
    let error = graph
        .add_symbol(odd)
        .expect_err("code is the same for all threads");
    assert_eq!(error.code(), "MALFORMED");
}

#[test]
fn objects_of_threads_are_made_and_destroyed_by_each_thread() {
    static NOTED: AtomicI32 = AtomicI32::new(0);
    extern "C" fn note(value: i32) {
        NOTED.fetch_add(value, Ordering::Relaxed);
    }
    if !has_cpp("objects_of_threads_are_made_and_destroyed_by_each_thread") {
        return;
    }
    let source = r#"
        extern "C" void note(int);
        struct Counter {
            int value;
            Counter() : value(100) { note(1); }
            ~Counter() { note(value); }
        };
        thread_local Counter counter;
        extern "C" int bump(int n) { return counter.value += n; }
    "#;
    let workshop = Workshop::new();
    for model in MODELS {
        let flags = ["-O2", "-fPIC", "-fno-exceptions", model];
        let object = workshop.compile_cpp("counter", source, &flags);
        let memory = memory();
        let options = externals(&[("note", note as *const () as u64)]);
        let image = link(&memory, &[file("counter.o", &object)], &options);
        let image = image.unwrap_or_else(|error| panic!("{model}: {error}"));
        let bump = function!(image, "bump", Unary);
        NOTED.store(0, Ordering::Relaxed);
        let start =
            |n| thread::spawn(move || assert_eq!((bump(n), bump(n)), (100 + n, 100 + 2 * n)));
        let threads: Vec<_> = (1..=8).map(start).collect();
        for thread in threads {
            thread.join().expect("it ends");
        }
        // Eight were made, and each was destroyed with what its own thread had made of it.
        assert_eq!(NOTED.load(Ordering::Relaxed), 8 + 8 * 100 + 72, "{model}");
    }
}

#[test]
fn thread_local_variables_of_an_image_are_those_of_the_images_that_refer_to_them() {
    const OWNER: &str = "
        __thread int shared = 4;
        __thread char padding[40];
        __thread int zero __attribute__((common));
        __thread int hidden __attribute__((visibility(\"hidden\"))) = 9;
        int owned(int n) { return shared += n; }
        int sum(int n) { return n + shared + zero + hidden + padding[0]; }
    ";
    const USER: &str = "
        extern __thread int shared, zero;
        int use(int n) { zero += 100 * n; return shared += n; }
    ";
    const NOSY: &str = "extern __thread int hidden; int look(int n) { return n + hidden; }";
    let workshop = Workshop::new();
    for model in ["-ftls-model=global-dynamic", "-ftls-model=initial-exec"] {
        for flags in [&["-O2", "-fPIC", model][..], &["-O1", "-fno-pic", model]] {
            let owner = workshop.compile("owner", OWNER, flags);
            let user = workshop.compile("user", USER, flags);
            let memory = memory();
            let owner = Arc::new(link_files(&memory, &[("owner.o", &owner)]));
            let options = LinkOptions {
                libraries: vec![Input::Loaded(&owner)],
                ..LinkOptions::default()
            };
            let image = link(&memory, &[file("user.o", &user)], &options);
            let image = image.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
            let (owned, sum) = (
                function!(owner, "owned", Unary),
                function!(owner, "sum", Unary),
            );
            let call = function!(image, "use", Unary);
            assert_eq!((call(1), owned(1), call(1), sum(0)), (5, 6, 7, 216));
            let elsewhere = thread::spawn(move || (call(1), owned(1), sum(0)));
            assert_eq!(elsewhere.join().expect("it ends"), (5, 6, 115));
            let nosy = workshop.compile("nosy", NOSY, flags);
            let error = link(&memory, &[file("nosy.o", &nosy)], &options).expect_err("hidden");
            assert_eq!(error.code(), "UNDEFINED_SYMBOL", "{error}");
            // What refers to another image keeps it.
            drop(owner);
            assert_eq!((call(1), sum(0)), (8, 317));
            drop(image);
            assert_eq!(memory.stats().live, 0);
        }
    }
}
