//! Programs by two compilers under many flags: whatever the code assumes, it computes the same.

use super::{CLANG, GCC, GPP, Tool, compiled};
use crate::support::{externals, file, function, link, memory};
use codeslab::Protection;
use codeslab_link::Image;

const PROGRAM: &str = r#"
typedef int (*Operation)(int, int);
static const int squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};
static const char *const words[] = {"zero", "one", "two", "three", "four", "eleven"};
static int counter = 40;
int tallies[64];
int step = 7;
static int add(int a, int b) { return a + b; }
static int subtract(int a, int b) { return a - b; }
Operation operations[] = {add, subtract};
extern int provided(int);
#ifdef LARGE
static int absent(int n) { return -1; }
#else
extern int absent(int) __attribute__((weak));
#endif
extern int elsewhere;
__attribute__((weak)) int replaced(void) { return 1; }
__attribute__((weak)) int kept(void) { return 2; }
__declspec(dllimport) int imported(int);
__declspec(dllimport) extern int imported_data;
int square(int n) { return squares[n & 7]; }
int next(void) { return ++counter; }
int tally(int i) { return tallies[i & 63] += step; }
int first_letter(int n) { return words[n % 6][0]; }
int operate(int which, int a, int b) { return operations[which & 1](a, b); }
int call_provided(int n) { return provided(n) + 1; }
int call_absent(int n) { return absent ? absent(n) : -1; }
int call_imported(int n) { return imported(n) + imported_data; }
int weak_ones(void) { return replaced() * 10 + kept(); }
double blend(double x) { return x * 0.5 + 0.25; }
int read_elsewhere(void) { return elsewhere; }
int classify(int n) {
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
"#;

const OTHER: &str = "int elsewhere = 1234; int replaced(void) { return 9; } int imported_data = 5;";

/// In its large models GCC forgets that a reference is weak.
#[rustfmt::skip]
const FLAGS: &[&[&str]] = &[
    &["-O0"], &["-O2"], &["-O3"], &["-Os"], &["-O2", "-mcmodel=large", "-DLARGE"], &["-O2", "-mcmodel=medium", "-DLARGE"],
    &["-O2", "-ffunction-sections", "-fdata-sections"], &["-O2", "-fcommon"], &["-O2", "-g"],
    &["-O2", "-fno-asynchronous-unwind-tables"],
];

extern "win64" fn provided(n: i32) -> i32 {
    n * 10
}

extern "win64" fn imported(n: i32) -> i32 {
    n + 100
}

fn computes_the_same(test: &str, tool: Tool) {
    let memory = memory();
    let before = memory.stats();
    for flags in FLAGS {
        let Some(program) = compiled(test, tool, "c", PROGRAM, flags) else {
            return;
        };
        let Some(other) = compiled(test, tool, "c", OTHER, flags) else {
            return;
        };
        let inputs = [file("program.obj", &program), file("other.obj", &other)];
        let options = externals(&[
            ("provided", provided as *const () as u64),
            ("imported", imported as *const () as u64),
        ]);
        let image =
            link(&memory, &inputs, &options).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        exercise(&image, flags);
        image.free();
        assert_eq!(memory.stats().used_bytes, before.used_bytes, "{flags:?}");
    }
}

fn exercise(image: &Image, flags: &[&str]) {
    type Unary = extern "win64" fn(i32) -> i32;
    type Nullary = extern "win64" fn() -> i32;
    let unary = |name: &str| function!(image, name, Unary);
    let nullary = |name: &str| function!(image, name, Nullary)();
    assert_eq!(unary("square")(7), 49, "{flags:?}");
    assert_eq!((unary("tally")(3), unary("tally")(3)), (7, 14), "{flags:?}");
    assert_eq!(unary("call_provided")(4), 41, "{flags:?}");
    assert_eq!(unary("call_absent")(4), -1, "{flags:?}");
    assert_eq!(unary("call_imported")(4), 109, "{flags:?}");
    assert_eq!(unary("first_letter")(5), i32::from(b'e'), "{flags:?}");
    let classified: Vec<i32> = (0..7).map(|n| unary("classify")(n)).collect();
    assert_eq!(classified, [3, 25, 17, 14, -4, 99, 0], "{flags:?}");
    assert_eq!((nullary("next"), nullary("next")), (41, 42), "{flags:?}");
    assert_eq!(nullary("read_elsewhere"), 1234, "{flags:?}");
    assert_eq!(nullary("weak_ones"), 92, "{flags:?}");
    let operate = function!(image, "operate", extern "win64" fn(i32, i32, i32) -> i32);
    assert_eq!((operate(0, 5, 3), operate(1, 5, 3)), (8, 2), "{flags:?}");
    let blend = function!(image, "blend", extern "win64" fn(f64) -> f64);
    assert!((blend(3.0) - 1.75).abs() < 1e-12, "{flags:?}");
    let symbol = image.symbol("square").expect("it is global");
    assert_eq!(
        symbol.protection,
        Some(Protection::ReadExecute),
        "{flags:?}"
    );
}

#[test]
fn what_gcc_makes_computes_the_same_under_all_flags() {
    computes_the_same("what_gcc_makes_computes_the_same_under_all_flags", GCC);
}

#[test]
fn what_clang_makes_computes_the_same_under_all_flags() {
    computes_the_same("what_clang_makes_computes_the_same_under_all_flags", CLANG);
}

#[test]
fn constructors_of_gcc_run_by_priority_and_destructors_backwards() {
    let test = "constructors_of_gcc_run_by_priority_and_destructors_backwards";
    let source = "
        extern int *order;
        static void note(int n) { order[0] += 1; order[order[0]] = n; }
        __attribute__((constructor)) static void last(void) { note(3); }
        __attribute__((constructor(200))) static void middle(void) { note(2); }
        __attribute__((constructor(150))) static void first(void) { note(1); }
        __attribute__((destructor)) static void end(void) { note(4); }
        __attribute__((destructor(150))) static void very_end(void) { note(5); }
    ";
    let Some(object) = compiled(test, GCC, "c", source, &["-O1"]) else {
        return;
    };
    let mut order = [0_i32; 8];
    let pointer = order.as_mut_ptr();
    let options = externals(&[("order", &raw const pointer as u64)]);
    let image = link(&memory(), &[file("order.obj", &object)], &options).expect("it links");
    image.free();
    let order: Vec<i32> = order.to_vec();
    assert_eq!(order, [5, 1, 2, 3, 4, 5, 0, 0]);
}

extern "win64" fn seed() -> i32 {
    21
}

#[test]
fn constructors_of_cpp_run_before_the_image_is_used() {
    let test = "constructors_of_cpp_run_before_the_image_is_used";
    let source = "
        extern \"C\" int seed(void);
        struct Made { int value; Made() : value(seed()) {} };
        static Made made;
        template<class T> T twice(T value) { return value * 2; }
        inline int shared(int n) { static int calls; return ++calls + n; }
        extern \"C\" int made_value(void) { return twice(made.value); }
        extern \"C\" int call_shared(int n) { return shared(n); }
    ";
    for tool in [GPP, CLANG] {
        let flags = ["-O1", "-fno-exceptions"];
        let Some(object) = compiled(test, tool, "cpp", source, &flags) else {
            return;
        };
        let options = externals(&[("seed", seed as *const () as u64)]);
        let image = link(&memory(), &[file("made.obj", &object)], &options)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            function!(image, "made_value", extern "win64" fn() -> i32)(),
            42
        );
        let shared = function!(image, "call_shared", extern "win64" fn(i32) -> i32);
        assert_eq!((shared(0), shared(0)), (1, 2));
    }
}

#[test]
fn what_gcc_has_main_call_before_anything_else_is_there() {
    let test = "what_gcc_has_main_call_before_anything_else_is_there";
    let source = "
        static int made;
        __attribute__((constructor)) static void make(void) { made += 40; }
        int main(int count, char **arguments) { return made + count; }
    ";
    let Some(object) = compiled(test, GCC, "c", source, &["-O1"]) else {
        return;
    };
    let image = link(&memory(), &[file("main.o", &object)], &externals(&[]))
        .unwrap_or_else(|error| panic!("{error}"));
    let main = function!(image, "main", extern "win64" fn(i32, *const u8) -> i32);
    assert_eq!(main(2, std::ptr::null()), 42);
}

#[test]
fn a_static_function_at_the_start_of_its_section_is_found_by_its_own_name() {
    let test = "a_static_function_at_the_start_of_its_section_is_found_by_its_own_name";
    let source = "
        static int __attribute__((noinline)) helper(int a) { return a * 3 + 1; }
        int add(int a, int b) { return a + helper(b); }
        unsigned long long where(void) { return (unsigned long long)helper; }
    ";
    for tool in [GCC, CLANG] {
        let Some(object) = compiled(test, tool, "c", source, &["-O1"]) else {
            continue;
        };
        let image = link(&memory(), &[file("add.o", &object)], &externals(&[]))
            .unwrap_or_else(|error| panic!("{error}"));
        let helper = function!(image, "where", extern "win64" fn() -> u64)();
        let helper = codeslab::Address::new(helper);
        let found = image.locate(helper).expect("it lies in the image");
        assert_eq!((found.name.as_str(), found.address), ("helper", helper));
        assert!(found.is_local);
    }
}
