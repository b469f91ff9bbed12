//! Forked children: what they inherit runs, and nothing that they do changes what their parent has.

use crate::support::{call, function, layout, memories};
use codeslab::Request;

/// What a child dies of that writes where it must not.
fn is_fault(status: i32) -> bool {
    [libc::SIGSEGV, libc::SIGBUS].contains(&libc::WTERMSIG(status))
}

#[test]
fn a_forked_child_runs_inherited_code_and_never_changes_its_parents() {
    for (writer, memory) in memories() {
        let (inherited, at) = function(&memory, 11);
        let (mut doomed, doomed_at) = {
            let (allocation, at) = function(&memory, 22);
            (Some(allocation), at)
        };
        let child = unsafe { libc::fork() };
        if child == 0 {
            // No allocation of the test harness's own may fail here, and nothing may unwind.
            let runs = call(at) == 11;
            drop(doomed.take());
            let (layout, _) = layout([16, 0, 0]);
            let refused = matches!(
                memory.allocate(&Request::new(&layout)),
                Err(codeslab::Error::Forked)
            );
            let fresh = crate::support::memory(writer);
            let works = call(function(&fresh, 33).1) == 33;
            unsafe { libc::_exit(i32::from(!(runs && refused && works))) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(
            status, 0,
            "{writer}: inherited code runs, the memory is refused, a new one works"
        );
        assert_eq!(
            (call(at), call(doomed_at)),
            (11, 22),
            "{writer}: what the child frees stays the parent's"
        );
        assert_eq!(call(doomed_at), 22);
        drop(inherited);
    }
}

#[cfg(all(target_os = "linux", not(rehearsal)))]
#[test]
fn a_forked_child_has_no_descriptor_of_its_parents_code_and_cannot_make_it_writable() {
    for (writer, memory) in memories() {
        if !matches!(
            writer,
            codeslab::Writer::DualMapping | codeslab::Writer::FileWrite
        ) {
            // Private memory: the child has a copy of its own.
            continue;
        }
        let (code, at) = function(&memory, 7);
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut target = [0_u8; 64];
            let is_ours = |number: i32| {
                let link = format!("/proc/self/fd/{number}\0");
                let room = target.as_mut_ptr().cast();
                let length = unsafe { libc::readlink(link.as_ptr().cast(), room, target.len()) };
                let name = target
                    .get(..length.max(0).cast_unsigned())
                    .unwrap_or_default();
                name.windows(8).any(|part| part == b"codeslab")
            };
            let inherits = (0..1024).any(is_ours);
            let page = (at.value() & !4095) as *mut libc::c_void;
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let is_writable = unsafe { libc::mprotect(page, 4096, rights) } == 0;
            unsafe { libc::_exit(i32::from(inherits) | i32::from(is_writable) << 1) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 0, "{writer}: {status:#x}");
        // The parent has lost nothing.
        let _more: Vec<_> = (0..100).map(|_| function(&memory, 8)).collect();
        assert_eq!(call(at), 7);
        drop(code);
    }
}

#[test]
fn a_forked_child_cannot_write_to_what_its_parent_is_writing() {
    for (writer, memory) in memories() {
        let (layout, [code, ..]) = layout([crate::support::CODE_BYTES, 0, 0]);
        let mut pending = memory.allocate(&Request::new(&layout)).unwrap();
        pending
            .write(code, 0, &crate::support::return_constant(5))
            .unwrap();
        let at = pending.address(code);
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = pending.write(code, 0, &[0; 6]);
            let is_refused = matches!(refused, Err(codeslab::Error::Forked));
            let stats = memory.stats();
            unsafe {
                libc::_exit(i32::from(
                    !is_refused || stats != codeslab::Stats::default(),
                ))
            };
        }
        let in_place = unsafe { libc::fork() };
        if in_place == 0 {
            // Through the slice there is nobody to refuse it: it faults, or it is a copy of the child's own.
            pending.bytes_mut(code).fill(0);
            unsafe { libc::_exit(0) };
        }
        for child in [child, in_place] {
            let mut status = 0;
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert!(
                status == 0 || (child == in_place && is_fault(status)),
                "{writer}: {status}"
            );
        }
        let _published = pending.finalize().unwrap();
        assert_eq!(call(at), 5, "{writer}");
    }
}
