//! Calls native code at an address, with a signature that is only known at run time.
//!
//! No code is generated and no libffi is involved. A calling convention with separate integer and floating-point
//! registers lets a caller load *all* argument registers and pass a few words on the stack, whatever the callee takes: it
//! reads those that it knows of, and the caller cleans the stack up. So one call instruction per number of stack words
//! serves every signature. Each convention is one file (`abi`); the rest of this folder does not know which it is.

#[cfg(all(target_arch = "x86_64", not(windows)))]
#[path = "sysv_x86_64.rs"]
mod abi;

#[cfg(all(target_arch = "aarch64", not(windows), not(target_vendor = "apple")))]
#[path = "aapcs64.rs"]
mod abi;

#[cfg(not(any(
    all(target_arch = "x86_64", not(windows)),
    all(target_arch = "aarch64", not(windows), not(target_vendor = "apple"))
)))]
#[path = "unsupported.rs"]
mod abi;

#[cfg(any(
    all(target_arch = "x86_64", not(windows)),
    all(target_arch = "aarch64", not(windows), not(target_vendor = "apple"))
))]
mod registers;

// Conventions of other machines are compiled with the tests of this one, so that they do not rot unseen.
#[cfg(all(test, target_arch = "x86_64"))]
mod aapcs64;
#[cfg(all(test, target_arch = "x86_64"))]
mod unsupported;

mod argument;
mod function;
mod kind;
mod signature;

pub(crate) use function::create;
pub(crate) use signature::Signature;
