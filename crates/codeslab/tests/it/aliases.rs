//! The writable view of code: where it is, what it shows, and who has one at all.

use crate::support::{
    CODE, call, call_all, function, functions, memories, memory, return_constant,
};
use crate::views::mapped_files;
use codeslab::{Address, CodeMemory, Options, Protection, Writer};
use codeslab_testing::{assert_passed, is_child, run_child};

/// Where the byte at `at`, which lies in a memory file, can be written by another address.
fn writable_alias(at: Address) -> Option<u64> {
    let files = mapped_files();
    let mut mapped = files.iter();
    let found = mapped.find(|one| one.addresses.contains(&at.value()))?;
    let byte = found.offset + at.value() - found.addresses.start;
    files.iter().find_map(|view| {
        let shown = view.offset..view.offset + (view.addresses.end - view.addresses.start);
        let is_view = view.is_writable && view.file == found.file && shown.contains(&byte);
        is_view.then(|| view.addresses.start + byte - view.offset)
    })
}

#[test]
fn a_store_through_the_view_changes_code_and_no_other_writer_has_a_view() {
    for (writer, memory) in memories() {
        let (_keep, at) = function(&memory, 1);
        let alias = writable_alias(at);
        assert_eq!(alias.is_some(), writer == Writer::DualMapping, "{writer}");
        if let Some(alias) = alias {
            unsafe { std::ptr::write_volatile(alias as *mut [u8; CODE], return_constant(2)) };
            assert_eq!(call(at), 2);
            memory.trim();
            assert_eq!(writable_alias(at), None, "trimming closes it");
        }
    }
}

#[test]
fn the_view_lies_far_from_code_and_elsewhere_in_each_process() {
    const NAME: &str = "aliases::the_view_lies_far_from_code_and_elsewhere_in_each_process";
    if is_child(NAME) {
        let (_keep, at) = function(&memory(Writer::DualMapping), 1);
        let view = writable_alias(at).expect("the view is open");
        println!("distance {}", view.abs_diff(at.value()));
        return;
    }
    let distances = [(); 3].map(|()| {
        let output = run_child(NAME, "exec \"$@\"", &[]);
        assert_passed(&output);
        let text = String::from_utf8_lossy(&output.stdout);
        let distance = text.lines().find_map(|line| line.split_once("distance "));
        distance
            .expect("it says")
            .1
            .parse::<u64>()
            .expect("a number")
    });
    assert!(distances.iter().all(|one| *one > 1 << 32), "{distances:?}");
    assert!(
        distances.iter().any(|one| *one != distances[0]),
        "{distances:?}"
    );
}

#[test]
fn a_sealed_view_shows_constants_too_and_that_of_file_write_does_not_exist() {
    for writer in [Writer::DualMapping, Writer::FileWrite] {
        let options = Options {
            writer: Some(writer),
            sealed: true,
            ..Options::default()
        };
        let memory = CodeMemory::new(options).expect("it can be sealed");
        let live = functions(&memory, 1, 100);
        let constants = live[0].0.segment_address(Protection::ReadOnly).unwrap();
        let is_shown = [live[0].1, constants].map(|at| writable_alias(at).is_some());
        assert_eq!(is_shown, [writer == Writer::DualMapping; 2], "{writer}");
        call_all(&live, writer);
    }
}

#[test]
fn a_child_that_the_system_call_makes_keeps_the_files_open() {
    for (writer, memory) in memories() {
        let (_keep, _) = function(&memory, 1);
        let flags = libc::c_long::from(libc::SIGCHLD);
        let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
        if child == 0 {
            let is_ours = |number: i32| {
                let mut path = *b"/proc/self/fd/000\0";
                for (index, digit) in [100, 10, 1].into_iter().enumerate() {
                    path[14 + index] = b'0' + (number / digit % 10).unsigned_abs() as u8;
                }
                // Numbers are written there without zeros in front.
                let zeros = path[14..16].iter().take_while(|digit| **digit == b'0');
                let zeros = zeros.count();
                path.copy_within(14 + zeros.., 14);
                let mut target = [0_u8; 32];
                let room = target.as_mut_ptr().cast();
                unsafe { libc::readlink(path.as_ptr().cast(), room, target.len()) };
                target.windows(8).any(|part| part == b"codeslab")
            };
            let has_one = (0..200).any(is_ours);
            unsafe { libc::_exit(i32::from(has_one)) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        let files = matches!(writer, Writer::DualMapping | Writer::FileWrite);
        // Tests beside this one have files of their own.
        assert!(
            !files || libc::WEXITSTATUS(status) == 1,
            "{writer}: {status:#x}"
        );
    }
}
