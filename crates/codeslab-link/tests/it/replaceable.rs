//! Functions that are replaced while the image stays.

use crate::support::{Workshop, address, file, function, link, link_error, memory, peek_u64};
use codeslab::Address;
use codeslab_link::{Image, LinkOptions, Replaceable};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

type Unary = unsafe extern "C" fn(i32) -> i32;

const PROGRAM: &str = "
    int step(int x) { return x + 1; }
    int other(int x) { return -x; }
    int twice(int x) { return step(step(x)); }
    int (*pointer)(int) = step;
    int by_pointer(int x) { return pointer(x); }
";
const NEXT: &str = "int other(int); int step(int x) { return x * 10 + other(0); }";

fn call(image: &Image, name: &str, x: i32) -> i32 {
    let function = function!(image, name, Unary);
    #[allow(unsafe_code, reason = "calling what was linked is the point")]
    // SAFETY: it takes and returns a number.
    let result = unsafe { function(x) };
    result
}

fn replace(image: &Image, name: &str, target: Address) -> Option<Address> {
    #[allow(unsafe_code, reason = "replacing what was linked is the point")]
    // SAFETY: targets are functions of the same type in images that the test keeps.
    let before = unsafe { image.replace(name, target) };
    before
}

fn program(replaceable: Replaceable) -> (Workshop, Arc<Image>) {
    let workshop = Workshop::new();
    let flags = ["-O2", "-fPIC", "-fno-inline", "-fno-ipa-cp"];
    let object = workshop.compile("program", PROGRAM, &flags);
    let options = LinkOptions {
        replaceable,
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[file("program.o", &object)], &options);
    (workshop, Arc::new(image.expect("it links")))
}

#[test]
fn a_replaced_function_is_the_new_one_for_calls_pointers_and_other_images() {
    let names = vec!["step".to_owned()];
    for replaceable in [Replaceable::Named(names), Replaceable::All] {
        let (workshop, image) = program(replaceable);
        let (before, pointer) = (
            address(&image, "step"),
            peek_u64(address(&image, "pointer")),
        );
        assert_eq!(before, pointer, "the function has one address");
        assert_eq!(
            (call(&image, "twice", 1), call(&image, "by_pointer", 1)),
            (3, 2)
        );
        let next = workshop.compile("next", NEXT, &["-O2", "-fPIC"]);
        let libraries = LinkOptions {
            libraries: vec![codeslab_link::Input::Loaded(&image)],
            ..LinkOptions::default()
        };
        let next = link(&memory(), &[file("next.o", &next)], &libraries).expect("it links");
        let target = next.address("step").expect("step");
        let original = replace(&image, "step", target).expect("it can be replaced");
        assert_eq!(
            (call(&image, "twice", 1), call(&image, "by_pointer", 1)),
            (100, 10)
        );
        assert_eq!(call(&image, "step", 1), 10);
        assert_eq!(address(&image, "step"), before, "the address stays");
        assert_eq!(replace(&image, "step", original), Some(target));
        assert_eq!(call(&image, "twice", 1), 3);
        replace(&image, "step", target);
        // Its own address leads it back, and not to itself.
        replace(&image, "step", Address::new(before));
        assert_eq!(call(&image, "twice", 1), 3);
        replace(&image, "step", target);
        image.restore();
        assert_eq!(call(&image, "twice", 1), 3);
    }
}

#[test]
fn only_what_was_asked_for_can_be_replaced() {
    let (_workshop, image) = program(Replaceable::Named(vec!["step".to_owned()]));
    assert!(image.is_replaceable("step"));
    for name in ["other", "pointer", "nobody"] {
        assert!(!image.is_replaceable(name), "{name}");
        assert_eq!(replace(&image, name, Address::new(1)), None, "{name}");
    }
    let object = Workshop::new().assemble("data", ".data\n.globl it\nit: .quad 7\n");
    for name in ["it", "nobody"] {
        let options = LinkOptions {
            replaceable: Replaceable::Named(vec![name.to_owned()]),
            ..LinkOptions::default()
        };
        let error = link_error(&[file("data.o", &object)], &options);
        assert_eq!(error.code(), "UNDEFINED_SYMBOL");
        assert!(error.to_string().contains("can be replaced"), "{error}");
    }
}

#[test]
fn threads_that_call_meanwhile_arrive_at_one_or_the_other() {
    let (workshop, image) = program(Replaceable::All);
    let next = workshop.compile("next", "int step(int x) { return x * 10; }", &["-O2"]);
    let next = link(&memory(), &[file("next.o", &next)], &LinkOptions::default());
    let next = next.expect("it links");
    let targets = [next.address("step"), image.address("step")].map(|target| target.expect("step"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let result = call(&image, "step", 1);
                    assert!(matches!(result, 2 | 10), "{result}");
                }
            });
        }
        for target in targets.into_iter().cycle().take(20_000) {
            replace(&image, "step", target);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(call(&image, "step", 1), 2);
}
