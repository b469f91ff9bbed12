//! What the interface for C costs: 256 bytes of code allocated, written, published and freed, through it and without it, in turns.
//!
//! `cargo run --release -p codeslab-capi --example pair`, and `-- PREFIX`, where `install.sh` installed the libraries, for the shared one and
//! for a program of C that is linked with the static one, too.
#![allow(unsafe_code, reason = "the interface is that of C")]

use codeslab::{CodeMemory, Layout, Options, Protection, Request, SharedLibrary};
use codeslab_capi::{
    CODESLAB_LIFETIME_STANDARD, CODESLAB_OK, CODESLAB_READ_EXECUTE, codeslab_allocate,
    codeslab_allocation, codeslab_finalize, codeslab_free, codeslab_in_flight, codeslab_memory,
    codeslab_open, codeslab_options, codeslab_section, codeslab_status, codeslab_window,
};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Lines, Write};
use std::mem::{self, MaybeUninit};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::ptr;
use std::time::Instant;

const BYTES: [u8; 256] = [0xc3; 256];
// Rounds are short, so that what else the machine does meets both alike.
const PAIRS: u32 = 20_000;
const ROUNDS: usize = 401;

/// Nanoseconds for each pair.
fn time(mut pair: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..PAIRS).for_each(|_| pair());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
}

fn in_rust(memory: &CodeMemory) {
    let mut layout = Layout::new();
    let text = layout
        .add(Protection::ReadExecute, 256, 16)
        .expect("a section");
    let mut in_flight = memory.allocate(&Request::new(&layout)).expect("a place");
    in_flight.bytes_mut(text).copy_from_slice(&BYTES);
    in_flight.finalize().expect("published").free();
}

type Open = unsafe extern "C" fn(
    *const codeslab_options,
    Option<&mut MaybeUninit<codeslab_memory>>,
) -> codeslab_status;
type Allocate = unsafe extern "C" fn(
    codeslab_memory,
    *mut codeslab_section,
    usize,
    *const codeslab_window,
    usize,
    Option<&mut MaybeUninit<codeslab_in_flight>>,
) -> codeslab_status;
type Finalize = extern "C" fn(
    codeslab_in_flight,
    Option<&mut MaybeUninit<codeslab_allocation>>,
) -> codeslab_status;
type Free = extern "C" fn(codeslab_allocation) -> codeslab_status;

/// The functions of one copy of the interface, and a memory that it opened.
struct Interface {
    memory: codeslab_memory,
    allocate: Allocate,
    finalize: Finalize,
    free: Free,
    /// Where they are, if that is not this program.
    library: Option<SharedLibrary>,
}

impl Interface {
    fn new(open: Open, allocate: Allocate, finalize: Finalize, free: Free) -> Self {
        let mut memory = MaybeUninit::uninit();
        // SAFETY: null stands for defaults.
        let status = unsafe { open(ptr::null(), Some(&mut memory)) };
        assert_eq!(status, CODESLAB_OK);
        Self {
            // SAFETY: it was opened.
            memory: unsafe { memory.assume_init() },
            allocate,
            finalize,
            free,
            library: None,
        }
    }

    /// What is compiled into this program.
    fn here() -> Self {
        Self::new(
            codeslab_open,
            codeslab_allocate,
            codeslab_finalize,
            codeslab_free,
        )
    }

    /// What a shared library has.
    fn of_library(path: &str) -> Self {
        let library = SharedLibrary::open(path).expect("a shared library");
        let symbol = |name: &str| library.symbol(name).expect("a function").value() as *const ();
        // SAFETY: the library is codeslab's, whose header gives the function this type.
        let open = unsafe { mem::transmute::<*const (), Open>(symbol("codeslab_open")) };
        // SAFETY: the same.
        let allocate =
            unsafe { mem::transmute::<*const (), Allocate>(symbol("codeslab_allocate")) };
        // SAFETY: the same.
        let finalize =
            unsafe { mem::transmute::<*const (), Finalize>(symbol("codeslab_finalize")) };
        // SAFETY: the same.
        let free = unsafe { mem::transmute::<*const (), Free>(symbol("codeslab_free")) };
        Self {
            library: Some(library),
            ..Self::new(open, allocate, finalize, free)
        }
    }
}

fn in_c(interface: &Interface) {
    let mut section = codeslab_section {
        size: 256,
        align: 16,
        protection: CODESLAB_READ_EXECUTE,
        lifetime: CODESLAB_LIFETIME_STANDARD,
        address: 0,
        bytes: ptr::null_mut(),
    };
    let mut in_flight = MaybeUninit::uninit();
    let place = Some(&mut in_flight);
    let (memory, allocate) = (interface.memory, black_box(interface.allocate));
    // SAFETY: there is one section, and there are no windows.
    let status = unsafe { allocate(memory, &raw mut section, 1, ptr::null(), 0, place) };
    assert_eq!(status, CODESLAB_OK);
    // SAFETY: the section is in flight and has as many bytes.
    unsafe { ptr::copy_nonoverlapping(BYTES.as_ptr(), section.bytes.cast(), BYTES.len()) };
    let mut allocation = MaybeUninit::uninit();
    // SAFETY: it was allocated.
    let in_flight = unsafe { in_flight.assume_init() };
    let status = black_box(interface.finalize)(in_flight, Some(&mut allocation));
    assert_eq!(status, CODESLAB_OK);
    // SAFETY: it was published.
    let allocation = unsafe { allocation.assume_init() };
    assert_eq!(black_box(interface.free)(allocation), CODESLAB_OK);
}

/// A program of C that runs a round for each line that it is given.
struct Program {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Compiled with the static library of an installation.
    fn of_library(prefix: &Path) -> Self {
        let program = std::env::temp_dir().join(format!("codeslab-pair-{}", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-O2", "-I"])
            .arg(prefix.join("include"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pair.c"))
            .arg(prefix.join("lib/libcodeslab.a"))
            .args(["-lgcc_s", "-lpthread", "-ldl", "-lm", "-o"])
            .arg(&program)
            .status();
        assert!(compiled.expect("a compiler").success(), "it is compiled");
        let mut child = Command::new(&program)
            .arg(PAIRS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        std::fs::remove_file(program).expect("it was compiled");
        let answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, answers }
    }

    /// Nanoseconds for each pair of a round.
    fn time(&mut self) -> f64 {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("it runs");
        let answer = self.answers.next().expect("it runs").expect("a line");
        answer.parse().expect("a number")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends where its input does.
        let _ = self.child.wait();
    }
}

/// The fastest quarter of rounds is about the code, the others about what else the machine does.
fn quarter(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 4]
}

/// Says what a pair takes in Rust and by `c`, in turns.
fn compare(place: &str, memory: &CodeMemory, mut c: impl FnMut() -> f64) {
    let (mut in_rust_all, mut in_c_all) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        in_rust_all.push(time(|| in_rust(memory)));
        in_c_all.push(c());
    }
    let (rust, c) = (quarter(in_rust_all), quarter(in_c_all));
    let times = c / rust;
    println!("{place}: Rust {rust:.1} ns, C {c:.1} ns, {times:.2} times");
}

fn main() {
    let memory = CodeMemory::new(Options::default()).expect("a memory");
    let here = Interface::here();
    compare("this program", &memory, || time(|| in_c(&here)));
    let Some(prefix) = std::env::args().nth(1) else {
        return;
    };
    let prefix = Path::new(&prefix);
    let path = prefix.join("lib/libcodeslab.so");
    let shared = Interface::of_library(path.to_str().expect("a path of characters"));
    let name = shared.library.as_ref().map_or("", SharedLibrary::name);
    compare(name, &memory, || time(|| in_c(&shared)));
    let mut program = Program::of_library(prefix);
    compare("a program of C, static", &memory, || program.time());
}
