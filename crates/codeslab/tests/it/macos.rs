//! macOS, or Linux with its port: which writers there are, and that everything goes back. What only the port can do is tried in its own folder.

use crate::support::{call_all, functions, memories, memory};
use codeslab::{CodeMemory, Options, Stats, Writer};

#[test]
fn writers_that_macos_lacks_are_told_and_the_first_that_works_is_used() {
    let status = codeslab::capabilities().unwrap().writers;
    let available: Vec<_> = status
        .iter()
        .filter(|status| status.unavailable.is_none())
        .map(|status| status.writer)
        .collect();
    for lacking in [Writer::SelfMem, Writer::Pkeys] {
        assert!(!available.contains(&lacking), "{lacking}");
    }
    assert!(available.contains(&Writer::MapJit), "{status:?}");
    let used = CodeMemory::new(Options::default()).unwrap();
    assert_eq!(used.configuration().writer, available[0]);
}

#[test]
fn eight_threads_that_place_call_and_free_end_where_they_began() {
    for (writer, memory) in memories() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let placed = functions(&memory, 10, 64);
                        call_all(&placed, writer);
                    }
                });
            }
        });
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
    }
}

#[test]
fn a_memory_with_map_jit_and_one_without_work_side_by_side() {
    let first = memory(Writer::MapJit);
    let kept = functions(&first, 20, 64);
    for (writer, second) in memories() {
        let others = functions(&second, 20, 64);
        call_all(&others, writer);
        call_all(&kept, Writer::MapJit);
    }
}
