//! What compilers make for Apple's systems, executed here.

use super::compiled;
use crate::support::{function, link_files, memory};

const PROGRAM: &str = r#"
typedef unsigned long size_t;
int printed;
static int private_counter = 3;
const char *const names[] = {"zero", "one", "two", "three"};
struct point { double x, y; };
static const double weights[4] = {0.5, 0.25, 2.0, 8.0};
int tentative;
int zeros[1000];

__attribute__((noinline)) static int compare(int a, int b) { return a < b ? -1 : a > b; }
int (*comparison)(int, int) = compare;

void sort(int *all, int count) {
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0 && comparison(all[j - 1], all[j]) > 0; j--) {
      int t = all[j]; all[j] = all[j - 1]; all[j - 1] = t;
    }
}
int median(int a, int b, int c) { int all[3] = {a, b, c}; sort(all, 3); return all[1]; }
char letter(int n, int at) { return names[n][at]; }
double weigh(int n, double x) { return weights[n] * x + 1.5; }
int count(void) { zeros[999]++; tentative += 2; return ++private_counter + zeros[999] + tentative; }
int choose(int n) {
  switch (n) {
    case 0: return 11; case 1: printed++; return 7; case 2: return printed; case 3: return 90 - printed;
    case 4: return letter(2, 1); case 5: return 3; case 9: return -1; default: return 1000;
  }
}
struct point turn(struct point p) { struct point q = {-p.y, p.x}; return q; }
double turned(double x, double y) { struct point p = {x, y}; p = turn(p); return p.x * 100 + p.y; }
"#;

/// Flags that one of the machines alone has.
const OF_THE_MACHINE: [&[&str]; 2] = if cfg!(target_arch = "aarch64") {
    [&["-O2", "-mcpu=apple-m1"], &["-O1", "-ffixed-x18"]]
} else {
    [&["-O1", "-mcmodel=large"], &["-O1", "-mno-red-zone"]]
};

#[test]
fn c_of_every_kind_of_code_runs() {
    let flags = [
        &["-O0"][..],
        &["-O2"],
        &["-Os", "-fno-common"],
        &["-O2", "-g"],
        &["-O1", "-fcommon"],
    ];
    for flags in flags.into_iter().chain(OF_THE_MACHINE) {
        let Some(object) = compiled("c_of_every_kind_of_code_runs", PROGRAM, flags) else {
            return;
        };
        let image = link_files(&memory(), &[("program.o", &object)]);
        let median = function!(image, "median", extern "C" fn(i32, i32, i32) -> i32);
        assert_eq!((median(3, 9, 5), median(-1, -1, 2)), (5, -1), "{flags:?}");
        let letter = function!(image, "letter", extern "C" fn(i32, i32) -> u8);
        assert_eq!((letter(3, 0), letter(0, 3)), (b't', b'o'), "{flags:?}");
        let weigh = function!(image, "weigh", extern "C" fn(i32, f64) -> f64);
        let weighed = [weigh(1, 2.0), weigh(3, 1.0)].map(f64::to_bits);
        assert_eq!(weighed, [2.0, 9.5].map(f64::to_bits), "{flags:?}");
        let count = function!(image, "count", extern "C" fn() -> i32);
        assert_eq!((count(), count()), (7, 11), "{flags:?}");
        let choose = function!(image, "choose", extern "C" fn(i32) -> i32);
        let chosen = [0, 1, 2, 3, 4, 9, 77].map(|n| choose(n));
        assert_eq!(chosen, [11, 7, 1, 89, 119, -1, 1000], "{flags:?}");
        let turned = function!(image, "turned", extern "C" fn(f64, f64) -> f64);
        assert_eq!(
            turned(3.0, 2.0).to_bits(),
            (-197.0_f64).to_bits(),
            "{flags:?}"
        );
    }
}

#[test]
fn constructors_run_in_their_order_and_destructors_at_the_end() {
    let source = "
        static int order;
        static int *last;
        __attribute__((constructor)) static void first(void) { order = order * 10 + 1; }
        __attribute__((constructor)) static void second(void) { order = order * 10 + 2; }
        __attribute__((destructor)) static void end(void) { if (last) *last = order * 10 + 3; }
        void watch(int *at) { last = at; *at = order; }
    ";
    let test = "constructors_run_in_their_order_and_destructors_at_the_end";
    let Some(object) = compiled(test, source, &["-O1"]) else {
        return;
    };
    let image = link_files(&memory(), &[("order.o", &object)]);
    let mut seen = 0;
    function!(image, "watch", extern "C" fn(*mut i32))(&raw mut seen);
    assert_eq!(std::hint::black_box(seen), 12);
    image.free();
    assert_eq!(std::hint::black_box(seen), 123);
}
