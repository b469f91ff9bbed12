//! Functions and data that come and go one by one.

use crate::support::{
    adding, call, constant, data, declare, define, memories, module, module_in, signature,
};
use codeslab_cranelift::codeslab::{Address, CodeMemory, Options, Protection, Quarantine};
use codeslab_cranelift::{CodeModule, Error};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, types};
use cranelift_module::{FuncId, FuncOrDataId, Linkage, Module};
use std::collections::VecDeque;

const COUNT: i64 = 10_000;

/// How many functions live at a time.
const WINDOW: usize = 100;

fn anonymous(module: &mut CodeModule, number: i64) -> FuncId {
    let id = module.declare_anonymous_function(&signature(module, 0));
    let id = id.expect("a signature");
    constant(module, id, number);
    id
}

#[test]
fn ten_thousand_functions_are_defined_called_and_freed_one_by_one() {
    let mut module = module();
    let memory = module.memory().clone();
    let mut living = VecDeque::new();
    let mut most = 0;
    for number in 0..COUNT {
        let id = anonymous(&mut module, number);
        module.finalize_definitions().unwrap();
        let entry = module.function(id).unwrap();
        assert_eq!(call(entry), number);
        living.push_back((id, number));
        if living.len() > WINDOW {
            // The oldest is still what it was.
            let (oldest, number) = living.pop_front().unwrap();
            let entry = module.function(oldest).unwrap();
            assert_eq!(call(entry), number);
            module.free_function(oldest).unwrap();
            assert_eq!(module.function(oldest), None);
        }
        most = most.max(memory.stats().committed_bytes);
    }
    let stats = memory.stats();
    assert_eq!(stats.live, WINDOW as u64);
    assert!(
        most <= 256 << 10,
        "space is used again: {most} bytes committed"
    );
    for (id, _) in living {
        module.free_function(id).unwrap();
    }
    memory.trim();
    let stats = memory.stats();
    assert_eq!(
        (stats.live, stats.used_bytes, stats.committed_bytes),
        (0, 0, 0)
    );
}

#[test]
fn ten_thousand_functions_at_once_are_packed_and_all_of_them_go() {
    for memory in memories() {
        let writer = memory.configuration().writer;
        let mut module = module_in(memory.clone());
        let ids: Vec<_> = (0..COUNT)
            .map(|number| anonymous(&mut module, number))
            .collect();
        module.finalize_definitions().unwrap();
        for (id, number) in ids.iter().zip(0..) {
            assert_eq!(call(module.function(*id).unwrap()), number, "{writer}");
        }
        let used = memory.stats().used_bytes;
        // Where rights change by the page, each function has a page.
        let each = if matches!(writer, codeslab_cranelift::codeslab::Writer::Protect) {
            4096
        } else {
            64
        };
        assert!(used <= each * COUNT as u64, "{writer}: {used} bytes");
        drop(module);
        memory.trim();
        let stats = memory.stats();
        assert_eq!((stats.live, stats.committed_bytes), (0, 0), "{writer}");
    }
}

#[test]
fn what_live_code_refers_to_is_not_freed() {
    let mut module = module();
    let callee = declare(&mut module, "callee", 0);
    let caller = declare(&mut module, "caller", 0);
    constant(&mut module, callee, 1);
    adding(&mut module, caller, callee, 1);
    module.finalize_definitions().unwrap();
    let refused = module.free_function(callee).unwrap_err();
    let expected = Error::Referenced {
        name: "callee".to_owned(),
        by: "caller".to_owned(),
    };
    assert_eq!(refused, expected);
    assert_eq!(call(module.function(caller).unwrap()), 2);
    module.free_function(caller).unwrap();
    module.free_function(callee).unwrap();
    let again = module.free_function(callee).unwrap_err();
    let name = "callee".to_owned();
    assert_eq!(again, Error::NotDefined { name });
}

#[test]
fn what_refers_to_each_other_is_freed_together() {
    let mut module = module();
    let (one, other) = (
        declare(&mut module, "one", 0),
        declare(&mut module, "other", 0),
    );
    let outside = declare(&mut module, "outside", 0);
    adding(&mut module, one, other, 1);
    adding(&mut module, other, one, 1);
    adding(&mut module, outside, other, 1);
    module.finalize_definitions().unwrap();
    let both = [FuncOrDataId::Func(one), FuncOrDataId::Func(other)];
    assert!(matches!(
        module.free_function(one),
        Err(Error::Referenced { .. })
    ));
    let refused = module.free(&both).unwrap_err();
    assert!(
        matches!(refused, Error::Referenced { name, by } if name == "other" && by == "outside")
    );
    module.free_function(outside).unwrap();
    module.free(&[both[0], both[1], both[0]]).unwrap();
    assert_eq!(module.memory().stats().live, 0);
}

#[test]
fn an_id_is_defined_again_after_it_was_freed() {
    let mut module = module();
    let id = declare(&mut module, "f", 0);
    for number in 0..10 {
        constant(&mut module, id, number);
        module.finalize_definitions().unwrap();
        assert_eq!(call(module.function(id).unwrap()), number);
        module.free_function(id).unwrap();
    }
    // Also before it was finalized.
    constant(&mut module, id, 10);
    module.free_function(id).unwrap();
    module.finalize_definitions().unwrap();
    assert_eq!(module.function(id), None);
    assert_eq!(module.memory().stats().used_bytes, 0);
}

#[test]
fn data_is_freed_after_its_readers() {
    let mut module = module();
    let table = data(&mut module, "table", false, &7_i64.to_le_bytes());
    let reader = declare(&mut module, "reader", 0);
    define(&mut module, reader, |builder, module, _| {
        let global = module.declare_data_in_func(table, builder.func);
        let pointer = module.target_config().pointer_type();
        let address = builder.ins().symbol_value(pointer, global);
        builder
            .ins()
            .load(types::I64, MemFlagsData::trusted(), address, 0)
    })
    .unwrap();
    module.finalize_definitions().unwrap();
    let (start, size) = module.data(table).unwrap();
    assert_eq!(size, 8);
    let found = module.memory().find(Address::new(start as u64)).unwrap();
    assert_eq!(found.protection, Protection::ReadOnly);
    assert_eq!(call(module.function(reader).unwrap()), 7);
    assert!(matches!(
        module.free_data(table),
        Err(Error::Referenced { .. })
    ));
    module.free_function(reader).unwrap();
    module.free_data(table).unwrap();
    assert_eq!(module.data(table), None);
}

#[test]
fn freed_code_waits_for_its_grace_period_where_the_memory_has_one() {
    let memory = CodeMemory::new(Options {
        quarantine: Quarantine::Intact,
        ..Options::default()
    });
    let memory = memory.unwrap();
    let mut module = module_in(memory.clone());
    let id = anonymous(&mut module, 5);
    module.finalize_definitions().unwrap();
    let entry = module.function(id).unwrap();
    module.free_function(id).unwrap();
    assert_eq!(call(entry), 5, "a thread may still be in it");
    let period = memory.begin_grace_period();
    memory.end_grace_period(period);
    assert_eq!(memory.find(Address::new(entry as u64)), None);
    assert_eq!(memory.stats().quarantined_bytes, 0);
}

#[test]
fn what_is_missing_can_be_defined_after_it_was_missed() {
    let mut module = module();
    let callee = declare(&mut module, "callee", 0);
    let caller = declare(&mut module, "caller", 0);
    adding(&mut module, caller, callee, 1);
    let missed = module.finalize_definitions().unwrap_err();
    let expected = Error::Undefined {
        name: "callee".to_owned(),
        by: "caller".to_owned(),
    };
    assert_eq!(missed, expected);
    assert_eq!(module.function(caller), None);
    constant(&mut module, callee, 1);
    module.finalize_definitions().unwrap();
    assert_eq!(call(module.function(caller).unwrap()), 2);
}

#[test]
fn a_preemptible_name_that_nothing_defines_is_null() {
    let mut module = module();
    let pointer = module.target_config().pointer_type();
    let missing = module.declare_data("codeslab_is_nowhere", Linkage::Preemptible, false, false);
    let missing = missing.unwrap();
    let id = declare(&mut module, "f", 0);
    define(&mut module, id, |builder, module, _| {
        let global = module.declare_data_in_func(missing, builder.func);
        builder.ins().symbol_value(pointer, global)
    })
    .unwrap();
    module.finalize_definitions().unwrap();
    assert_eq!(call(module.function(id).unwrap()), 0);
}

#[test]
fn modules_in_one_memory_share_its_blocks() {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let mut modules: Vec<_> = (0..50).map(|_| module_in(memory.clone())).collect();
    for (module, number) in modules.iter_mut().zip(0..) {
        let id = anonymous(module, number);
        module.finalize_definitions().unwrap();
        assert_eq!(call(module.function(id).unwrap()), number);
    }
    assert_eq!(memory.stats().blocks, 1);
    modules.truncate(10);
    assert_eq!(memory.stats().live, 10);
    drop(modules);
    assert_eq!(memory.stats().live, 0);
}
