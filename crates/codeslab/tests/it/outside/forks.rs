//! Forks at every point of an allocation's life: the child runs what it inherited and is refused all else, the parent sees nothing of it.

use super::with_each_writer;
use crate::support::{call, function, layout, memory, return_constant};
use codeslab::{Address, CodeMemory, Error, InFlightAllocation, Layout, Request, Writer};
use std::sync::atomic::{AtomicBool, Ordering};

/// Who makes the child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// The C library's `fork`, which runs what libraries have registered for it.
    Library,
    /// The system call itself.
    System,
}

/// Forks, and ends the child with 0 if `act` returns true there. A child that hangs ends with SIGALRM.
fn fork(by: By, act: impl FnOnce() -> bool) -> i32 {
    let child = match by {
        By::Library => unsafe { libc::fork() },
        By::System => {
            let flags = libc::c_long::from(libc::SIGCHLD);
            unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) as i32 }
        }
    };
    if child == 0 {
        unsafe { libc::alarm(60) };
        let is_right = act();
        unsafe { libc::_exit(i32::from(!is_right)) };
    }
    assert!(child > 0, "{}", std::io::Error::last_os_error());
    let mut status = 0;
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {}
    status
}

/// What the child of every fork can look at.
struct Inherited<'m> {
    memory: &'m CodeMemory,
    at: Address,
    layout: Layout,
}

impl Inherited<'_> {
    /// Inherited code runs, and the memory is refused. Takes no memory: another thread may have had the C library's lock.
    fn is_right(&self) -> bool {
        let refused = self.memory.allocate(&Request::new(&self.layout));
        call(self.at) == 11 && matches!(refused, Err(Error::Forked))
    }

    /// The same, and a memory that the child opens works.
    fn is_right_with_a_new_one(&self, writer: Writer, by: By) -> bool {
        self.is_right() && (by == By::System || call(function(&memory(writer), 33).1) == 33)
    }
}

/// Forks at every point of one life, and expects each child to be right and the parent to see nothing of it.
fn one_life(writer: Writer, by: By) {
    let memory = memory(writer);
    let (_keep, at) = function(&memory, 11);
    let (layout, [code, ..]) = layout([crate::support::CODE_BYTES, 40, 40]);
    let inherited = Inherited {
        memory: &memory,
        at,
        layout: layout.clone(),
    };
    let fork_at = |point: &str, in_flight: Option<&mut InFlightAllocation>| {
        let status = fork(by, || {
            let refused = in_flight.map(|in_flight| in_flight.write(code, 0, &[0; 6]));
            inherited.is_right_with_a_new_one(writer, by)
                && matches!(refused, None | Some(Err(Error::Forked)))
        });
        assert_eq!(status, 0, "{writer} {by:?}: {point}");
    };
    fork_at("before", None);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    fork_at("placed", Some(&mut in_flight));
    in_flight.write(code, 0, &return_constant(22)).unwrap();
    fork_at("written", Some(&mut in_flight));
    let at = in_flight.address(code);
    let allocation = in_flight.finalize().unwrap();
    fork_at("published", None);
    assert_eq!(call(at), 22, "{writer} {by:?}");
    allocation.free();
    fork_at("freed", None);
    assert_eq!(call(inherited.at), 11, "{writer} {by:?}");
    let (_more, at) = function(&memory, 44);
    assert_eq!(call(at), 44, "{writer} {by:?}");
}

/// Forks while another thread places, writes, publishes and frees, wherever it just is.
fn beside_another_thread(writer: Writer, by: By) {
    let memory = memory(writer);
    let (_keep, at) = function(&memory, 11);
    let (layout, _) = layout([crate::support::CODE_BYTES, 40, 40]);
    let inherited = Inherited {
        memory: &memory,
        at,
        layout,
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (other, done) = (&memory, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let (allocation, at) = function(other, 5);
                assert_eq!(call(at), 5);
                allocation.free();
            }
        });
        for round in 0..30 {
            let status = fork(by, || inherited.is_right());
            // Before the assertion, so that the other thread ends.
            done.store(status != 0 || round == 29, Ordering::Relaxed);
            assert_eq!(status, 0, "{writer} {by:?}");
        }
    });
    assert_eq!(call(inherited.at), 11, "{writer} {by:?}");
}

#[test]
fn forks_of_the_c_library_at_every_point_are_right() {
    const NAME: &str = "outside::forks::forks_of_the_c_library_at_every_point_are_right";
    with_each_writer(NAME, "`fork`, at every point", |writer| {
        one_life(writer, By::Library);
        "passes".to_owned()
    });
}

#[test]
fn forks_by_the_system_call_at_every_point_are_right() {
    const NAME: &str = "outside::forks::forks_by_the_system_call_at_every_point_are_right";
    with_each_writer(NAME, "the system call, at every point", |writer| {
        one_life(writer, By::System);
        "passes".to_owned()
    });
}

#[test]
fn forks_while_another_thread_works_are_right() {
    const NAME: &str = "outside::forks::forks_while_another_thread_works_are_right";
    with_each_writer(
        NAME,
        "`fork` and the system call, beside a thread that works",
        |writer| {
            for by in [By::Library, By::System] {
                // What stands for the kernel of macOS there has a lock, which only the library's forks take before they fork.
                if by == By::System && cfg!(rehearsal) {
                    continue;
                }
                beside_another_thread(writer, by);
            }
            "passes".to_owned()
        },
    );
}
