//! An address space in which the system's next pages are far away from its last: what `cranelift-jit` allocates then is out of reach of
//! itself, which its relocations do not survive ("JIT relocations depend on system allocator behaviour" is its name among Cranelift's
//! issues).

use crate::support::{adding, call, constant, declare, jit, module};
use codeslab_cranelift::MemoryProvider;
use codeslab_cranelift::codeslab::{Error as MemoryError, Options};
use codeslab_testing::{assert_passed, is_child, run_alone};
use cranelift_jit::JITModule;
use cranelift_module::Module;
use std::panic::{AssertUnwindSafe, catch_unwind};

const GIB: usize = 1 << 30;

/// Takes all address space within 8 GiB below and above the system's next pages, so that those after it are far away.
fn tear() {
    let map = |size: usize| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: pages without access at an address that the system chooses.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED, "address space is plenty");
        at as usize
    };
    let wall = map(8 * GIB);
    // Every gap above the wall, the largest first: the system prefers them to what is below.
    let mut size = 4 * GIB;
    while size >= 4096 {
        let at = map(size);
        if at < wall {
            // SAFETY: it was mapped just now and nothing uses it.
            unsafe { libc::munmap(at as *mut libc::c_void, size) };
            size /= 2;
        }
    }
}

/// One function, a torn address space, and one that calls the first: whether that can be finalized, and what it returns.
fn call_across(module: &mut JITModule) -> Option<i64> {
    let first = declare(module, "first", 0);
    constant(module, first, 41);
    module.finalize_definitions().unwrap();
    tear();
    let second = declare(module, "second", 0);
    adding(module, second, first, 1);
    let finalized = catch_unwind(AssertUnwindSafe(|| module.finalize_definitions()));
    finalized.ok()?.unwrap();
    Some(call(module.get_finalized_function(second)))
}

#[test]
fn cranelifts_own_provider_cannot_reach_what_it_compiled_before() {
    const NAME: &str = "torn::cranelifts_own_provider_cannot_reach_what_it_compiled_before";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let result = call_across(&mut jit(None));
    // 64-bit Arm has veneers for calls.
    let expected = cfg!(target_arch = "aarch64").then_some(42);
    assert_eq!(
        result, expected,
        "the default provider is not torn any more"
    );
}

#[test]
fn with_our_provider_it_reaches_it() {
    const NAME: &str = "torn::with_our_provider_it_reaches_it";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let provider = MemoryProvider::new().unwrap();
    assert_eq!(call_across(&mut jit(Some(Box::new(provider)))), Some(42));
}

#[test]
fn a_code_module_reaches_it_and_says_so_when_there_is_no_room_left() {
    const NAME: &str = "torn::a_code_module_reaches_it_and_says_so_when_there_is_no_room_left";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let mut module = module();
    let first = declare(&mut module, "first", 0);
    constant(&mut module, first, 41);
    module.finalize_definitions().unwrap();
    tear();
    let second = declare(&mut module, "second", 0);
    adding(&mut module, second, first, 1);
    module.finalize_definitions().unwrap();
    assert_eq!(call(module.function(second).unwrap()), 42);
    // Data that no gap within reach is large enough for is refused, by name and without a panic.
    let large = module.declare_anonymous_data(true, false).unwrap();
    let mut description = cranelift_module::DataDescription::new();
    description.define_zeroinit(GIB + GIB / 2);
    let refused = module.define_data(large, &description).unwrap_err();
    let cranelift_module::ModuleError::Allocation { err } = &refused else {
        panic!("{refused}");
    };
    let error = err
        .get_ref()
        .and_then(|error| error.downcast_ref::<MemoryError>());
    assert!(
        matches!(
            error,
            Some(MemoryError::OutOfReach { .. } | MemoryError::TooLarge { .. })
        ),
        "{refused}"
    );
    assert_eq!(call(module.function(second).unwrap()), 42);
}

#[test]
fn thousands_of_functions_in_a_torn_address_space_reach_each_other() {
    const NAME: &str = "torn::thousands_of_functions_in_a_torn_address_space_reach_each_other";
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    // Blocks of 64 KiB: many of them, each of which has to be found a place.
    let memory = codeslab_cranelift::codeslab::CodeMemory::new(Options {
        block_size: Some(64 << 10),
        ..Options::default()
    });
    let mut module = crate::support::module_in(memory.unwrap());
    let mut last = declare(&mut module, "f0", 0);
    constant(&mut module, last, 0);
    module.finalize_definitions().unwrap();
    tear();
    for index in 1..5000 {
        let next = declare(&mut module, &format!("f{index}"), 0);
        adding(&mut module, next, last, 1);
        module.finalize_definitions().unwrap();
        last = next;
    }
    assert!(module.memory().stats().blocks > 2);
    assert_eq!(call(module.function(last).unwrap()), 4999);
}
