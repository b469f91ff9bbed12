//! Variables that every thread has its own of, in code that was made for Apple's systems.

use super::{assembled, compiled};
use crate::support::{file, function, link_error, link_files, memory};
use codeslab_link::{Image, LinkOptions};

const DEFINES: &str = "
    _Thread_local int counter = 4;
    static _Thread_local long zeros[1000];
    _Thread_local _Alignas(64) char aligned = 7;
    int next(void) { return ++counter; }
    long add(int i, long n) { return zeros[i] += n; }
    int is_aligned(void) { return ((unsigned long)&aligned & 63) == 0 && aligned == 7; }
    long keep(long a, long b, long c, long d, long e, long f, double u, double v, double w, double x, double y, double z) {
      counter += a;
      zeros[3] += b;
      return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + (long)(u * 7 + v * 8 + w * 9 + x * 10 + y * 11 + z * 12) + counter;
    }
";

const USES: &str = "extern _Thread_local int counter; int *where(void) { return &counter; } int seen(void) { return counter; }";

type Keep = extern "C" fn(i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64) -> i64;

/// What a thread sees of its variables, which no other thread has touched.
fn look(image: &Image) -> usize {
    let keep = function!(image, "keep", Keep);
    // The first access of the thread, between whose registers nothing may get lost.
    let kept = keep(1, 2, 3, 4, 5, 6, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0);
    assert_eq!(
        kept,
        1 + 4 + 9 + 16 + 25 + 36 + 7 + 16 + 27 + 40 + 55 + 72 + 5
    );
    let next = function!(image, "next", extern "C" fn() -> i32);
    let add = function!(image, "add", extern "C" fn(i32, i64) -> i64);
    assert_eq!((next(), next()), (6, 7));
    assert_eq!((add(3, 10), add(999, 5), add(999, 5)), (12, 5, 10));
    assert_eq!(function!(image, "seen", extern "C" fn() -> i32)(), 7);
    assert_eq!(function!(image, "is_aligned", extern "C" fn() -> i32)(), 1);
    function!(image, "where", extern "C" fn() -> usize)()
}

#[test]
fn every_thread_has_variables_of_its_own() {
    let test = "every_thread_has_variables_of_its_own";
    for flags in [&["-O0"][..], &["-O2"]] {
        let (Some(defines), Some(uses)) =
            (compiled(test, DEFINES, flags), compiled(test, USES, flags))
        else {
            return;
        };
        let image = link_files(&memory(), &[("defines.o", &defines), ("uses.o", &uses)]);
        let own = look(&image);
        let others: Vec<usize> = std::thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(|| look(&image)));
            threads
                .map(|thread| thread.join().expect("no panic"))
                .into()
        });
        assert!(!others.contains(&own), "{own:x} {others:x?}");
    }
}

#[test]
fn a_descriptor_that_describes_no_variable_is_refused() {
    let test = "a_descriptor_that_describes_no_variable_is_refused";
    let source = "
        .section __DATA,__thread_vars,thread_local_variables
        .globl _v
        _v: .quad __tlv_bootstrap, 0, _data
        .data
        .globl _data
        _data: .quad 0
    ";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let error = link_error(&[file("it.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "UNKNOWN_RELOCATION", "{error}");
}
