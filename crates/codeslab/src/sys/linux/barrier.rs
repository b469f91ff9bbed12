//! Barriers that one thread has all threads of the process execute. <https://man7.org/linux/man-pages/man2/membarrier.2.html>
//!
//! A process registers for each kind before it uses it, once. That costs nothing while it has one thread; later the kernel waits for all
//! processors, 6 to 15 ms. So a process that has threads already is registered when a barrier is refused: most never need one. It is the same
//! in a forked child, of which it is not said anywhere whether it is registered as its parent was.

use super::super::arch::{Native, Processor};
use super::super::dynamic_linker;

/// What the process can have all of its threads do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barriers {
    memory: bool,
    instructions: bool,
}

impl Barriers {
    /// Asks what there is, of what this processor takes, and registers for it if that costs nothing.
    pub(super) fn prepare() -> Self {
        let known = membarrier(QUERY);
        let is_alone = is_single_threaded();
        let prepare = |command: Command| command.is_in(known) && (!is_alone || command.register());
        Self {
            memory: prepare(Command::Memory),
            instructions: Native::FETCHES_AHEAD_OF_OTHERS && prepare(Command::Instructions),
        }
    }

    /// Whether [`Barriers::memory`] does anything.
    pub(super) const fn has_memory(self) -> bool {
        self.memory
    }

    /// Every thread executes a full memory barrier.
    pub(super) fn memory(self) {
        if self.memory {
            Command::Memory.execute();
        }
    }

    /// Every thread drops the instructions that its processor fetched ahead, where processors do not notice by themselves. Kernels before
    /// 4.16 have no such thing; there, a thread that is told of code by a lock or the like usually has passed a barrier by then.
    pub(super) fn instructions(self) {
        if self.instructions {
            Command::Instructions.execute();
        }
    }
}

/// Commands of membarrier: `PRIVATE_EXPEDITED` (Linux 4.14) and `PRIVATE_EXPEDITED_SYNC_CORE` (Linux 4.16). The one that registers for
/// a command is the next bit.
#[derive(Clone, Copy, Debug)]
enum Command {
    Memory = 1 << 3,
    Instructions = 1 << 5,
}

/// Says which commands there are, as the sum of their numbers.
const QUERY: i32 = 0;
/// As `PRIVATE_EXPEDITED`, without registering, for all of the system and slowly.
const GLOBAL: i32 = 1;

impl Command {
    const fn registering(self) -> i32 {
        (self as i32) << 1
    }

    /// Whether it and its registering are among `known` commands.
    const fn is_in(self, known: libc::c_long) -> bool {
        let both = (self as i32 | self.registering()) as libc::c_long;
        known > 0 && known & both == both
    }

    fn register(self) -> bool {
        membarrier(self.registering()) == 0
    }

    fn execute(self) {
        let is_done = || membarrier(self as i32) == 0;
        if is_done() {
            return;
        }
        self.register();
        if !is_done() {
            membarrier(GLOBAL);
        }
    }
}

/// Whether this process never had a second thread, as far as the C library tells (glibc 2.32).
/// <https://man7.org/linux/man-pages/man3/__libc_single_threaded.3.html>
fn is_single_threaded() -> bool {
    dynamic_linker::symbol(c"__libc_single_threaded").is_some_and(|at| {
        let flag = at.value() as *const libc::c_char;
        // SAFETY: the C library has a byte of that name, which stays, and which no other thread writes while there is none.
        unsafe { flag.read_volatile() != 0 }
    })
}

/// membarrier, and what it answers.
fn membarrier(command: i32) -> libc::c_long {
    // SAFETY: it orders memory accesses and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab_testing::{assert_passed, is_child, run_child};

    #[test]
    fn a_process_with_threads_is_registered_when_it_needs_a_barrier() {
        const NAME: &str = "sys::native::barrier::tests::a_process_with_threads_is_registered_when_it_needs_a_barrier";
        if !is_child(NAME) {
            return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
        }
        let (wait, waited) = std::sync::mpsc::channel::<()>();
        let second = std::thread::spawn(move || waited.recv());
        let barriers = Barriers::prepare();
        let is_registered = || membarrier(Command::Memory as i32) == 0;
        assert!(!is_single_threaded() && !is_registered());
        barriers.memory();
        assert_eq!(is_registered(), barriers.has_memory());
        drop(wait);
        assert!(second.join().unwrap().is_err());
    }
}
