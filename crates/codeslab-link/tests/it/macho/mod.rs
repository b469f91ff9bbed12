//! Mach-O objects: what compilers for Apple's systems make, linked and executed here.
//!
//! On both machines of Apple's, functions that take a few arguments are called as those of other systems are, so whatever asks nothing of
//! the system runs anywhere. For whole sections at chosen addresses, there are tests inside the crate (`src/apple_tests`).

#[cfg(target_arch = "x86_64")]
mod archives;
#[cfg(target_arch = "aarch64")]
mod arm64;
mod compiled;
#[cfg(target_arch = "x86_64")]
mod damaged;
#[cfg(target_arch = "x86_64")]
mod jitlink;
#[cfg(target_arch = "x86_64")]
mod refused;
#[cfg(target_arch = "x86_64")]
mod relocations;
#[cfg(target_arch = "x86_64")]
mod symbols;
mod thread_local;
mod unwinding;

use codeslab_testing::apple_object;

/// What Apple calls this machine.
pub(super) const MACHINE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x86_64"
};

/// An object of assembler input for this machine.
pub(super) fn assembled(test: &str, source: &str) -> Option<Vec<u8>> {
    apple_object(test, MACHINE, "s", source, &[])
}

/// The same of C. The stack's guard is a variable there (`___stack_chk_guard`), which C libraries of Linux do not have on this machine.
pub(super) fn compiled(test: &str, source: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let flags = [&["-fno-stack-protector"], flags].concat();
    apple_object(test, MACHINE, "c", source, &flags)
}
