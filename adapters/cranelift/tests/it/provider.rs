//! `cranelift-jit` on a memory provider of ours.

use crate::support::{adding, call, constant, data, declare, jit, memory};
use codeslab_cranelift::codeslab::{
    Address, CodeMemory, Options, Protection, Window, Writer, process_symbol,
};
use codeslab_cranelift::{Error, MemoryProvider};
use cranelift_jit::{BranchProtection, JITMemoryKind, JITMemoryProvider};

fn provider() -> (MemoryProvider, CodeMemory) {
    let provider = MemoryProvider::new().expect("a memory that is written in place");
    let memory = provider.memory().clone();
    (provider, memory)
}

#[test]
fn a_group_is_packed_and_within_reach_of_all_before_it() {
    const GROUPS: i64 = 20;
    const FUNCTIONS: i64 = 500;
    let (provider, memory) = provider();
    let mut module = jit(Some(Box::new(provider)));
    let first = declare(&mut module, "first", 0);
    constant(&mut module, first, 1000);
    module.finalize_definitions().unwrap();
    for group in 0..GROUPS {
        let mut last = first;
        for index in 0..FUNCTIONS {
            let next = declare(&mut module, &format!("f{group}_{index}"), 0);
            adding(&mut module, next, last, 1);
            last = next;
        }
        module.finalize_definitions().unwrap();
        let entry = module.get_finalized_function(last);
        assert_eq!(call(entry), 1000 + FUNCTIONS);
    }
    let stats = memory.stats();
    // A call and an addition, 32 bytes with alignment and frame, and what a group leaves of its last page.
    let most = (GROUPS * FUNCTIONS * 48) as u64 + (GROUPS as u64 + 1) * 4096;
    assert!(
        stats.used_bytes <= most,
        "{} bytes used, not {most}",
        stats.used_bytes
    );
    assert_eq!((stats.in_flight, stats.blocks), (0, 1));
    // SAFETY: nothing of it is executed any more.
    unsafe { module.free_memory() };
    memory.trim();
    let stats = memory.stats();
    assert_eq!((stats.live, stats.committed_bytes), (0, 0));
}

#[test]
fn code_and_constants_cannot_be_written_once_they_are_finalized() {
    let (provider, memory) = provider();
    let mut module = jit(Some(Box::new(provider)));
    let id = declare(&mut module, "f", 0);
    constant(&mut module, id, 1);
    let table = data(&mut module, "table", false, b"table");
    let variable = data(&mut module, "variable", true, b"variable");
    module.finalize_definitions().unwrap();
    let rights = |at: *const u8| {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("this process's mappings");
        let line = maps.lines().find(|line| {
            let (range, _) = line.split_once(' ').expect("a range");
            let (start, end) = range.split_once('-').expect("two addresses");
            let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
            (number(start)..number(end)).contains(&(at as u64))
        });
        line.and_then(|line| line.split(' ').nth(1))
            .map(str::to_owned)
    };
    if cfg!(target_os = "linux") {
        let code = module.get_finalized_function(id);
        assert_eq!(rights(code).as_deref(), Some("r-xp"));
        assert_eq!(
            rights(module.get_finalized_data(table).0).as_deref(),
            Some("r--p")
        );
        assert_eq!(
            rights(module.get_finalized_data(variable).0).as_deref(),
            Some("rw-p")
        );
    }
    let found = memory.find(Address::new(module.get_finalized_function(id) as u64));
    assert_eq!(found.unwrap().protection, Protection::ReadExecute);
    // SAFETY: nothing of it is executed any more.
    unsafe { module.free_memory() };
}

#[test]
fn functions_stay_when_their_module_is_dropped_and_nobody_freed_them() {
    let (provider, memory) = provider();
    let mut module = jit(Some(Box::new(provider)));
    let id = declare(&mut module, "f", 0);
    constant(&mut module, id, 9);
    module.finalize_definitions().unwrap();
    let entry = module.get_finalized_function(id);
    let unfinished = declare(&mut module, "unfinished", 0);
    constant(&mut module, unfinished, 9);
    drop(module);
    assert_eq!(call(entry), 9);
    let stats = memory.stats();
    assert_eq!(
        (stats.live, stats.in_flight),
        (1, 0),
        "what was never finalized is gone"
    );
}

#[test]
fn providers_share_a_memory_near_what_they_call() {
    let memory = memory(Writer::Protect);
    let near = process_symbol("malloc").expect("the process has it");
    let window = Window::around(near, 1 << 31);
    let mut modules = Vec::new();
    for number in 0..10 {
        let provider = MemoryProvider::with_memory(memory.clone(), &[window]).unwrap();
        let mut module = jit(Some(Box::new(provider)));
        let id = declare(&mut module, "f", 0);
        constant(&mut module, id, number);
        module.finalize_definitions().unwrap();
        let entry = module.get_finalized_function(id);
        assert_eq!(call(entry), number);
        assert!(Address::new(entry as u64).distance(near) < 1 << 31);
        modules.push(module);
    }
    assert_eq!(memory.stats().blocks, 1);
    for module in modules {
        // SAFETY: nothing of it is executed any more.
        unsafe { module.free_memory() };
    }
    assert_eq!(memory.stats().used_bytes, 0);
}

#[test]
fn a_memory_that_is_not_written_in_place_is_refused() {
    for writer in [Writer::DualMapping, Writer::FileWrite] {
        let options = Options {
            writer: Some(writer),
            ..Options::default()
        };
        let refused = MemoryProvider::with_options(options.clone()).unwrap_err();
        assert_eq!(refused, Error::NotInPlace { writer });
        let memory = CodeMemory::new(options).unwrap();
        let refused = MemoryProvider::with_memory(memory, &[]).unwrap_err();
        assert_eq!(refused, Error::NotInPlace { writer });
    }
}

#[test]
fn requests_that_cannot_be_met_are_errors_and_leave_nothing() {
    let (mut provider, memory) = provider();
    for (size, align) in [
        (8, 0),
        (8, 3),
        (8, 1 << 40),
        (usize::MAX, 8),
        (usize::MAX / 2, 1),
    ] {
        for _ in 0..2 {
            for kind in [
                JITMemoryKind::Executable,
                JITMemoryKind::ReadOnly,
                JITMemoryKind::Writable,
            ] {
                let refused = provider.allocate(size, align, kind).unwrap_err();
                let error = refused
                    .get_ref()
                    .and_then(|error| error.downcast_ref::<Error>());
                assert!(matches!(error, Some(Error::Memory(_))), "{refused}");
            }
            // The same with a chunk that is open.
            provider.allocate(1, 1, JITMemoryKind::Executable).unwrap();
        }
    }
    provider.finalize(BranchProtection::None).unwrap();
    // SAFETY: nothing was executed.
    unsafe { provider.free_memory() };
    assert_eq!(memory.stats().used_bytes, 0);
}

#[test]
fn every_alignment_is_kept_and_no_two_allocations_overlap() {
    let (mut provider, _memory) = provider();
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for round in 0..3 {
        for align_log2 in 0..13 {
            for size in [1, 7, 64, 5000] {
                let kind = JITMemoryKind::Executable;
                let at = provider.allocate(size + round, 1 << align_log2, kind);
                let at = at.unwrap();
                assert_eq!(at as usize % (1 << align_log2), 0);
                // SAFETY: as many bytes were given, which are not finalized.
                unsafe { at.write_bytes(0x90, size + round) };
                taken.push((at as usize, size + round));
            }
        }
        provider.finalize(BranchProtection::None).unwrap();
    }
    taken.sort_unstable();
    for pair in taken.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{pair:x?}");
    }
    // SAFETY: nothing was executed.
    unsafe { provider.free_memory() };
}

#[test]
fn landing_pads_that_the_memory_was_not_opened_for_are_refused() {
    let (mut provider, memory) = provider();
    provider
        .allocate(16, 16, JITMemoryKind::Executable)
        .unwrap();
    let refused = provider.finalize(BranchProtection::BTI).unwrap_err();
    assert!(
        refused.to_string().contains("branch_protection"),
        "{refused}"
    );
    // Nothing was published, and it still can be.
    assert_eq!(memory.stats().in_flight, 1);
    provider.finalize(BranchProtection::None).unwrap();
    // SAFETY: nothing was executed.
    unsafe { provider.free_memory() };
    let mut provider = MemoryProvider::with_options(Options {
        branch_protection: true,
        ..Options::default()
    })
    .unwrap();
    provider
        .allocate(16, 16, JITMemoryKind::Executable)
        .unwrap();
    provider.finalize(BranchProtection::BTI).unwrap();
    // SAFETY: nothing was executed.
    unsafe { provider.free_memory() };
}
