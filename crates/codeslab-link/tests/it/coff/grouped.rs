//! Sections in the order of their names, and the run-time library's tables of functions among them.

use super::{CLANG, assembled, compiled};
use crate::support::{address, externals, file, link, memory, peek};
use codeslab_link::LinkOptions;

#[test]
fn sections_lie_in_the_order_of_what_comes_behind_the_dollar() {
    let test = "sections_lie_in_the_order_of_what_comes_behind_the_dollar";
    let part = |order: &str, name: &str, byte: u8| {
        format!(".section table{order},\"dr\"\n.globl {name}\n{name}: .byte {byte}\n")
    };
    let first = [part("$c", "c", 3), part("$a", "a", 1)].concat();
    let second = [part("$b", "b", 2), part("", "start", 0), part("$z", "z", 9)].concat();
    let Some(first) = assembled(test, &first) else {
        return;
    };
    let second = assembled(test, &second).expect("there is an assembler");
    let inputs = [file("first.obj", &first), file("second.obj", &second)];
    let image = link(&memory(), &inputs, &LinkOptions::default()).expect("it links");
    assert_eq!(peek::<5>(address(&image, "start")), [0, 1, 2, 3, 9]);
}

#[test]
fn functions_in_the_tables_of_the_run_time_library_run_in_their_order() {
    let test = "functions_in_the_tables_of_the_run_time_library_run_in_their_order";
    let source = "
        extern int *order;
        static void note(int n) { order[0] += 1; order[order[0]] = n; }
        static void a(void) { note(1); }
        static void b(void) { note(2); }
        static void c(void) { note(3); }
        static void d(void) { note(4); }
        static void e(void) { note(5); }
        typedef void (*Function)(void);
        __attribute__((section(\".CRT$XCU\"))) Function const c_one = c;
        __attribute__((section(\".CRT$XCL\"))) Function const b_one[2] = {b, 0};
        __attribute__((section(\".CRT$XIU\"))) Function const a_one = a;
        __attribute__((section(\".CRT$XTU\"))) Function const e_one = e;
        __attribute__((section(\".CRT$XPU\"))) Function const d_one = d;
    ";
    let Some(object) = compiled(test, CLANG, "c", source, &["-O1"]) else {
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
