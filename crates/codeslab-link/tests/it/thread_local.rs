//! Thread-local variables: every thread has its own, whichever model the code was compiled for, and they go with the image.

use crate::support::{Workshop, file, function, link_files, memory};
use codeslab_link::{Image, LinkOptions, link};
use std::sync::mpsc;
use std::thread;

type Unary = extern "C" fn(i32) -> i32;

/// Own variables of both kinds, and one of the process.
const PROGRAM: &str = r"
#include <errno.h>
__thread int own = 5;
static __thread int mine;
extern __thread int other;
extern __thread int absent __attribute__((weak));
int probe(int n) { mine += n; own += mine; return own + other; }
int *where(int n) { return n ? &own : &mine; }
int take_errno(void) { int was = errno; errno = 42; return was; }
";

const OTHER: &str = "__thread int other = 1000;";

const MODELS: [&str; 4] = [
    "-ftls-model=global-dynamic",
    "-ftls-model=local-dynamic",
    "-ftls-model=initial-exec",
    "-ftls-model=local-exec",
];

/// Flags under which compilers access thread-local variables in ways of their own.
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
            let inputs = [file("program.o", &program), file("other.o", &other)];
            let image = link(&memory, &inputs, &LinkOptions::default())
                .unwrap_or_else(|error| panic!("{flags:?}: {error}"));
            let probe = function!(image, "probe", Unary);
            assert_eq!((probe(2), probe(2)), (1007, 1011), "{flags:?}");
            let elsewhere = thread::scope(|scope| {
                let thread = scope.spawn(|| (probe(3), probe(3)));
                thread.join().expect("it ends")
            });
            assert_eq!(elsewhere, (1008, 1014), "{flags:?}");
            assert_eq!(probe(0), 1015, "{flags:?}");
        }
    }
}
