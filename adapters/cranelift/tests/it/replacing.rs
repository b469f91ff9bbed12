//! Functions that are defined again while they are defined.

use crate::support::{adding, call, constant, declare, module};
use codeslab_cranelift::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn calls_arrive_in_the_newest_definition_at_the_same_address() {
    let mut module = module();
    let callee = declare(&mut module, "callee", 0);
    let caller = declare(&mut module, "caller", 0);
    module.make_replaceable(callee).unwrap();
    constant(&mut module, callee, 1);
    adding(&mut module, caller, callee, 100);
    module.finalize_definitions().unwrap();
    let entry = module.function(callee).unwrap();
    for number in 2..10 {
        constant(&mut module, callee, number);
        assert_eq!(call(entry), number - 1, "not before it is finalized");
        module.finalize_definitions().unwrap();
        assert_eq!(module.function(callee), Some(entry));
        assert_eq!(call(entry), number);
        assert_eq!(call(module.function(caller).unwrap()), number + 100);
    }
    // The slot, the newest code, the caller, and what was replaced.
    assert_eq!(module.memory().stats().live, 3 + 8);
    assert_eq!(module.free_replaced(), 8);
    assert_eq!(module.memory().stats().live, 3);
    assert_eq!(call(entry), 9);
    assert!(matches!(
        module.free_function(callee),
        Err(Error::Referenced { .. })
    ));
    module.free_function(caller).unwrap();
    module.free_function(callee).unwrap();
    assert_eq!(module.memory().stats().live, 0, "the slot is gone");
}

#[test]
fn threads_run_a_function_while_it_is_replaced() {
    let mut module = module();
    let id = declare(&mut module, "f", 0);
    module.make_replaceable(id).unwrap();
    constant(&mut module, id, 0);
    module.finalize_definitions().unwrap();
    let entry = module.function(id).unwrap() as usize;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..2 {
            threads.push(scope.spawn(|| {
                let (mut last, mut changes) = (0, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let number = call(std::ptr::with_exposed_provenance(entry));
                    assert!(number >= last, "{number} after {last}");
                    changes += u64::from(number > last);
                    last = number;
                }
                (last, changes)
            }));
        }
        for number in 1..=500 {
            constant(&mut module, id, number);
            module.finalize_definitions().unwrap();
        }
        while call(std::ptr::with_exposed_provenance(entry)) < 500 {}
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            let (last, changes) = thread.join().unwrap();
            assert!(
                changes > 0 && last > 0,
                "it saw {changes} of them, {last} last"
            );
        }
    });
    assert_eq!(module.free_replaced(), 500);
    assert_eq!(call(std::ptr::with_exposed_provenance(entry)), 500);
}

#[test]
fn what_replaced_code_refers_to_stays_as_long_as_that() {
    let mut module = module();
    let callee = declare(&mut module, "callee", 0);
    let caller = declare(&mut module, "caller", 0);
    module.make_replaceable(caller).unwrap();
    constant(&mut module, callee, 1);
    adding(&mut module, caller, callee, 1);
    module.finalize_definitions().unwrap();
    constant(&mut module, caller, 7);
    module.finalize_definitions().unwrap();
    let refused = module.free_function(callee).unwrap_err();
    assert!(
        matches!(&refused, Error::Referenced { by, .. } if by.contains("caller")),
        "{refused}"
    );
    assert_eq!(module.free_replaced(), 1);
    module.free_function(callee).unwrap();
    assert_eq!(call(module.function(caller).unwrap()), 7);
}

#[test]
fn only_what_is_not_defined_yet_can_be_made_replaceable() {
    let mut module = module();
    let id = declare(&mut module, "f", 0);
    constant(&mut module, id, 1);
    for _ in 0..2 {
        let name = "f".to_owned();
        let refused = module.make_replaceable(id);
        assert_eq!(refused, Err(Error::Defined { name }));
        module.finalize_definitions().unwrap();
    }
    module.free_function(id).unwrap();
    module.make_replaceable(id).unwrap();
    for number in [2, 3] {
        constant(&mut module, id, number);
        module.finalize_definitions().unwrap();
        assert_eq!(call(module.function(id).unwrap()), number);
    }
}
