//! The port to macOS, whole but for its calls: these are made of what Linux has, with Apple's rules (`mach`). So what the port does runs,
//! on Linux, in the unit tests, and with `--cfg rehearsal` in every test that uses the memory manager.
//!
//! What that shows is that the port keeps to the contract if macOS does what its documents and sources say. It does not show that.
#![allow(
    unsafe_code,
    reason = "it stands for a folder where the system is called"
)]
#![allow(dead_code, reason = "the port is used as a whole where it is at home")]

#[path = "../access.rs"]
mod access;
#[path = "../address_map.rs"]
mod address_map;
#[path = "../jit.rs"]
mod jit;
#[path = "../limits.rs"]
mod limits;
mod mach;
#[path = "../memory_file.rs"]
mod memory_file;
#[path = "../port.rs"]
mod port;
#[path = "../process.rs"]
mod process;
mod rules;
#[path = "../signing.rs"]
mod signing;
#[cfg(test)]
#[path = "../tests.rs"]
mod tests;
#[path = "../view.rs"]
mod view;

#[allow(unused_imports, reason = "the unit tests make ports of their own")]
pub(in crate::sys) use port::platform;
