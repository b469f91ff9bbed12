//! The limits of the system (ulimit), each refused by its name.

use crate::support::{function, layout, memories, memory};
use codeslab::{CodeMemory, Error, Limit, Options, Request, Writer};
use codeslab_testing::{assert_passed, is_child, run_child};

/// Allocates `sizes` of code, constants and data. What was refused?
fn refused_limit(memory: &CodeMemory, sizes: [u64; 3]) -> Option<Limit> {
    let (layout, _) = layout(sizes);
    match memory.allocate(&Request::new(&layout)) {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal.limit),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_limit_on_address_space_shrinks_the_reservation_and_is_named_when_nothing_helps() {
    const NAME: &str =
        "limits::a_limit_on_address_space_shrinks_the_reservation_and_is_named_when_nothing_helps";
    if is_child(NAME) {
        for (writer, memory) in memories() {
            let fits = refused_limit(&memory, [1_000, 0, 0]);
            assert_eq!(fits, None, "{writer}: a smaller reservation does");
            let refused = refused_limit(&memory, [900 << 20, 0, 0]);
            assert_eq!(refused, Some(Limit::AddressSpace), "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -v 400000; exec \"$@\"", &[]));
}

/// Pages that this thread touched for the first time.
fn faults() -> libc::c_long {
    let mut usage = std::mem::MaybeUninit::uninit();
    let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    assert_eq!(answer, 0);
    let usage: libc::rusage = unsafe { usage.assume_init() };
    usage.ru_minflt
}

#[test]
fn a_first_allocation_waits_for_no_page_of_tables_twice() {
    let (layout, _) = layout([64; 3]);
    let place = |memory: &CodeMemory| memory.allocate(&Request::new(&layout)).unwrap();
    // What is there for all memories is there then.
    let first = memory(Writer::FileWrite);
    let _kept = place(&first);
    let taken = || {
        let memory = memory(Writer::FileWrite);
        let before = faults();
        let _kept = place(&memory);
        faults() - before
    };
    // The system may take pages away meanwhile, but not each time.
    let least = (0..5).map(|_| taken()).min();
    // A page that is read first and written then counts twice: that would be 23. Without that there are 12, but where a processor
    // can only write to memory what it has read there.
    let most = if cfg!(target_arch = "x86_64") { 14 } else { 24 };
    assert!(least <= Some(most), "{least:?}");
}

/// Places and calls a function, and says by which writer.
fn place_and_name_the_writer() {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let (_function, at) = function(&memory, 9);
    assert_eq!(crate::support::call(at), 9);
    println!("writer {}", memory.configuration().writer);
}

fn assert_written_by(writer: Writer, output: &std::process::Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("writer {writer}")), "{output:?}");
}

#[test]
fn a_limit_on_file_size_leads_to_smaller_files_and_then_to_another_writer_and_never_to_a_signal() {
    const NAME: &str = "limits::a_limit_on_file_size_leads_to_smaller_files_and_then_to_another_writer_and_never_to_a_signal";
    if is_child(NAME) {
        return place_and_name_the_writer();
    }
    let small = run_child(NAME, "ulimit -f 65536; exec \"$@\"", &[]);
    assert_passed(&small);
    assert_written_by(Writer::DualMapping, &small);
    let little = run_child(NAME, "ulimit -f 1024; exec \"$@\"", &[]);
    assert_written_by(Writer::Protect, &little);
}

#[test]
fn where_no_file_may_have_a_byte_another_writer_is_taken_and_no_signal_comes() {
    const NAME: &str =
        "limits::where_no_file_may_have_a_byte_another_writer_is_taken_and_no_signal_comes";
    if is_child(NAME) {
        return place_and_name_the_writer();
    }
    let none = run_child(NAME, "ulimit -f 0; exec \"$@\" | cat", &[]);
    assert_written_by(Writer::Protect, &none);
}

#[test]
fn a_lack_of_file_descriptors_is_named_where_a_memory_is_opened_and_earlier_ones_go_on() {
    const NAME: &str = "limits::a_lack_of_file_descriptors_is_named_where_a_memory_is_opened_and_earlier_ones_go_on";
    if is_child(NAME) {
        let memories = memories();
        let mut open: Vec<_> =
            std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        let limit = |writer| match CodeMemory::new(Options {
            writer: Some(writer),
            ..Options::default()
        }) {
            Err(Error::Refused(refusal)) => Some(refusal.limit),
            opened => opened.map(|_| None).expect("a refusal"),
        };
        let limits: Vec<_> = memories
            .iter()
            .map(|(writer, memory)| (*writer, limit(*writer), refused_limit(memory, [16, 0, 0])))
            .collect();
        open.clear();
        for (writer, opened, allocated) in limits {
            let needs_files = !matches!(writer, Writer::Protect | Writer::Pkeys);
            let expected = needs_files.then_some(Limit::OpenFiles);
            assert_eq!((opened, allocated), (expected, None), "{writer}");
        }
        for (writer, memory) in memories {
            let stats = memory.stats();
            assert_eq!((stats.live, stats.in_flight), (0, 0), "{writer}");
            assert_eq!(refused_limit(&memory, [16, 0, 0]), None, "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -n 64; exec \"$@\"", &[]));
}

#[test]
fn a_limit_on_private_memory_is_named() {
    const NAME: &str = "limits::a_limit_on_private_memory_is_named";
    if is_child(NAME) {
        for (writer, memory) in memories() {
            let refused = refused_limit(&memory, [16, 0, 400 << 20]);
            assert_eq!(refused, Some(Limit::Data), "{writer}");
        }
        return;
    }
    assert_passed(&run_child(NAME, "ulimit -d 200000; exec \"$@\"", &[]));
}
