//! Direct 32-bit references to data that others placed, at the addresses that many processes happen to have.

use crate::support::{
    Workshop, address, externals, file, function, link, link_files, memory, peek_u64, read,
};
use codeslab::{Address, Layout, Protection, Request, Window, process_symbol};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const PROCESSES: usize = 1000;
const THREADS: usize = 2;

/// Where the many processes find what was compiled once for all of them.
const OBJECTS_VARIABLE: &str = "CODESLAB_TEST_OBJECTS";

/// GCC takes such variables to be in reach unless it is told otherwise: executables get copies of those of libraries.
const LIBRARY: &str = r#"
#include <stdio.h>
extern char **environ;
FILE **out(void) { return &stdout; }
FILE **err(void) { return &stderr; }
FILE *read_err(void) { return stderr; }
char **read_environ(void) { return environ; }
int length(void) { char text[16]; return snprintf(text, sizeof text, "%p", (void *)0); }
"#;

const EXECUTABLE: &str = ".text\n.globl f\nf: mov own(%rip), %eax\naddl $1, own(%rip)\nret\n";

/// Data of this executable, at the end of its displacements.
static OWN: AtomicU32 = AtomicU32::new(41);

fn compile(workshop: &Workshop) {
    workshop.compile("library", LIBRARY, &["-O2", "-fPIE"]);
    workshop.assemble("executable", EXECUTABLE);
}

#[test]
fn direct_references_to_data_of_this_process_link_and_run() {
    if let Some(folder) = std::env::var_os(OBJECTS_VARIABLE) {
        link_and_run(Path::new(&folder));
    } else {
        let workshop = Workshop::new();
        compile(&workshop);
        link_and_run(&workshop.path(""));
    }
}

fn link_and_run(folder: &Path) {
    let memory = memory();
    let library = read(&folder.join("library.o"));
    let image = link_files(&memory, &[("library.o", &library)]);
    let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    let process = |name: &str| process_symbol(name).expect(name).value();
    let is_near = address(&image, "err").abs_diff(process("stderr")) < 1 << 31;
    assert!(is_near, "nothing but the distance leads there");
    assert_eq!(call("out"), process("stdout"));
    assert_eq!(call("err"), process("stderr"));
    assert_eq!(call("read_err"), peek_u64(process("stderr")));
    assert_eq!(call("read_environ"), peek_u64(process("environ")));
    assert_eq!(call("length") as u32, 5);

    let executable = read(&folder.join("executable.o"));
    let options = externals(&[("own", OWN.as_ptr() as u64)]);
    let image = link(&memory, &[file("executable.o", &executable)], &options).expect("it links");
    let is_near = address(&image, "f").abs_diff(OWN.as_ptr() as u64) < 1 << 31;
    assert!(is_near, "nothing but the distance leads there");
    assert_eq!(function!(image, "f", extern "C" fn() -> u32)(), 41);
    assert_eq!(OWN.load(Ordering::Relaxed), 42);
    println!("linked beside {:#x}", process("stderr"));
}

#[test]
fn direct_references_to_data_link_and_run_in_a_thousand_fresh_processes() {
    let workshop = Workshop::new();
    compile(&workshop);
    let run = || (0..PROCESSES / THREADS).map(|_| run_once(&workshop.path("")));
    let places: HashSet<String> = std::thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(|| run().collect::<Vec<String>>()));
        let places = threads.map(|thread| thread.join().expect("every process linked"));
        places.into_iter().flatten().collect()
    });
    let count = places.len();
    assert!(
        count > PROCESSES / 2,
        "{count} places: nothing is randomized"
    );
}

/// Runs the test above in a fresh process and returns where that had its data.
fn run_once(folder: &Path) -> String {
    let test = "direct::direct_references_to_data_of_this_process_link_and_run";
    let output = Command::new(std::env::current_exe().expect("this executable"))
        .args(["--exact", test, "--nocapture"])
        .env(OBJECTS_VARIABLE, folder)
        .output()
        .expect("it can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{complaints}");
    let place = text.split_once("linked beside ").expect(test).1;
    place.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn code_that_names_data_in_two_places_too_far_apart_takes_detours() {
    let source = "
        .text
        .globl probe
        .type probe, @function
        probe:
            mov low(%rip), %rax
            addl $5, high+4(%rip)
            movss high(%rip), %xmm0
            cmpl $1005, high+4(%rip)
            jne 1f
            mov %rdi, -8(%rsp)
            add low+8(%rip), %rax
            mov low(%rip), %rsi
            add -8(%rsp), %rax
            ret
        1:  xor %eax, %eax
            ret
    ";
    let object = Workshop::new().assemble("far", source);
    let memory = memory();
    // Data in the lowest gigabytes, and near the process's libraries.
    let place = |first: u64, values: [u64; 2]| {
        let mut layout = Layout::new();
        let data = layout.add(Protection::ReadWrite, 16, 16).expect("it fits");
        let (first, last) = (Address::new(first), Address::new(first + (1 << 30)));
        let windows = [Window::new(first, last).expect("it is one")];
        let request = Request::new(&layout).within(&windows);
        let mut in_flight = memory.allocate(&request).expect("there is room");
        let bytes = values.map(u64::to_le_bytes).concat();
        in_flight.write(data, 0, &bytes).expect("it fits");
        let address = in_flight.address(data).value();
        (address, in_flight.finalize().expect("it is data"))
    };
    let strlen = process_symbol("strlen").expect("strlen").value();
    let (low, _low) = place(0x1000_0000, [30, 12]);
    let (high, _high) = place(strlen & !0xfff_ffff, [1000 << 32, 0]);
    assert!(high - low > 1 << 32, "{low:#x} {high:#x}");
    let options = externals(&[("low", low), ("high", high)]);
    let image = link(&memory, &[file("far.o", &object)], &options).expect("it takes detours");
    let probe = function!(image, "probe", extern "C" fn(u64) -> u64);
    assert_eq!(probe(1000), 30 + 12 + 1000, "the red zone stays");
    assert_eq!(peek_u64(high), 1005 << 32, "what is written arrives");
    // Branches through far pointers are not rewritten: the image lies where they arrive, and the others take detours.
    let jump = ".text\n.globl f\nf: mov low(%rip), %rax\nret\njmp *high(%rip)\n";
    let jump = Workshop::new().assemble("jump", jump);
    let image = link(&memory, &[file("jump.o", &jump)], &options).expect("one takes a detour");
    assert_eq!(function!(image, "f", extern "C" fn() -> u64)(), 30);
    let stuck = ".text\njmp *low(%rip)\njmp *high(%rip)\n";
    let stuck = Workshop::new().assemble("stuck", stuck);
    let error = codeslab_link::link(&memory, &[file("stuck.o", &stuck)], &options);
    let error = error.expect_err("neither can be rewritten");
    assert_eq!(error.code(), "CONFLICTING_SYMBOLS");
    assert!(error.to_string().contains("-fPIC"), "{error}");
}

#[test]
fn code_that_names_data_by_addresses_too_short_for_it_takes_detours() {
    let source = "
        .text
        .globl probe
        .type probe, @function
        probe:
            addl $5, high+4
            cmpl $1005, high+4
            jne 1f
            mov %edi, -8(%rsp)
            mov high, %eax
            add -8(%rsp), %eax
            ret
        1:  xor %eax, %eax
            ret
    ";
    let object = Workshop::new().assemble("short", source);
    let data: &'static [AtomicU32; 2] = Box::leak(Box::new([30, 1000].map(AtomicU32::new)));
    let at = data.as_ptr() as u64;
    assert!(at > u64::from(u32::MAX), "memory lies low: {at:#x}");
    let options = externals(&[("high", at)]);
    let memory = memory();
    let image = link(&memory, &[file("short.o", &object)], &options).expect("it takes detours");
    let probe = function!(image, "probe", extern "C" fn(u32) -> u32);
    assert_eq!(probe(7), 37, "the red zone stays");
    assert_eq!(
        data[1].load(Ordering::Relaxed),
        1005,
        "what is written arrives"
    );
    // Half a register is left alone, and there is no other room for its value, wherever the code lies.
    let value = Workshop::new().assemble("value", ".text\ncmp $high, %eax\nret\n");
    let error = codeslab_link::link(&memory, &[file("value.o", &value)], &options);
    assert_eq!(error.expect_err("it has no room").code(), "OVERFLOW");
}

/// What compilers do with the address of a variable when they take it for 32 bits.
const VALUES: &str = r#"
#include <stddef.h>
extern char **environ, *optarg;
typedef void *Callee(long, long, long, long, long, long, void *, void *);
void *own;
void *taken(void) { return &environ; }
void *behind(void) { return (char *)&environ + 24; }
int is_it(void *it) { return it == (void *)&environ; }
long from(char *it) { return it - (char *)&environ; }
void *stored(void) { own = &environ; return own; }
void *kept(void **kept, size_t at) { kept[at] = &environ; return kept[at]; }
void *through_memory(void) { void *volatile kept[40]; kept[3] = &environ; return kept[3]; }
char *named(void) { optarg = "own"; return optarg; }
void *passed(Callee *callee) { return callee(1, 2, 3, 4, 5, 6, &environ, (char *)&environ + 8); }
"#;

extern "C" fn difference(
    _: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
    seventh: u64,
    eighth: u64,
) -> u64 {
    seventh * 2 - eighth
}

#[test]
fn addresses_of_data_that_code_takes_for_32_bits_have_all_their_bits() {
    let environ = process_symbol("environ").expect("environ").value();
    assert!(environ > u64::from(u32::MAX), "it lies low: {environ:#x}");
    for flags in [&["-O0"][..], &["-O1"], &["-O2"], &["-Os"]] {
        let flags = [flags, &["-fno-pic", "-fno-pie", "-mcmodel=small"]].concat();
        let object = Workshop::new().compile("values", VALUES, &flags);
        let image = link_files(&memory(), &[("values.o", &object)]);
        let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
        for name in ["taken", "stored", "through_memory"] {
            assert_eq!(call(name), environ, "{name} {flags:?}");
        }
        assert_eq!(call("behind"), environ + 24, "{flags:?}");
        let is_it = function!(image, "is_it", extern "C" fn(u64) -> u32);
        let others = [environ, environ & 0xffff_ffff, environ + 1];
        assert_eq!(others.map(|it| is_it(it)), [1, 0, 0], "{flags:?}");
        let from = function!(image, "from", extern "C" fn(u64) -> i64);
        assert_eq!(from(environ - 77), -77, "{flags:?}");
        let kept = function!(image, "kept", extern "C" fn(*mut u64, u64) -> u64);
        let mut room = [0; 4];
        assert_eq!(kept(room.as_mut_ptr(), 2), environ, "{flags:?}");
        assert_eq!(room, [0, 0, environ, 0]);
        // The variable is at a distance, and what it gets is an address in the image, which has to be short.
        let named = call("named");
        assert!(named < 1 << 32, "{named:#x}");
        assert_eq!(
            named,
            peek_u64(process_symbol("optarg").expect("optarg").value())
        );
        assert_eq!(peek_u64(named) as u32, u32::from_le_bytes(*b"own\0"));
        let passed = function!(image, "passed", extern "C" fn(*const ()) -> u64);
        assert_eq!(passed(difference as *const ()), environ - 8, "{flags:?}");
    }
}
