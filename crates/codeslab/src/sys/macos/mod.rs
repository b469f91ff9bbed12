//! macOS, on Apple silicon and on x86-64. `port` answers [`Platform`](super::Platform); what it asks the system stands in one file for
//! each subject:
//!
//! | file          | what it is about                                                                       |
//! | ------------- | -------------------------------------------------------------------------------------- |
//! | `mach`        | the calls: mmap, `mach_vm_remap`, `mach_vm_region`, …, with types instead of flags           |
//! | `access`      | those types                                                                            |
//! | `jit`         | memory of `MAP_JIT`: how a thread writes to it                                            |
//! | `memory_file` | memory files: private memory that is mapped again elsewhere                             |
//! | `view`        | a writable mapping for the time of a copy                                               |
//! | `address_map` | what is mapped                                                                         |
//! | `signing`     | what the signature of the process lets it do: hardened runtime, entitlements             |
//! | `limits`      | which limit a refusal means                                                            |
//! | `process`     | page size, addresses, random numbers                                                    |
//! | `rehearsal`   | the calls once more, by the kernel of Linux and with Apple's rules: for tests there      |
//!
//! What a reader must know about macOS. It was read in Apple's documentation and in the sources of XNU, its kernel (xnu-11417); no Mac has
//! run any of it:
//! - A page is 16 KiB on Apple silicon and 4 KiB on x86-64. Mappings can be cut, joined and replaced by the page, and there is no limit to
//!   their number.
//! - On Apple silicon no page is writable and executable but one that was mapped with `MAP_JIT`, and those are one or the other for each
//!   thread: `pthread_jit_write_protect_np` says which for the thread that calls it. On x86-64 they are both.
//! - `MAP_JIT` cannot be combined with `MAP_FIXED` or `MAP_SHARED`, so such memory does not take the place of a reservation: *the reservation has
//!   to be of it*. Hence `port::Macos::for_writer`: the platform whose reservations are `MAP_JIT` without access.
//! - Where there is the switch, pages of `MAP_JIT` that are writable and executable once keep these rights until they are unmapped: mprotect
//!   is refused. Other mappings may take their place, of which `mach_vm_remap` makes some that are of `MAP_JIT`.
//! - A process with a *hardened runtime* may execute memory without a signature only if an entitlement says so, and `MAP_JIT` takes one, too.
//!   Executing without it ends the process, so it is looked up and not tried.
//! - Private memory can be mapped a second time (`mach_vm_remap`): both mappings are of the same pages from then on. That takes no file.
//! - `MADV_FREE_REUSABLE` gives pages back *and does not zero them*: they are what they were or zero. `MADV_DONTNEED` does not give them back.
//! - There are no seals of mappings, no protection keys, no guarded pages, and no barrier in all threads.
//!
//! <https://developer.apple.com/documentation/apple-silicon/porting-just-in-time-compilers-to-apple-silicon>
#![allow(unsafe_code, reason = "this folder is where the system is called")]

mod access;
mod address_map;
mod jit;
mod limits;
mod mach;
mod memory_file;
mod port;
mod process;
mod signing;
#[cfg(test)]
mod tests;
mod view;

pub(super) use port::platform;
