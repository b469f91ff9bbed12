//! C++: what is defined in a header is in every object that uses it, and once in the image.

use crate::support::{Workshop, file, function, has_cpp, link, link_files, memory};
use crate::unwinding::load_cpp_runtime;
use codeslab_link::LinkOptions;

const HEADER: &str = r"
#pragma once
#include <cstdint>
using Number = int32_t;

inline Number calls = 0;
inline Number counted(Number n) { calls++; return n; }

template <typename T> struct Total {
    static T sum;
    static T add(T value) { return sum += value; }
};
template <typename T> T Total<T>::sum = 0;

template <Number N> inline Number power(Number base) { return counted(base) * power<N - 1>(base); }
template <> inline Number power<0>(Number) { return 1; }

struct Shape {
    virtual Number area() const { return 0; }
    Number twice() const { return 2 * area(); }
};
struct Square : Shape {
    Number side;
    constexpr Square(Number side) : side(side) {}
    Number area() const override { return side * side; }
};
inline uint64_t address_of_inline() { return (uint64_t)&counted; }
";

const ONE: &str = r#"
#include "shared.hpp"
extern "C" {
Number one(Number n) { return power<3>(n); }
Number add_one(Number n) { return Total<Number>::add(n); }
uint64_t inline_in_one() { return address_of_inline(); }
Number area(const Shape *shape) { return shape->twice(); }
}
"#;

const TWO: &str = r#"
#include "shared.hpp"
extern "C" {
Number area(const Shape *);
Number two(Number n) { return power<2>(n); }
Number add_two(Number n) { return Total<Number>::add(n) + (Number)Total<double>::add(0.5); }
uint64_t inline_in_two() { return address_of_inline(); }
Number called() { return calls; }
Number square(Number side) { Square square(side); return area(&square); }
}
"#;

const FLAGS: &[&[&str]] = &[
    &["-O0"],
    &["-O2"],
    &["-O0", "-fno-pic", "-mcmodel=small"],
    &["-O2", "-fPIC", "-ffunction-sections", "-fdata-sections"],
    &["-O2", "-fno-pic", "-mcmodel=large"],
    &["-O0", "-g", "-fno-gnu-unique"],
];

#[test]
fn inline_functions_templates_and_their_data_are_there_once() {
    if !has_cpp("cpp::inline_functions_templates_and_their_data_are_there_once") {
        return;
    }
    // What these leave out would need the C++ run-time library, which this process does not have.
    let freestanding = ["-std=c++17", "-fno-exceptions", "-fno-rtti"];
    let workshop = Workshop::new();
    std::fs::write(workshop.path("shared.hpp"), HEADER).expect("a writable folder");
    for flags in FLAGS {
        let flags = [&freestanding, *flags].concat();
        let one = workshop.compile_cpp("one", ONE, &flags);
        let two = workshop.compile_cpp("two", TWO, &flags);
        let memory = memory();
        let image = link_files(&memory, &[("one.o", &one), ("two.o", &two)]);
        let call = |name: &str, n: i32| function!(image, name, extern "C" fn(i32) -> i32)(n);
        assert_eq!((call("one", 2), call("two", 5)), (8, 25), "{flags:?}");
        assert_eq!(call("called", 0), 5, "{flags:?}: both count in one place");
        let totals = (call("add_one", 3), call("add_two", 4));
        assert_eq!(totals, (3, 7), "{flags:?}");
        assert_eq!(call("square", 6), 72, "{flags:?}");
        let address = |name: &str| function!(image, name, extern "C" fn() -> u64)();
        assert_eq!(
            address("inline_in_one"),
            address("inline_in_two"),
            "{flags:?}"
        );
    }
}

/// Operators whose memory no others can free. In a file of its own: compilers may inline what they see.
const OPERATORS: &str = r"
#include <cstdlib>
#include <new>
int own = 0;
void *operator new(std::size_t n) { own++; return (char *)malloc(n + 16) + 16; }
void operator delete(void *p) noexcept { own++; if (p) free((char *)p - 16); }
void operator delete(void *p, std::size_t) noexcept { own++; if (p) free((char *)p - 16); }
struct Arena { char bytes[64]; };
void *operator new(std::size_t, Arena &arena) { own += 100; return arena.bytes; }
";

/// Strings: the library allocates for them, and what is inlined here frees.
const STRINGS: &str = r#"
#include <string>
extern int own;
struct Arena { char bytes[64]; };
void *operator new(std::size_t, Arena &);
extern "C" int of_its_own() { Arena arena; int *made = new (arena) int(5); return *made + own; }
extern "C" int grown() {
    std::string all("something that is allocated ");
    for (int i = 0; i < 100; i++) all += "and grows ";
    return (int)all.size() + own;
}
"#;

#[test]
fn what_the_cpp_library_allocates_an_image_frees_though_it_has_operators_of_its_own() {
    if !has_cpp(
        "cpp::what_the_cpp_library_allocates_an_image_frees_though_it_has_operators_of_its_own",
    ) {
        return;
    }
    load_cpp_runtime();
    let workshop = Workshop::new();
    for flags in [&["-O2", "-fPIC"][..], &["-O2", "-fno-pic"], &["-O0"]] {
        let operators = workshop.compile_cpp("operators", OPERATORS, flags);
        let strings = workshop.compile_cpp("strings", STRINGS, flags);
        let files = [("operators.o", &operators[..]), ("strings.o", &strings)];
        let image = link_files(&memory(), &files);
        let grown = function!(image, "grown", extern "C" fn() -> i32);
        // The process's are called: it has one of each, as where the dynamic linker loads.
        assert_eq!(grown(), 28 + 1000, "{flags:?}");
        let placed = function!(image, "of_its_own", extern "C" fn() -> i32);
        assert_eq!(placed(), 105, "{flags:?}: no other has this one");
    }
}

#[test]
fn operators_new_and_delete_stay_an_images_own_where_they_are_hidden_given_or_alone() {
    let test =
        "cpp::operators_new_and_delete_stay_an_images_own_where_they_are_hidden_given_or_alone";
    if !has_cpp(test) {
        return;
    }
    load_cpp_runtime();
    let source = r#"
        typedef __SIZE_TYPE__ size;
        static char room[64];
        void *operator new(size) { return room; }
        #if HIDDEN // Compilers take no attribute here: every program may replace the operator.
        asm(".hidden _Znwm");
        #endif
        extern "C" int is_own() { int *made = new int(3); return (char *)made == room; }"#;
    let workshop = Workshop::new();
    let shown = workshop.compile_cpp("shown", source, &["-O0"]);
    let hidden = workshop.compile_cpp("hidden", source, &["-O0", "-DHIDDEN"]);
    let alone = LinkOptions {
        process_symbols: false,
        ..LinkOptions::default()
    };
    let given = LinkOptions {
        externals: [("_Znwm".to_owned(), codeslab::Address::new(64))].into(),
        ..LinkOptions::default()
    };
    let rooted = LinkOptions {
        roots: vec!["_Znwm".to_owned(), "is_own".to_owned()],
        ..LinkOptions::default()
    };
    let usual = LinkOptions::default();
    let cases = [
        (&shown, &usual, 0),
        (&hidden, &usual, 1),
        (&shown, &alone, 1),
        (&shown, &given, 1),
        (&shown, &rooted, 1),
    ];
    for (number, (object, options, expected)) in cases.into_iter().enumerate() {
        let image = link(&memory(), &[file("own.o", object)], options);
        let image = image.unwrap_or_else(|error| panic!("{error}"));
        let is_own = function!(image, "is_own", extern "C" fn() -> i32);
        assert_eq!(is_own(), expected, "case {number}");
    }
}
