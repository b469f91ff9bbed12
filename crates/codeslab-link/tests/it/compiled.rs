//! One program under many compiler flags: whatever the code assumes about distances, it computes the same.

use crate::support::{Workshop, externals, file, function, link, memory};
use codeslab::Protection;
use codeslab_link::{Image, LinkOptions};

const PROGRAM: &str = r#"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int32_t (*Operation)(int32_t, int32_t);

static const int32_t squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};
static const char *const words[] = {"zero", "one", "two", "three", "four", "eleven"};
static int32_t counter = 40;
int32_t tallies[64];
int32_t step = 7;

static int32_t add(int32_t a, int32_t b) { return a + b; }
static int32_t subtract(int32_t a, int32_t b) { return a - b; }
Operation operations[] = {add, subtract};

extern int32_t provided(int32_t);
extern int32_t absent(int32_t) __attribute__((weak));
extern int32_t elsewhere;

int32_t square(int32_t n) { return squares[n & 7]; }
int32_t next(void) { return ++counter; }
int32_t tally(int32_t i) { return tallies[i & 63] += step; }
size_t word_length(int32_t n) { return strlen(words[n % 6]); }
int32_t operate(int32_t which, int32_t a, int32_t b) { return operations[which & 1](a, b); }
int32_t call_provided(int32_t n) { return provided(n) + 1; }
int32_t call_absent(int32_t n) { return absent ? absent(n) : -1; }
double blend(double x) { return x * 0.5 + 0.25; }
int32_t read_elsewhere(void) { return elsewhere; }
int32_t classify(int32_t n) {
    switch (n) {
    case 0: return 3;
    case 1: return square(5);
    case 2: return 17;
    case 3: return step * 2;
    case 4: return -4;
    case 5: return 99;
    default: return 0;
    }
}
void copy(char *to, const char *from, size_t size) { memcpy(to, from, size); }
"#;

const OTHER: &str = "int elsewhere = 1234;";

const FLAGS: &[&[&str]] = &[
    &["-O0"],
    &["-O2"],
    &["-O3"],
    &["-Os"],
    &["-O0", "-fPIC"],
    &["-O2", "-fPIC"],
    &["-O2", "-fPIC", "-fno-plt"],
    &["-O2", "-fPIC", "-fno-plt", "-Wa,-mrelax-relocations=no"],
    &["-O0", "-fno-pic"],
    &["-O2", "-fno-pic", "-mcmodel=small"],
    &["-O2", "-fno-pic", "-mcmodel=medium"],
    &["-O2", "-fno-pic", "-mcmodel=large"],
    &["-O2", "-fPIC", "-mcmodel=medium"],
    &["-O2", "-fPIC", "-mcmodel=large"],
    &["-O2", "-ffunction-sections", "-fdata-sections"],
    &["-O2", "-fcommon"],
    &["-O2", "-fno-asynchronous-unwind-tables"],
    &["-O2", "-g3"],
    &["-O2", "-fcf-protection=full"],
    &["-O2", "-fvisibility=hidden"],
];

extern "C" fn provided(n: i32) -> i32 {
    n * 10
}

#[test]
fn computes_the_same_under_all_flags() {
    let memory = memory();
    let before = memory.stats();
    let workshop = Workshop::new();
    for flags in FLAGS {
        let program = workshop.compile("program", PROGRAM, flags);
        let other = workshop.compile("other", OTHER, flags);
        let inputs = [file("program.o", &program), file("other.o", &other)];
        let options = externals(&[("provided", provided as *const () as u64)]);
        let image =
            link(&memory, &inputs, &options).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        exercise(&image, flags);
        image.free();
        assert_eq!(memory.stats().used_bytes, before.used_bytes, "{flags:?}");
        assert_eq!(memory.stats().live, 0, "{flags:?}");
    }
}

fn exercise(image: &Image, flags: &[&str]) {
    type Unary = extern "C" fn(i32) -> i32;
    let unary = |name: &str| function!(image, name, Unary);
    assert_eq!(unary("square")(7), 49, "{flags:?}");
    assert_eq!(unary("tally")(3), 7, "{flags:?}");
    assert_eq!(unary("tally")(3), 14, "{flags:?}");
    assert_eq!(unary("call_provided")(4), 41, "{flags:?}");
    assert_eq!(unary("call_absent")(4), -1, "{flags:?}");
    let classify = unary("classify");
    let classified: Vec<i32> = (0..7).map(|n| classify(n)).collect();
    assert_eq!(classified, [3, 25, 17, 14, -4, 99, 0], "{flags:?}");
    let next = function!(image, "next", extern "C" fn() -> i32);
    assert_eq!((next(), next()), (41, 42), "{flags:?}");
    let word_length = function!(image, "word_length", extern "C" fn(i32) -> usize);
    assert_eq!((word_length(3), word_length(5)), (5, 6), "{flags:?}");
    let operate = function!(image, "operate", extern "C" fn(i32, i32, i32) -> i32);
    assert_eq!((operate(0, 9, 4), operate(1, 9, 4)), (13, 5), "{flags:?}");
    let blend = function!(image, "blend", extern "C" fn(f64) -> f64);
    assert_eq!(blend(3.0).to_bits(), 1.75_f64.to_bits(), "{flags:?}");
    let read_elsewhere = function!(image, "read_elsewhere", extern "C" fn() -> i32);
    assert_eq!(read_elsewhere(), 1234, "{flags:?}");
    let copy = function!(image, "copy", extern "C" fn(*mut u8, *const u8, usize));
    let mut copied = [0; 5];
    copy(copied.as_mut_ptr(), b"bytes".as_ptr(), 5);
    assert_eq!(&copied, b"bytes", "{flags:?}");
}

#[test]
fn symbols_say_what_they_lie_in_and_who_defines_them() {
    let memory = memory();
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &["-O2"]);
    let other = workshop.compile("other", OTHER, &["-O2"]);
    let inputs = [file("program.o", &program), file("other.o", &other)];
    let options = externals(&[("provided", provided as *const () as u64)]);
    let image = link(&memory, &inputs, &options).expect("it links");
    let protection = |name| image.symbol(name).expect(name).protection;
    assert_eq!(protection("square"), Some(Protection::ReadExecute));
    assert_eq!(protection("step"), Some(Protection::ReadWrite));
    assert_eq!(protection("tallies"), Some(Protection::ReadWrite));
    assert_eq!(image.symbol("tallies").expect("tallies").size, 256);
    assert_eq!(
        &*image.symbol("elsewhere").expect("elsewhere").object,
        "other.o"
    );
    for unexported in [
        "counter", "squares", "add", "strlen", "absent", "provided", "",
    ] {
        assert_eq!(image.symbol(unexported), None, "{unexported}");
    }
    let names: Vec<&str> = image.symbols().map(|symbol| symbol.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), 15, "{names:?}");
}

#[test]
fn constants_that_hold_addresses_are_read_only() {
    let workshop = Workshop::new();
    let source = "extern int target; int *const table[] = {&target}; int target = 5;";
    let object = workshop.compile("table", source, &["-O2", "-fPIC"]);
    let memory = memory();
    let image = link(
        &memory,
        &[file("table.o", &object)],
        &LinkOptions::default(),
    )
    .expect("it links");
    let table = image.symbol("table").expect("table");
    assert_eq!(table.protection, Some(Protection::ReadOnly));
    let target = crate::support::address(&image, "target");
    assert_eq!(crate::support::peek_u64(table.address.value()), target);
}
