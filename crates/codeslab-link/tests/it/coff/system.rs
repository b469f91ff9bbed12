//! What only Windows itself can show: functions of its libraries, what its unwinder finds, and threads that link at once.

use super::{CLANG, GCC, Tool, compiled};

const CALLS: &str = "
        typedef unsigned long long size_t;
        size_t strlen(const char *);
        void *malloc(size_t);
        void free(void *);
        __declspec(dllimport) unsigned long GetCurrentProcessId(void);
        size_t length(const char *text) { return strlen(text); }
        unsigned long process(void) { return GetCurrentProcessId(); }
        int allocate(int n) { int *p = malloc(4000); p[n] = n; n = p[n]; free(p); return n; }
        int large(int n) { volatile char room[100000]; room[0] = 1; room[99999] = (char)n; return room[0] + room[99999]; }
    ";

const TWO: &str = "int other(int); int one(int n) { return other(n) + 1; } int two(int n) { return other(n) + one(n); }";

const REGISTERING: &str = "
        int atexit(void (*)(void));
        extern int *order;
        static void note(int n) { order[0] += 1; order[order[0]] = n; }
        static void one(void) { note(1); }
        static void two(void) { note(2); }
        void start(void) { atexit(one); atexit(two); note(0); }
    ";

const WORKING: &str = "
        typedef unsigned long long size_t;
        size_t strlen(const char *);
        static size_t calls;
        size_t (*table[])(const char *) = {strlen};
        size_t work(const char *text, size_t n) { calls += n; return table[0](text) + strlen(text) + calls; }
    ";

/// How each of them is compiled.
const OBJECTS: [(Tool, &str, &str, &[&str]); 5] = [
    (GCC, "c", CALLS, &["-O1", "-fno-builtin"]),
    (CLANG, "c", CALLS, &["-O1", "-fno-builtin"]),
    (GCC, "c", TWO, &["-O1"]),
    (GCC, "c", REGISTERING, &["-O1"]),
    (GCC, "c", WORKING, &["-O1", "-fno-builtin"]),
];

/// The tests run where there are no compilers.
#[test]
fn what_is_linked_on_windows_compiles() {
    for (tool, kind, source, flags) in OBJECTS {
        let test = "what_is_linked_on_windows_compiles";
        let object = compiled(test, tool, kind, source, flags);
        assert!(object.is_none_or(|object| object.len() > 100));
    }
}

#[cfg(windows)]
mod on_windows {
    use super::super::{CLANG, GCC, compiled};
    use super::{CALLS, REGISTERING, TWO, WORKING};
    use crate::support::{externals, file, function, link, memory};
    use codeslab::CodeMemory;
    use codeslab_link::{Input, LinkOptions};
    use codeslab_testing::{assert_ends_where_it_began, assert_passed, is_child, run_alone};

    #[test]
    fn code_calls_functions_of_the_process_by_name_and_through_cells() {
        let test = "code_calls_functions_of_the_process_by_name_and_through_cells";
        for tool in [GCC, CLANG] {
            let flags = ["-O1", "-fno-builtin"];
            let Some(object) = compiled(test, tool, "c", CALLS, &flags) else {
                return;
            };
            let inputs = [file("user.obj", &object)];
            let image = link(&memory(), &inputs, &LinkOptions::default());
            let image = image.unwrap_or_else(|error| panic!("{error}"));
            let length = function!(image, "length", extern "C" fn(*const u8) -> u64);
            assert_eq!(length(c"eleven letters".as_ptr().cast()), 14);
            let process = function!(image, "process", extern "C" fn() -> u32);
            assert_eq!(process(), std::process::id());
            assert_eq!(
                function!(image, "allocate", extern "C" fn(i32) -> i32)(77),
                77
            );
            assert_eq!(function!(image, "large", extern "C" fn(i32) -> i32)(41), 42);
        }
    }

    /// `RtlLookupFunctionEntry` is what every stack walk begins with.
    #[test]
    fn the_system_finds_functions_of_images_while_they_are_there() {
        let test = "the_system_finds_functions_of_images_while_they_are_there";
        #[link(name = "kernel32")]
        #[allow(unsafe_code, reason = "asking the system is the point of this test")]
        unsafe extern "system" {
            fn RtlLookupFunctionEntry(at: u64, base: *mut u64, history: *mut u8) -> *const u32;
        }
        let lookup = |at: u64| {
            let mut base = 0;
            #[allow(unsafe_code, reason = "asking the system is the point of this test")]
            // SAFETY: the base is a place for the answer, and there is no history.
            let entry = unsafe { RtlLookupFunctionEntry(at, &raw mut base, std::ptr::null_mut()) };
            #[allow(
                unsafe_code,
                reason = "reading the system's answer is the point of this test"
            )]
            // SAFETY: an entry that is not null has three numbers, and stays while the image does.
            let begin = (!entry.is_null()).then(|| unsafe { entry.read() });
            begin.map(|begin| base + u64::from(begin))
        };
        let Some(object) = compiled(test, GCC, "c", TWO, &["-O1"]) else {
            return;
        };
        let memory = memory();
        let options = externals(&[("other", std::process::id as *const () as u64)]);
        let images = || link(&memory, &[file("two.obj", &object)], &options).expect("it links");
        let (first, second) = (images(), images());
        for image in [&first, &second] {
            for name in ["one", "two"] {
                let at = image.address(name).expect(name).value();
                assert_eq!((lookup(at), lookup(at + 6)), (Some(at), Some(at)), "{name}");
            }
        }
        let gone = first.address("one").expect("it is there").value();
        let there = second.address("one").expect("it is there").value();
        first.free();
        assert_eq!((lookup(gone), lookup(there)), (None, Some(there)));
        second.free();
        assert_eq!(lookup(there), None);
    }

    #[test]
    fn functions_registered_for_the_end_of_an_image_run_then() {
        let test = "functions_registered_for_the_end_of_an_image_run_then";
        let Some(object) = compiled(test, GCC, "c", REGISTERING, &["-O1"]) else {
            return;
        };
        let mut order = [0_i32; 8];
        let pointer = order.as_mut_ptr();
        let options = externals(&[("order", &raw const pointer as u64)]);
        let image = link(&memory(), &[file("order.obj", &object)], &options).expect("it links");
        function!(image, "start", extern "C" fn())();
        image.free();
        let order: Vec<i32> = order.to_vec();
        assert_eq!(order[..4], [3, 0, 2, 1]);
    }

    #[test]
    fn eight_threads_link_call_and_free_two_thousand_times_each() {
        const NAME: &str =
            "coff::system::on_windows::eight_threads_link_call_and_free_two_thousand_times_each";
        // Handles and address space are the process's, in which other tests run.
        if !is_child(NAME) {
            return assert_passed(&run_alone(NAME, &[]));
        }
        let test = "eight_threads_link_call_and_free_two_thousand_times_each";
        let Some(object) = compiled(test, GCC, "c", WORKING, &["-O1", "-fno-builtin"]) else {
            return;
        };
        let memory = memory();
        let before = memory.stats();
        assert_ends_where_it_began(|| {
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (memory, object) = (&memory, &object);
                    scope.spawn(move || link_call_and_free(memory, object, thread));
                }
            });
            memory.trim();
            let after = memory.stats();
            assert_eq!((after.live, after.in_flight, after.used_bytes), (0, 0, 0));
            assert_eq!(after.reserved_bytes, before.reserved_bytes);
        });
    }

    const THREADS: u64 = 8;
    const ROUNDS: u64 = 2000;

    fn link_call_and_free(memory: &CodeMemory, object: &[u8], thread: u64) {
        let inputs: [Input<'_>; 1] = [file("work.obj", object)];
        for round in 0..ROUNDS {
            let image = link(memory, &inputs, &LinkOptions::default()).expect("it links");
            let work = function!(image, "work", extern "C" fn(*const u8, u64) -> u64);
            let n = thread * ROUNDS + round;
            assert_eq!(work(c"four".as_ptr().cast(), n), 8 + n);
            image.free();
        }
    }
}
