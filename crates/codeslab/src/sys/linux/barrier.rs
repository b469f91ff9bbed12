//! Barriers that one thread has all threads of the process execute. <https://man7.org/linux/man-pages/man2/membarrier.2.html>
//!
//! A process registers for each kind before it uses it, once. Whether a forked child is registered as its parent was is not said anywhere,
//! so a command that is refused is tried again after registering.

use super::super::arch::{Native, Processor};

/// What the process is registered for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barriers {
    memory: bool,
    instructions: bool,
}

impl Barriers {
    /// Registers for what there is, and for what this processor takes.
    pub(super) fn register() -> Self {
        Self {
            memory: Command::Memory.register(),
            instructions: Native::FETCHES_AHEAD_OF_OTHERS && Command::Instructions.register(),
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

impl Command {
    fn register(self) -> bool {
        membarrier((self as i32) << 1)
    }

    fn execute(self) {
        if !membarrier(self as i32) {
            self.register();
            membarrier(self as i32);
        }
    }
}

/// membarrier, and whether it did anything.
fn membarrier(command: i32) -> bool {
    // SAFETY: it orders memory accesses and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
