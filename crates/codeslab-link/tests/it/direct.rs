//! Direct 32-bit references to data that others placed, at the addresses that many processes happen to have.

use crate::support::{
    Workshop, address, externals, file, function, link, link_files, memory, peek_u64, read,
};
use codeslab::process_symbol;
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
