//! Mach-O objects: what compilers for Apple's systems make, linked and executed here.
//!
//! On x86-64 their functions are called as those of other systems are, so whatever asks nothing of the system runs anywhere. For 64-bit
//! Arm, and for whole sections at chosen addresses, there are tests inside the crate (`src/apple_tests`).

mod archives;
mod compiled;
mod damaged;
mod jitlink;
mod refused;
mod relocations;
mod symbols;

use codeslab_testing::apple_object;

/// An object of assembler input for this machine.
pub(super) fn assembled(test: &str, source: &str) -> Option<Vec<u8>> {
    apple_object(test, "x86_64", "s", source, &[])
}

/// The same of C. The stack's guard is a variable there (`___stack_chk_guard`), which C libraries of Linux do not have on this machine.
pub(super) fn compiled(test: &str, source: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let flags = [&["-fno-stack-protector"], flags].concat();
    apple_object(test, "x86_64", "c", source, &flags)
}
