//! C++: what is defined in a header is in every object that uses it, and once in the image.

use crate::support::{Workshop, function, has_cpp, link_files, memory};

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
